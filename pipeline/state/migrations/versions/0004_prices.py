# SPDX-License-Identifier: AGPL-3.0-or-later
"""The staff's desk: decisions about open visits, coupons, corrections to be published."""

import sqlalchemy as sa
from alembic import op

from pipeline.state.schema import Big

revision = "0004"
down_revision = "0003"
branch_labels = depends_on = None


def upgrade() -> None:
    op.create_table(
        "desk_events",
        sa.Column("event_id", sa.String, nullable=False),
        sa.Column("visit_id", sa.String, nullable=False),
        sa.Column("at_ns", Big, nullable=False),
        sa.Column("body", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("event_id", name="pk_desk_events"),
    )
    op.create_index("ix_desk_events_visit_id", "desk_events", ["visit_id"])
    op.create_table(
        "coupons",
        sa.Column("coupon_id", sa.String, nullable=False),
        sa.Column("promotion_id", sa.String, nullable=False),
        sa.Column("shopper_id", sa.String, nullable=False),
        sa.Column("state", sa.String, nullable=False),
        sa.Column("visit_id", sa.String),
        sa.Column("expires_ns", Big),
        sa.PrimaryKeyConstraint("coupon_id", name="pk_coupons"),
    )
    op.create_index("ix_coupons_visit_id", "coupons", ["visit_id"])
    op.create_index("ix_coupons_shopper_id", "coupons", ["shopper_id"])
    op.create_table(
        "corrections",
        sa.Column("event_id", sa.String, nullable=False),
        sa.Column("partition", sa.Integer, nullable=False),
        sa.Column("body", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("event_id", name="pk_corrections"),
    )
    op.create_index("ix_corrections_partition", "corrections", ["partition"])


def downgrade() -> None:
    op.drop_table("corrections")
    op.drop_table("coupons")
    op.drop_table("desk_events")
