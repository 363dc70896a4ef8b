# SPDX-License-Identifier: AGPL-3.0-or-later
"""Who may sign in, and who is signed in. Of codes, links and session tokens only digests are kept."""

from __future__ import annotations

from sqlalchemy import Column, ForeignKey, Index, Integer, PrimaryKeyConstraint, String, Table

from pipeline.state.schema import METADATA, Big

users = Table(
    "account_users", METADATA,
    Column("user_id", String, primary_key=True),
    Column("name", String, nullable=False),
    Column("address", String, unique=True),  # where codes are sent, in small letters
    Column("staff_name", String, unique=True),  # what staff sign in with, beside a password
    Column("shopper_id", String, unique=True),  # as on passes and receipts
    Column("password", String),  # argon2id, with its parameters and salt
    Column("locale", String),
    Column("made_ns", Big, nullable=False),
    Column("disabled_ns", Big),
)  # fmt: skip

roles = Table(
    "account_roles", METADATA,
    Column("user_id", String, ForeignKey("account_users.user_id"), nullable=False),
    Column("role", String, nullable=False),
    PrimaryKeyConstraint("user_id", "role"),
)  # fmt: skip

identities = Table(  # who somebody is at an OpenID provider
    "account_identities", METADATA,
    Column("issuer", String, nullable=False),
    Column("subject", String, nullable=False),
    Column("user_id", String, ForeignKey("account_users.user_id"), nullable=False),
    PrimaryKeyConstraint("issuer", "subject"),
    Index(None, "user_id"),
)  # fmt: skip

codes = Table(  # asked for and not yet used; `request_digest` is of what the browser that asked holds
    "account_codes", METADATA,
    Column("request_digest", String, primary_key=True),
    Column("address", String, nullable=False),
    Column("code_digest", String, nullable=False),
    Column("link_digest", String, nullable=False, unique=True),
    Column("tries_left", Integer, nullable=False),
    Column("expires_ns", Big, nullable=False),
    Index(None, "expires_ns"),
    Index(None, "address"),
)  # fmt: skip

sessions = Table(
    "account_sessions", METADATA,
    Column("token_digest", String, primary_key=True),
    Column("user_id", String, ForeignKey("account_users.user_id"), nullable=False),
    Column("way", String, nullable=False),  # code, link, password, openid, command
    Column("agent", String, nullable=False),  # the browser's name, for the list of one's own sessions
    Column("made_ns", Big, nullable=False),
    Column("seen_ns", Big, nullable=False),
    Column("expires_ns", Big, nullable=False),
    Index(None, "user_id"),
    Index(None, "expires_ns"),
)  # fmt: skip
