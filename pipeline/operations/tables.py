# SPDX-License-Identifier: AGPL-3.0-or-later
"""What operators note: counts of shelves, goods that were dealt with, files that wait for their confirmation."""

from __future__ import annotations

from sqlalchemy import Column, Index, Integer, LargeBinary, PrimaryKeyConstraint, String, Table

from pipeline.state.schema import METADATA, Big, Identity

shelf_counts = Table(
    "shelf_counts", METADATA,
    Column("number", Identity, primary_key=True, autoincrement=True),
    Column("store_id", String, nullable=False),
    Column("slot_id", String, nullable=False),
    Column("at_ns", Big, nullable=False),
    Column("units", Integer, nullable=False),
    Column("counted_by", String, nullable=False),
    Index(None, "store_id", "at_ns"),
)  # fmt: skip

stray_handled = Table(
    "stray_handled", METADATA,
    Column("store_id", String, nullable=False),
    Column("item_id", String, nullable=False),
    Column("at_ns", Big, nullable=False),
    Column("handled_by", String, nullable=False),
    PrimaryKeyConstraint("store_id", "item_id"),
)  # fmt: skip

file_imports = Table(  # deleted when applied, and after a while
    "file_imports", METADATA,
    Column("import_id", String, primary_key=True),
    Column("store_id", String, nullable=False),
    Column("kind", String, nullable=False),
    Column("name", String, nullable=False),
    Column("uploaded_by", String, nullable=False),
    Column("at_ns", Big, nullable=False),
    Column("remove_missing", Integer, nullable=False),
    Column("base_digest", String, nullable=False),  # of the file that the preview was made against
    Column("body", LargeBinary, nullable=False),
    Index(None, "at_ns"),
)  # fmt: skip
