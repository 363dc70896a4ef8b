# SPDX-License-Identifier: AGPL-3.0-or-later
"""What the payment desk keeps. Amounts in minor units, times in ns since the Unix epoch by the desk's own clock."""

from __future__ import annotations

from sqlalchemy import Boolean, Column, ForeignKey, Index, Integer, String, Table, Text, UniqueConstraint

from pipeline.state import METADATA, Big, Identity
from pipeline.state.append_only import guard

payments = Table(  # one a visit: from the hold at entry, where there is one, to the last correction of its receipt
    "payments", METADATA,
    Column("visit_id", String, primary_key=True),
    Column("store_id", String, nullable=False),
    Column("partition", Integer, nullable=False),
    Column("shopper_id", String),
    Column("receipt_id", String, unique=True),
    Column("version", Integer, nullable=False),  # of the receipt that `due_minor` is of; 0: none yet
    Column("currency", String(3)),
    Column("due_minor", Big, nullable=False),
    Column("hold_minor", Big, nullable=False),  # held at entry, or to be held
    Column("hold_currency", String(3)),
    Column("state", String, nullable=False),
    Column("reason", Text, nullable=False),
    Column("open_minor", Big, nullable=False),  # of it now among the open balances
    Column("attempts", Integer, nullable=False),  # declines since the last version or retry
    Column("gave_up", Boolean, nullable=False),
    Column("ended", Boolean, nullable=False),  # the hold grew too old without a receipt and goes back
    Column("rounds", Integer, nullable=False),  # how often it came to rest
    Column("next_at_ns", Big),  # when somebody must look at it; null: at rest
    Index("ix_payments_next_at_ns", "next_at_ns"),
    Index("ix_payments_shopper_id_state", "shopper_id", "state"),
)  # fmt: skip

operations = Table(  # every outside call, written before it is made
    "payment_operations", METADATA,
    Column("key", String, primary_key=True),
    Column("visit_id", String, ForeignKey("payments.visit_id"), nullable=False),
    Column("number", Integer, nullable=False),
    Column("version", Integer, nullable=False),
    Column("kind", String, nullable=False),
    Column("amount_minor", Big, nullable=False),
    Column("currency", String(3), nullable=False),
    Column("about", String),  # the authorisation that it captures, cancels or refunds
    Column("reference", String),  # the provider's, once approved
    Column("state", String, nullable=False),  # intended, approved, declined
    Column("code", String),
    Column("reason", Text),
    Column("calls", Integer, nullable=False),  # unanswered ones
    Column("intended_ns", Big, nullable=False),
    Column("done_ns", Big),
    UniqueConstraint("visit_id", "number"),
    Index("ix_payment_operations_state", "state"),
    Index("ix_payment_operations_about", "about"),
)  # fmt: skip

bills = Table(  # the receipt versions that have been read
    "payment_bills", METADATA,
    Column("receipt_id", String, primary_key=True),
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("visit_id", String, nullable=False),
    Column("currency", String(3), nullable=False),
    Column("shopper_id", String),
    Column("total_minor", Big, nullable=False),
    Column("taxes", Text, nullable=False),  # JSON: [[tax class, net, tax], ...]
    Column("applied", Boolean, nullable=False),
    Index("ix_payment_bills_visit_id", "visit_id"),
)  # fmt: skip

methods = Table(
    "payment_methods", METADATA,
    Column("shopper_id", String, primary_key=True),
    Column("customer", String),
    Column("method", String),
)  # fmt: skip

notices = Table(
    "payment_notices", METADATA,
    Column("provider", String, primary_key=True),
    Column("notice_id", String, primary_key=True),
    Column("kind", String, nullable=False),
    Column("at_ns", Big, nullable=False),
)  # fmt: skip

postings = Table(
    "ledger_postings", METADATA,
    Column("number", Identity, primary_key=True, autoincrement=True),
    Column("key", String, nullable=False, unique=True),
    Column("at_ns", Big, nullable=False),
    Column("visit_id", String, nullable=False),
    Column("receipt_id", String),
    Column("text", Text, nullable=False),
    Index("ix_ledger_postings_visit_id", "visit_id"),
)  # fmt: skip

entries = Table(
    "ledger_entries", METADATA,
    Column("posting_key", String, ForeignKey("ledger_postings.key"), primary_key=True),
    Column("line", Integer, primary_key=True, autoincrement=False),
    Column("account", String, nullable=False),
    Column("shopper_id", String),
    Column("currency", String(3), nullable=False),
    Column("amount_minor", Big, nullable=False),  # debit positive, credit negative
    Index("ix_ledger_entries_account", "account"),
    Index("ix_ledger_entries_shopper_id", "shopper_id"),
)  # fmt: skip

for _table in (postings, entries):
    guard(_table)
