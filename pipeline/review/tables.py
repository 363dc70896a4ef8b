# SPDX-License-Identifier: AGPL-3.0-or-later
"""The audit trail, cases with what was decided about them, and messages about them that are not in the log yet.
Amounts in minor units, times in ns since the Unix epoch."""

from __future__ import annotations

from sqlalchemy import Boolean, Column, ForeignKey, Index, Integer, LargeBinary, String, Table, Text

from pipeline.state import METADATA, Big
from pipeline.state.append_only import guard

audit_trail = Table(
    "audit_trail", METADATA,
    Column("store_id", String, primary_key=True),  # "": of no one store
    Column("sequence", Big, primary_key=True, autoincrement=False),  # 1, 2, ... without gaps in each store
    Column("at_ns", Big, nullable=False),
    Column("kind", String, nullable=False),
    Column("actor", String, nullable=False),
    Column("about", Text, nullable=False),  # canonical JSON
    Column("case_id", String),  # as in `about`, to be found by
    Column("visit_id", String),
    Column("previous_hash", String(64), nullable=False),
    Column("hash", String(64), nullable=False),
    Index("ix_audit_trail_case_id", "case_id"),
    Index("ix_audit_trail_visit_id", "visit_id"),
)  # fmt: skip

audit_heads = Table(  # the newest entry of each store: what writers lock
    "audit_heads", METADATA,
    Column("store_id", String, primary_key=True),
    Column("sequence", Big, nullable=False),
    Column("hash", String(64), nullable=False),
)  # fmt: skip

cases = Table(
    "review_cases", METADATA,
    Column("case_id", String, primary_key=True),
    Column("store_id", String, nullable=False),
    Column("visit_id", String, nullable=False),
    Column("receipt_id", String, nullable=False),
    Column("line_id", String),  # null: the whole receipt
    Column("shopper_id", String),  # whose receipt it is; null: nobody's
    Column("origin", String, nullable=False),  # dispute (a shopper's) or held (the aggregator's)
    Column("kind", String, nullable=False),
    Column("gtin", String),  # what the line or the note is about
    Column("claimed_gtin", String),  # what the shopper says it was
    Column("claimed_quantity", Integer, nullable=False),
    Column("text", Text, nullable=False),  # the shopper's words, or why it was held
    Column("amount_minor", Big, nullable=False),  # what is at stake
    Column("currency", String(3), nullable=False),
    Column("cameras", Text, nullable=False),  # JSON list of the cameras that saw it
    Column("opened_version", Integer, nullable=False),  # of the receipt
    Column("opened_ns", Big, nullable=False),
    Column("promise_ns", Big, nullable=False),
    Column("state", String, nullable=False),  # open, second-look or resolved
    Column("claimed_by", String),
    Column("claimed_until_ns", Big),
    Column("second_look_by", String),  # who asked for it, and may not decide
    Column("outcome", String),  # the action that resolved it
    Column("upheld", Boolean),  # whether the shopper was right; null: no shopper said anything
    Column("rule", String),  # that settled it; null: a person did
    Column("decided_by", String),
    Column("decided_ns", Big),
    Column("reason", Text, nullable=False),
    Column("difference_minor", Big, nullable=False),  # on the receipt: below zero is paid back
    Column("decided_version", Integer),  # of the receipt after the decision
    Index("ix_review_cases_state_promise_ns", "state", "promise_ns"),
    Index("ix_review_cases_receipt_id", "receipt_id"),
    Index("ix_review_cases_shopper_id", "shopper_id"),
    Index("ix_review_cases_visit_id", "visit_id"),
    Index("ix_review_cases_store_id_opened_ns", "store_id", "opened_ns"),
)  # fmt: skip

resolutions = Table(  # each request to resolve, once: the same key again is answered from here
    "review_resolutions", METADATA,
    Column("case_id", String, ForeignKey("review_cases.case_id"), primary_key=True),
    Column("key", String, primary_key=True),
    Column("action", String, nullable=False),
    Column("actor", String, nullable=False),
    Column("at_ns", Big, nullable=False),
    Column("request", Text, nullable=False),  # canonical JSON: a key means one request
    Column("receipt_id", String, nullable=False),
    Column("version", Integer, nullable=False),
    Column("other_receipt_id", String),
    Column("other_version", Integer),
    Column("difference_minor", Big, nullable=False),
)  # fmt: skip

messages = Table(  # stored, not in the log yet
    "review_messages", METADATA,
    Column("event_id", String, primary_key=True),
    Column("partition", Integer, nullable=False),
    Column("body", LargeBinary, nullable=False),
    Index("ix_review_messages_partition", "partition"),
)  # fmt: skip

guard(audit_trail)
