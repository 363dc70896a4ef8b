# SPDX-License-Identifier: AGPL-3.0-or-later
"""The cart's tables: the events that bills are made from, exits that wait for theirs, and receipts."""

from __future__ import annotations

from sqlalchemy import Column, Index, Integer, LargeBinary, String, Table, UniqueConstraint

from pipeline.state.schema import METADATA, Big, Identity

events = Table(
    "events", METADATA,
    Column("event_id", String, primary_key=True),
    Column("store_id", String, nullable=False),
    Column("visit_id", String),  # null: an event of no one visit, such as a shelf event
    Column("type", String, nullable=False),
    Column("at_ns", Big, nullable=False),
    Column("body", LargeBinary, nullable=False),
)  # fmt: skip
_OF_A_VISIT = events.c.visit_id.is_not(None)
Index("ix_events_visit_id", events.c.visit_id, postgresql_where=_OF_A_VISIT, sqlite_where=_OF_A_VISIT)

exits = Table(
    "exits", METADATA,
    Column("visit_id", String, primary_key=True),
    Column("event_id", String, nullable=False),  # of the closing that counts: the first of the visit in the log
    Column("store_id", String, nullable=False),
    Column("partition", Integer, nullable=False),
    Column("state", String, nullable=False),  # waiting, billed, or nobody: an exit without an entry
    Column("waiting_since_ns", Big, nullable=False),  # clock of the process that read it
)  # fmt: skip
_WAITING = exits.c.state == "waiting"
Index("ix_exits_partition", exits.c.partition, postgresql_where=_WAITING, sqlite_where=_WAITING)

awaited = Table(  # what exits name and has not been read yet
    "awaited", METADATA,
    Column("event_id", String, primary_key=True),
    Column("visit_id", String, primary_key=True),
    Index("ix_awaited_visit_id", "visit_id"),
)  # fmt: skip

receipts = Table(
    "receipts", METADATA,
    Column("number", Identity, primary_key=True, autoincrement=True),
    Column("event_id", String, nullable=False, unique=True),
    Column("receipt_id", String, nullable=False),
    Column("version", Integer, nullable=False),
    Column("visit_id", String, nullable=False),
    Column("store_id", String, nullable=False),
    Column("shopper_id", String),  # null: nobody to charge
    Column("left_at_ns", Big, nullable=False),
    Column("body", LargeBinary, nullable=False),
    UniqueConstraint("receipt_id", "version"),
    Index("ix_receipts_visit_id", "visit_id"),
    Index("ix_receipts_shopper_id", "shopper_id"),
    Index("ix_receipts_store_id", "store_id", "left_at_ns"),
)  # fmt: skip
