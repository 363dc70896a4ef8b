# SPDX-License-Identifier: AGPL-3.0-or-later
"""Prices:with validity, coupons."""

revision = "0004"
down_revision = "0003"
branch_labels = depends_on = None


def upgrade() -> None:
    pass


def downgrade() -> None:
    pass
