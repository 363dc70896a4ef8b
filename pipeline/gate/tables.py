# SPDX-License-Identifier: AGPL-3.0-or-later
"""What gates must remember over a restart."""

from __future__ import annotations

from sqlalchemy import Column, Index, Integer, PrimaryKeyConstraint, String, Table, Text

from pipeline.state.schema import METADATA, Big, Identity

pass_uses = Table(  # a pass opens a gate once; rows may go when the pass has run out
    "pass_uses", METADATA,
    Column("store_id", String, nullable=False),
    Column("number", String, nullable=False),
    Column("visit_id", String, nullable=False),
    Column("used_ns", Big, nullable=False),
    Column("expires_ns", Big, nullable=False),
    PrimaryKeyConstraint("store_id", "number"),
    Index(None, "expires_ns"),
)  # fmt: skip

gate_readers = Table(  # who may post to the API; `gate_id` is null for a terminal of staff
    "gate_readers", METADATA,
    Column("key_digest", String, primary_key=True),
    Column("store_id", String, nullable=False),
    Column("gate_id", String),
    Column("name", String, nullable=False),
    Column("added_ns", Big, nullable=False),
    Column("revoked_ns", Big),
)  # fmt: skip

gate_tokens = Table(  # cards and staff badges, by digest
    "gate_tokens", METADATA,
    Column("store_id", String, nullable=False),
    Column("token_digest", String, nullable=False),
    Column("kind", String, nullable=False),
    Column("holder_id", String, nullable=False),
    Column("until_ns", Big),
    PrimaryKeyConstraint("store_id", "token_digest"),
)  # fmt: skip

gate_entries = Table(  # one row for everybody whom a gate let in, or saw come in; `entry_id` is the visit's id
    "gate_entries", METADATA,
    Column("entry_id", String, primary_key=True),
    Column("store_id", String, nullable=False),
    Column("gate_id", String, nullable=False),
    Column("kind", String, nullable=False),
    Column("way", String, nullable=False),
    Column("shopper_id", String),
    Column("admits", Integer, nullable=False),
    Column("joins", String),
    Column("at_ns", Big, nullable=False),
    Column("state", String, nullable=False),
    Column("taken_ns", Big),
    Column("closed_ns", Big),
    Column("behind_visit_id", String),
    Index(None, "store_id", "closed_ns"),
    Index(None, "store_id", "state", "taken_ns"),
)  # fmt: skip

gate_refusals = Table(
    "gate_refusals", METADATA,
    Column("number", Identity, primary_key=True, autoincrement=True),
    Column("store_id", String, nullable=False),
    Column("gate_id", String, nullable=False),
    Column("at_ns", Big, nullable=False),
    Column("reason", String, nullable=False),
    Column("detail", Text, nullable=False),
    Index(None, "store_id", "at_ns"),
)  # fmt: skip

gate_snapshots = Table(  # the gate keeper's state, so that a restart loses no visit
    "gate_snapshots", METADATA,
    Column("store_id", String, primary_key=True),
    Column("at_ns", Big, nullable=False),
    Column("body", Text, nullable=False),
)  # fmt: skip
