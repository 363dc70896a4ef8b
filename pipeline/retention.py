# SPDX-License-Identifier: AGPL-3.0-or-later
"""What a state database and an embedded log need not keep: `walkout state prune`.

Never deleted: receipts, payments with their calls, the ledger, the audit trail, cases of the review. Of what is older
than asked for: the events that receipts were made from (their lines name them for the reviewer), notices of payment
providers, entries at the gates that are over, and the log's own copies. Clips and stills have their own rule
(`evidence:` in the settings).
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from sqlalchemy import Connection, delete, func, select

from pipeline.cart.retention import prune_events
from pipeline.eventlog.embedded import EmbeddedLog
from pipeline.gate.tables import gate_entries
from pipeline.payment.tables import notices, payments
from pipeline.review.tables import cases
from pipeline.state import Database
from pipeline.state.bulk import is_in

_AT_REST = ("paid", "released", "refused")


@dataclass(frozen=True)
class Pruned:
    """How many rows of each. `events_kept`: old ones of visits not done with. `log_records`: None without a log."""

    events: int
    events_kept: int
    notices: int
    gate_entries: int
    log_records: int | None = None


def prune(database: Database, before_ns: int, log: EmbeddedLog | None = None, *, dry_run: bool = False) -> Pruned:
    """Delete what is from before `before_ns`; `dry_run` only counts."""

    def busy(db: Connection, visit_ids: Collection[str]) -> set[str]:
        owed = select(payments.c.visit_id).where(
            is_in(db, payments.c.visit_id, visit_ids), payments.c.state.not_in(_AT_REST)
        )
        looked_at = select(cases.c.visit_id).where(
            is_in(db, cases.c.visit_id, visit_ids),
            (cases.c.state != "resolved") | (cases.c.decided_ns >= before_ns),
        )
        return {*db.execute(owed).scalars(), *db.execute(looked_at).scalars()}

    gone, kept = prune_events(database, before_ns, busy, dry_run=dry_run)

    def rows(db: Connection, table, condition) -> int:
        if dry_run:
            return db.execute(select(func.count()).select_from(table).where(condition)).scalar_one()
        return db.execute(delete(table).where(condition)).rowcount

    with database.transaction() as db:
        told = rows(db, notices, notices.c.at_ns < before_ns)
        entered = rows(db, gate_entries, gate_entries.c.closed_ns < before_ns)
    return Pruned(gone, kept, told, entered, None if log is None else log.prune(before_ns, dry_run=dry_run))
