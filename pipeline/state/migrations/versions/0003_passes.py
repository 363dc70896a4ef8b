# SPDX-License-Identifier: AGPL-3.0-or-later
"""Passes:keys and used tokens."""

revision = "0003"
down_revision = "0002"
branch_labels = depends_on = None


def upgrade() -> None:
    pass


def downgrade() -> None:
    pass
