# SPDX-License-Identifier: AGPL-3.0-or-later
"""Operator: counts of shelves, goods that were dealt with, files that wait for their confirmation."""

import sqlalchemy as sa
from alembic import op

from pipeline.state.schema import Big, Identity

revision = "0009"
down_revision = "0008"
branch_labels = depends_on = None


def upgrade() -> None:
    op.create_table(
        "shelf_counts",
        sa.Column("number", Identity, primary_key=True, autoincrement=True),
        sa.Column("store_id", sa.String, nullable=False),
        sa.Column("slot_id", sa.String, nullable=False),
        sa.Column("at_ns", Big, nullable=False),
        sa.Column("units", sa.Integer, nullable=False),
        sa.Column("counted_by", sa.String, nullable=False),
    )
    op.create_index("ix_shelf_counts_store_id_at_ns", "shelf_counts", ["store_id", "at_ns"])
    op.create_table(
        "stray_handled",
        sa.Column("store_id", sa.String, nullable=False),
        sa.Column("item_id", sa.String, nullable=False),
        sa.Column("at_ns", Big, nullable=False),
        sa.Column("handled_by", sa.String, nullable=False),
        sa.PrimaryKeyConstraint("store_id", "item_id", name="pk_stray_handled"),
    )
    op.create_table(
        "file_imports",
        sa.Column("import_id", sa.String, primary_key=True),
        sa.Column("store_id", sa.String, nullable=False),
        sa.Column("kind", sa.String, nullable=False),
        sa.Column("name", sa.String, nullable=False),
        sa.Column("uploaded_by", sa.String, nullable=False),
        sa.Column("at_ns", Big, nullable=False),
        sa.Column("remove_missing", sa.Integer, nullable=False),
        sa.Column("base_digest", sa.String, nullable=False),
        sa.Column("body", sa.LargeBinary, nullable=False),
    )
    op.create_index("ix_file_imports_at_ns", "file_imports", ["at_ns"])


def downgrade() -> None:
    for table in ("file_imports", "stray_handled", "shelf_counts"):
        op.drop_table(table)
