# SPDX-License-Identifier: AGPL-3.0-or-later
"""Positions and outbox of consumer groups; the cart's events, exits and receipts."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = depends_on = None

_IDENTITY = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    op.create_table(
        "positions",
        sa.Column("consumer_group", sa.String, nullable=False),
        sa.Column("topic", sa.String, nullable=False),
        sa.Column("partition", sa.Integer, nullable=False, autoincrement=False),
        sa.Column("next_offset", sa.BigInteger),
        sa.Column("epoch", sa.BigInteger, nullable=False),
        sa.Column("owner", sa.String, nullable=False),
        sa.PrimaryKeyConstraint("consumer_group", "topic", "partition", name="pk_positions"),
    )
    op.create_table(
        "outbox",
        sa.Column("number", _IDENTITY, primary_key=True, autoincrement=True),
        sa.Column("consumer_group", sa.String, nullable=False),
        sa.Column("partition", sa.Integer, nullable=False),
        sa.Column("event_id", sa.String, nullable=False),
        sa.Column("body", sa.LargeBinary, nullable=False),
        sa.UniqueConstraint("event_id", name="uq_outbox_event_id"),
    )
    op.create_index("ix_outbox_consumer_group_partition", "outbox", ["consumer_group", "partition"])
    op.create_table(
        "events",
        sa.Column("event_id", sa.String, primary_key=True),
        sa.Column("store_id", sa.String, nullable=False),
        sa.Column("visit_id", sa.String),
        sa.Column("type", sa.String, nullable=False),
        sa.Column("at_ns", sa.BigInteger, nullable=False),
        sa.Column("body", sa.LargeBinary, nullable=False),
    )
    of_a_visit = sa.text("visit_id IS NOT NULL")
    op.create_index("ix_events_visit_id", "events", ["visit_id"], postgresql_where=of_a_visit, sqlite_where=of_a_visit)
    op.create_table(
        "exits",
        sa.Column("visit_id", sa.String, primary_key=True),
        sa.Column("event_id", sa.String, nullable=False),
        sa.Column("store_id", sa.String, nullable=False),
        sa.Column("partition", sa.Integer, nullable=False),
        sa.Column("state", sa.String, nullable=False),
        sa.Column("waiting_since_ns", sa.BigInteger, nullable=False),
    )
    waiting = sa.text("state = 'waiting'")
    op.create_index("ix_exits_partition", "exits", ["partition"], postgresql_where=waiting, sqlite_where=waiting)
    op.create_table(
        "awaited",
        sa.Column("event_id", sa.String, nullable=False),
        sa.Column("visit_id", sa.String, nullable=False),
        sa.PrimaryKeyConstraint("event_id", "visit_id", name="pk_awaited"),
    )
    op.create_index("ix_awaited_visit_id", "awaited", ["visit_id"])
    op.create_table(
        "receipts",
        sa.Column("number", _IDENTITY, primary_key=True, autoincrement=True),
        sa.Column("event_id", sa.String, nullable=False),
        sa.Column("receipt_id", sa.String, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("visit_id", sa.String, nullable=False),
        sa.Column("store_id", sa.String, nullable=False),
        sa.Column("shopper_id", sa.String),
        sa.Column("left_at_ns", sa.BigInteger, nullable=False),
        sa.Column("body", sa.LargeBinary, nullable=False),
        sa.UniqueConstraint("event_id", name="uq_receipts_event_id"),
        sa.UniqueConstraint("receipt_id", "version", name="uq_receipts_receipt_id_version"),
    )
    op.create_index("ix_receipts_visit_id", "receipts", ["visit_id"])
    op.create_index("ix_receipts_shopper_id", "receipts", ["shopper_id"])
    op.create_index("ix_receipts_store_id", "receipts", ["store_id", "left_at_ns"])


def downgrade() -> None:
    for table in ("receipts", "awaited", "exits", "events", "outbox", "positions"):
        op.drop_table(table)
