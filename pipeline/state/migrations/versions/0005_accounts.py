# SPDX-License-Identifier: AGPL-3.0-or-later
"""Accounts: users, roles, identities, one-time codes, sessions."""

import sqlalchemy as sa
from alembic import op

from pipeline.state.schema import Big

revision = "0005"
down_revision = "0004"
branch_labels = depends_on = None

_USER = "account_users.user_id"


def upgrade() -> None:
    op.create_table(
        "account_users",
        sa.Column("user_id", sa.String, nullable=False),
        sa.Column("name", sa.String, nullable=False),
        sa.Column("address", sa.String),
        sa.Column("staff_name", sa.String),
        sa.Column("shopper_id", sa.String),
        sa.Column("password", sa.String),
        sa.Column("locale", sa.String),
        sa.Column("made_ns", Big, nullable=False),
        sa.Column("disabled_ns", Big),
        sa.PrimaryKeyConstraint("user_id", name="pk_account_users"),
        sa.UniqueConstraint("address", name="uq_account_users_address"),
        sa.UniqueConstraint("staff_name", name="uq_account_users_staff_name"),
        sa.UniqueConstraint("shopper_id", name="uq_account_users_shopper_id"),
    )
    op.create_table(
        "account_roles",
        sa.Column("user_id", sa.String, nullable=False),
        sa.Column("role", sa.String, nullable=False),
        sa.PrimaryKeyConstraint("user_id", "role", name="pk_account_roles"),
        sa.ForeignKeyConstraint(["user_id"], [_USER], name="fk_account_roles_user_id_account_users"),
    )
    op.create_table(
        "account_identities",
        sa.Column("issuer", sa.String, nullable=False),
        sa.Column("subject", sa.String, nullable=False),
        sa.Column("user_id", sa.String, nullable=False),
        sa.PrimaryKeyConstraint("issuer", "subject", name="pk_account_identities"),
        sa.ForeignKeyConstraint(["user_id"], [_USER], name="fk_account_identities_user_id_account_users"),
    )
    op.create_index("ix_account_identities_user_id", "account_identities", ["user_id"])
    op.create_table(
        "account_codes",
        sa.Column("request_digest", sa.String, nullable=False),
        sa.Column("address", sa.String, nullable=False),
        sa.Column("code_digest", sa.String, nullable=False),
        sa.Column("link_digest", sa.String, nullable=False),
        sa.Column("tries_left", sa.Integer, nullable=False),
        sa.Column("expires_ns", Big, nullable=False),
        sa.PrimaryKeyConstraint("request_digest", name="pk_account_codes"),
        sa.UniqueConstraint("link_digest", name="uq_account_codes_link_digest"),
    )
    op.create_index("ix_account_codes_expires_ns", "account_codes", ["expires_ns"])
    op.create_index("ix_account_codes_address", "account_codes", ["address"])
    op.create_table(
        "account_sessions",
        sa.Column("token_digest", sa.String, nullable=False),
        sa.Column("user_id", sa.String, nullable=False),
        sa.Column("way", sa.String, nullable=False),
        sa.Column("agent", sa.String, nullable=False),
        sa.Column("made_ns", Big, nullable=False),
        sa.Column("seen_ns", Big, nullable=False),
        sa.Column("expires_ns", Big, nullable=False),
        sa.PrimaryKeyConstraint("token_digest", name="pk_account_sessions"),
        sa.ForeignKeyConstraint(["user_id"], [_USER], name="fk_account_sessions_user_id_account_users"),
    )
    op.create_index("ix_account_sessions_user_id", "account_sessions", ["user_id"])
    op.create_index("ix_account_sessions_expires_ns", "account_sessions", ["expires_ns"])


def downgrade() -> None:
    for table in ("sessions", "codes", "identities", "roles", "users"):
        op.drop_table(f"account_{table}")
