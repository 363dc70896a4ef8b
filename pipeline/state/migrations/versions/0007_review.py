# SPDX-License-Identifier: AGPL-3.0-or-later
"""Review: the audit trail, cases and what was decided about them, messages about them."""

import sqlalchemy as sa
from alembic import op

from pipeline.state.append_only import append_only, droppable, no_truncate
from pipeline.state.schema import Big

revision = "0007"
down_revision = "0006"
branch_labels = depends_on = None


def upgrade() -> None:
    op.create_table(
        "audit_trail",
        sa.Column("store_id", sa.String, primary_key=True),
        sa.Column("sequence", Big, primary_key=True, autoincrement=False),
        sa.Column("at_ns", Big, nullable=False),
        sa.Column("kind", sa.String, nullable=False),
        sa.Column("actor", sa.String, nullable=False),
        sa.Column("about", sa.Text, nullable=False),
        sa.Column("case_id", sa.String),
        sa.Column("visit_id", sa.String),
        sa.Column("previous_hash", sa.String(64), nullable=False),
        sa.Column("hash", sa.String(64), nullable=False),
    )
    op.create_index("ix_audit_trail_case_id", "audit_trail", ["case_id"])
    op.create_index("ix_audit_trail_visit_id", "audit_trail", ["visit_id"])
    dialect = op.get_bind().dialect.name
    for statement in (*append_only("audit_trail", dialect), *no_truncate("audit_trail", dialect)):
        op.execute(statement)
    op.create_table(
        "audit_heads",
        sa.Column("store_id", sa.String, primary_key=True),
        sa.Column("sequence", Big, nullable=False),
        sa.Column("hash", sa.String(64), nullable=False),
    )
    op.create_table(
        "review_cases",
        sa.Column("case_id", sa.String, primary_key=True),
        sa.Column("store_id", sa.String, nullable=False),
        sa.Column("visit_id", sa.String, nullable=False),
        sa.Column("receipt_id", sa.String, nullable=False),
        sa.Column("line_id", sa.String),
        sa.Column("shopper_id", sa.String),
        sa.Column("origin", sa.String, nullable=False),
        sa.Column("kind", sa.String, nullable=False),
        sa.Column("gtin", sa.String),
        sa.Column("claimed_gtin", sa.String),
        sa.Column("claimed_quantity", sa.Integer, nullable=False),
        sa.Column("text", sa.Text, nullable=False),
        sa.Column("amount_minor", Big, nullable=False),
        sa.Column("currency", sa.String(3), nullable=False),
        sa.Column("cameras", sa.Text, nullable=False),
        sa.Column("opened_version", sa.Integer, nullable=False),
        sa.Column("opened_ns", Big, nullable=False),
        sa.Column("promise_ns", Big, nullable=False),
        sa.Column("state", sa.String, nullable=False),
        sa.Column("claimed_by", sa.String),
        sa.Column("claimed_until_ns", Big),
        sa.Column("second_look_by", sa.String),
        sa.Column("outcome", sa.String),
        sa.Column("upheld", sa.Boolean),
        sa.Column("rule", sa.String),
        sa.Column("decided_by", sa.String),
        sa.Column("decided_ns", Big),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("difference_minor", Big, nullable=False),
        sa.Column("decided_version", sa.Integer),
    )
    for columns in (
        ["state", "promise_ns"], ["receipt_id"], ["shopper_id"], ["visit_id"], ["store_id", "opened_ns"],
    ):  # fmt: skip
        op.create_index("ix_review_cases_" + "_".join(columns), "review_cases", columns)
    op.create_table(
        "review_resolutions",
        sa.Column("case_id", sa.String, sa.ForeignKey("review_cases.case_id"), primary_key=True),
        sa.Column("key", sa.String, primary_key=True),
        sa.Column("action", sa.String, nullable=False),
        sa.Column("actor", sa.String, nullable=False),
        sa.Column("at_ns", Big, nullable=False),
        sa.Column("request", sa.Text, nullable=False),
        sa.Column("receipt_id", sa.String, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("other_receipt_id", sa.String),
        sa.Column("other_version", sa.Integer),
        sa.Column("difference_minor", Big, nullable=False),
    )
    op.create_table(
        "review_messages",
        sa.Column("event_id", sa.String, primary_key=True),
        sa.Column("partition", sa.Integer, nullable=False),
        sa.Column("body", sa.LargeBinary, nullable=False),
    )
    op.create_index("ix_review_messages_partition", "review_messages", ["partition"])


def downgrade() -> None:
    for table in ("review_messages", "review_resolutions", "review_cases", "audit_heads", "audit_trail"):
        op.drop_table(table)
    for statement in droppable("audit_trail", op.get_bind().dialect.name):
        op.execute(statement)
