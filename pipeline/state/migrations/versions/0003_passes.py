# SPDX-License-Identifier: AGPL-3.0-or-later
"""Entry: used passes, readers, cards and badges, who was let in, who was not, and the gate keeper's state."""

import sqlalchemy as sa
from alembic import op

from pipeline.state.schema import Big, Identity

revision = "0003"
down_revision = "0002"
branch_labels = depends_on = None


def upgrade() -> None:
    op.create_table(
        "pass_uses",
        sa.Column("store_id", sa.String, nullable=False),
        sa.Column("number", sa.String, nullable=False),
        sa.Column("visit_id", sa.String, nullable=False),
        sa.Column("used_ns", Big, nullable=False),
        sa.Column("expires_ns", Big, nullable=False),
        sa.PrimaryKeyConstraint("store_id", "number", name="pk_pass_uses"),
    )
    op.create_index("ix_pass_uses_expires_ns", "pass_uses", ["expires_ns"])
    op.create_table(
        "gate_readers",
        sa.Column("key_digest", sa.String, nullable=False),
        sa.Column("store_id", sa.String, nullable=False),
        sa.Column("gate_id", sa.String),
        sa.Column("name", sa.String, nullable=False),
        sa.Column("added_ns", Big, nullable=False),
        sa.Column("revoked_ns", Big),
        sa.PrimaryKeyConstraint("key_digest", name="pk_gate_readers"),
    )
    op.create_table(
        "gate_tokens",
        sa.Column("store_id", sa.String, nullable=False),
        sa.Column("token_digest", sa.String, nullable=False),
        sa.Column("kind", sa.String, nullable=False),
        sa.Column("holder_id", sa.String, nullable=False),
        sa.Column("until_ns", Big),
        sa.PrimaryKeyConstraint("store_id", "token_digest", name="pk_gate_tokens"),
    )
    op.create_table(
        "gate_entries",
        sa.Column("entry_id", sa.String, nullable=False),
        sa.Column("store_id", sa.String, nullable=False),
        sa.Column("gate_id", sa.String, nullable=False),
        sa.Column("kind", sa.String, nullable=False),
        sa.Column("way", sa.String, nullable=False),
        sa.Column("shopper_id", sa.String),
        sa.Column("admits", sa.Integer, nullable=False),
        sa.Column("joins", sa.String),
        sa.Column("at_ns", Big, nullable=False),
        sa.Column("state", sa.String, nullable=False),
        sa.Column("taken_ns", Big),
        sa.Column("closed_ns", Big),
        sa.Column("behind_visit_id", sa.String),
        sa.PrimaryKeyConstraint("entry_id", name="pk_gate_entries"),
    )
    op.create_index("ix_gate_entries_store_id_closed_ns", "gate_entries", ["store_id", "closed_ns"])
    op.create_index("ix_gate_entries_store_id_state_taken_ns", "gate_entries", ["store_id", "state", "taken_ns"])
    op.create_table(
        "gate_refusals",
        sa.Column("number", Identity, autoincrement=True, nullable=False),
        sa.Column("store_id", sa.String, nullable=False),
        sa.Column("gate_id", sa.String, nullable=False),
        sa.Column("at_ns", Big, nullable=False),
        sa.Column("reason", sa.String, nullable=False),
        sa.Column("detail", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("number", name="pk_gate_refusals"),
    )
    op.create_index("ix_gate_refusals_store_id_at_ns", "gate_refusals", ["store_id", "at_ns"])
    op.create_table(
        "gate_snapshots",
        sa.Column("store_id", sa.String, nullable=False),
        sa.Column("at_ns", Big, nullable=False),
        sa.Column("body", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("store_id", name="pk_gate_snapshots"),
    )


def downgrade() -> None:
    for table in ("gate_snapshots", "gate_refusals", "gate_entries", "gate_tokens", "gate_readers", "pass_uses"):
        op.drop_table(table)
