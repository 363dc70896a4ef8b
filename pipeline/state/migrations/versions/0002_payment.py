# SPDX-License-Identifier: AGPL-3.0-or-later
"""Payments: one a visit, every outside call, the receipt versions read, means of payment, webhooks, and the ledger."""

import sqlalchemy as sa
from alembic import op

from pipeline.state.append_only import append_only, droppable
from pipeline.state.schema import Big, Identity

revision = "0002"
down_revision = "0001"
branch_labels = depends_on = None


def upgrade() -> None:
    op.create_table(
        "payments",
        sa.Column("visit_id", sa.String, primary_key=True),
        sa.Column("store_id", sa.String, nullable=False),
        sa.Column("partition", sa.Integer, nullable=False),
        sa.Column("shopper_id", sa.String),
        sa.Column("receipt_id", sa.String, unique=True),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("currency", sa.String(3)),
        sa.Column("due_minor", Big, nullable=False),
        sa.Column("hold_minor", Big, nullable=False),
        sa.Column("hold_currency", sa.String(3)),
        sa.Column("state", sa.String, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("open_minor", Big, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("gave_up", sa.Boolean, nullable=False),
        sa.Column("ended", sa.Boolean, nullable=False),
        sa.Column("rounds", sa.Integer, nullable=False),
        sa.Column("next_at_ns", Big),
    )
    op.create_index("ix_payments_next_at_ns", "payments", ["next_at_ns"])
    op.create_index("ix_payments_shopper_id_state", "payments", ["shopper_id", "state"])
    op.create_table(
        "payment_operations",
        sa.Column("key", sa.String, primary_key=True),
        sa.Column("visit_id", sa.String, sa.ForeignKey("payments.visit_id"), nullable=False),
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("kind", sa.String, nullable=False),
        sa.Column("amount_minor", Big, nullable=False),
        sa.Column("currency", sa.String(3), nullable=False),
        sa.Column("about", sa.String),
        sa.Column("reference", sa.String),
        sa.Column("state", sa.String, nullable=False),
        sa.Column("code", sa.String),
        sa.Column("reason", sa.Text),
        sa.Column("calls", sa.Integer, nullable=False),
        sa.Column("intended_ns", Big, nullable=False),
        sa.Column("done_ns", Big),
        sa.UniqueConstraint("visit_id", "number"),
    )
    op.create_index("ix_payment_operations_state", "payment_operations", ["state"])
    op.create_index("ix_payment_operations_about", "payment_operations", ["about"])
    op.create_table(
        "payment_bills",
        sa.Column("receipt_id", sa.String, primary_key=True),
        sa.Column("version", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("visit_id", sa.String, nullable=False),
        sa.Column("currency", sa.String(3), nullable=False),
        sa.Column("shopper_id", sa.String),
        sa.Column("total_minor", Big, nullable=False),
        sa.Column("taxes", sa.Text, nullable=False),
        sa.Column("applied", sa.Boolean, nullable=False),
    )
    op.create_index("ix_payment_bills_visit_id", "payment_bills", ["visit_id"])
    op.create_table(
        "payment_methods",
        sa.Column("shopper_id", sa.String, primary_key=True),
        sa.Column("customer", sa.String),
        sa.Column("method", sa.String),
    )
    op.create_table(
        "payment_notices",
        sa.Column("provider", sa.String, primary_key=True),
        sa.Column("notice_id", sa.String, primary_key=True),
        sa.Column("kind", sa.String, nullable=False),
        sa.Column("at_ns", Big, nullable=False),
    )
    op.create_table(
        "ledger_postings",
        sa.Column("number", Identity, primary_key=True, autoincrement=True),
        sa.Column("key", sa.String, nullable=False, unique=True),
        sa.Column("at_ns", Big, nullable=False),
        sa.Column("visit_id", sa.String, nullable=False),
        sa.Column("receipt_id", sa.String),
        sa.Column("text", sa.Text, nullable=False),
    )
    op.create_index("ix_ledger_postings_visit_id", "ledger_postings", ["visit_id"])
    op.create_table(
        "ledger_entries",
        sa.Column("posting_key", sa.String, sa.ForeignKey("ledger_postings.key"), primary_key=True),
        sa.Column("line", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("account", sa.String, nullable=False),
        sa.Column("shopper_id", sa.String),
        sa.Column("currency", sa.String(3), nullable=False),
        sa.Column("amount_minor", Big, nullable=False),
    )
    op.create_index("ix_ledger_entries_account", "ledger_entries", ["account"])
    op.create_index("ix_ledger_entries_shopper_id", "ledger_entries", ["shopper_id"])
    for table in ("ledger_postings", "ledger_entries"):
        for statement in append_only(table, op.get_bind().dialect.name):
            op.execute(statement)


def downgrade() -> None:
    for table in ("ledger_entries", "ledger_postings"):
        op.drop_table(table)
        for statement in droppable(table, op.get_bind().dialect.name):
            op.execute(statement)
    for table in ("payment_notices", "payment_methods", "payment_bills", "payment_operations", "payments"):
        op.drop_table(table)
