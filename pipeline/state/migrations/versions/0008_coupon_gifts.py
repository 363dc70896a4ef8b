# SPDX-License-Identifier: AGPL-3.0-or-later
"""Codes with which coupons are passed on."""

import sqlalchemy as sa
from alembic import op

from pipeline.state.schema import Big

revision = "0008"
down_revision = "0007"
branch_labels = depends_on = None


def upgrade() -> None:
    op.create_table(
        "coupon_gifts",
        sa.Column("coupon_id", sa.String, nullable=False),
        sa.Column("code_digest", sa.String, nullable=False),
        sa.Column("from_shopper_id", sa.String, nullable=False),
        sa.Column("expires_ns", Big, nullable=False),
        sa.PrimaryKeyConstraint("coupon_id", name="pk_coupon_gifts"),
        sa.UniqueConstraint("code_digest", name="uq_coupon_gifts_code_digest"),
    )


def downgrade() -> None:
    op.drop_table("coupon_gifts")
