# SPDX-License-Identifier: AGPL-3.0-or-later
"""The index of clips and stills, and which visits were erased."""

import sqlalchemy as sa
from alembic import op

from pipeline.state.schema import Big

revision = "0006"
down_revision = "0005"
branch_labels = depends_on = None


def upgrade() -> None:
    op.create_table(
        "evidence_items",
        sa.Column("item_id", sa.String, nullable=False),
        sa.Column("store_id", sa.String, nullable=False),
        sa.Column("event_id", sa.String, nullable=False),
        sa.Column("kind", sa.String, nullable=False),
        sa.Column("camera_id", sa.String, nullable=False),
        sa.Column("rank", sa.Integer, nullable=False),
        sa.Column("visit_id", sa.String),
        sa.Column("visit_ids", sa.Text, nullable=False),
        sa.Column("t0_ns", Big, nullable=False),
        sa.Column("t1_ns", Big, nullable=False),
        sa.Column("width_px", sa.Integer, nullable=False),
        sa.Column("height_px", sa.Integer, nullable=False),
        sa.Column("fps", sa.Float, nullable=False),
        sa.Column("frames", sa.Integer, nullable=False),
        sa.Column("state", sa.String, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("path", sa.String),
        sa.Column("bytes", Big, nullable=False),
        sa.Column("sha256", sa.String),
        sa.Column("overlay_path", sa.String),
        sa.Column("overlay_sha256", sa.String),
        sa.Column("kept_ns", Big, nullable=False),
        sa.PrimaryKeyConstraint("item_id", name="pk_evidence_items"),
    )
    op.create_index("ix_evidence_items_event_id", "evidence_items", ["event_id"])
    op.create_index("ix_evidence_items_visit_id", "evidence_items", ["visit_id"])
    op.create_index("ix_evidence_items_state_kept_ns", "evidence_items", ["state", "kept_ns"])
    op.create_table(
        "evidence_erased_visits",
        sa.Column("visit_id", sa.String, nullable=False),
        sa.Column("at_ns", Big, nullable=False),
        sa.Column("by", sa.String, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("visit_id", name="pk_evidence_erased_visits"),
    )


def downgrade() -> None:
    op.drop_table("evidence_erased_visits")
    op.drop_table("evidence_items")
