# SPDX-License-Identifier: AGPL-3.0-or-later
"""Old events of the cart: which of them no bill, no correction and no dispute needs any more.

Receipts are never deleted here, nor is a visit's row in `exits`, which says that it has been billed: an old exit that
is read once more makes no second receipt.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator

from sqlalchemy import Connection, delete, func, select

from pipeline.cart.tables import events, exits, receipts
from pipeline.eventlog.codec import decode
from pipeline.messages import VisitClosed
from pipeline.state import Database
from pipeline.state.bulk import is_in

LONGEST_VISIT_NS = 2 * 86_400 * 1_000_000_000
"""Nobody is in a shop for longer: a closing so much later names no event from before."""
_CHUNK = 1000

Busy = Callable[[Connection, Collection[str]], set[str]]
"""Of these visits, those about which something is open elsewhere."""


def prune_events(database: Database, before_ns: int, busy: Busy, *, dry_run: bool = False) -> tuple[int, int]:
    """Delete events from before then: how many, and how many are kept because their visit is not done with.

    Kept are the events that a visit's closing names, and the closing, while the visit has no receipt, its newest
    receipt is held or was made after `before_ns`, or `busy` names it. In chunks, so that a shop goes on meanwhile.
    """
    kept: set[str] = set()
    for rows in _closings(database, before_ns + LONGEST_VISIT_NS):
        done = _done_with(database, [visit_id for visit_id, _ in rows], before_ns, busy)
        for visit_id, body in rows:
            closed = decode(body)
            if closed.at_ns >= before_ns or visit_id not in done:
                kept |= {closed.event_id, *closed.event_ids}
    deleted = spared = 0
    after = ""
    while True:
        query = select(events.c.event_id).where(events.c.event_id > after, events.c.at_ns < before_ns)
        with database.transaction() as db:
            ids = db.execute(query.order_by(events.c.event_id).limit(_CHUNK)).scalars().all()
            if not ids:
                return deleted, spared
            old = [i for i in ids if i not in kept]
            deleted, spared, after = deleted + len(old), spared + len(ids) - len(old), ids[-1]
            if old and not dry_run:
                db.execute(delete(events).where(is_in(db, events.c.event_id, old)))


def _closings(database: Database, before_ns: int) -> Iterator[list[tuple[str, bytes]]]:
    """(visit, its closing) of all that were closed before then, in chunks."""
    after = ""
    of_closings = events.c.event_id == exits.c.event_id
    while True:
        query = (
            select(exits.c.visit_id, events.c.body)
            .join(events, of_closings)
            .where(exits.c.visit_id > after, events.c.at_ns < before_ns, events.c.type == _CLOSED)
        )
        with database.transaction() as db:
            rows = db.execute(query.order_by(exits.c.visit_id).limit(_CHUNK)).all()
        if not rows:
            return
        after = rows[-1].visit_id
        yield [(row.visit_id, bytes(row.body)) for row in rows]


def _done_with(database: Database, visit_ids: Collection[str], before_ns: int, busy: Busy) -> set[str]:
    newest = (
        select(receipts.c.receipt_id, func.max(receipts.c.version).label("version"))
        .group_by(receipts.c.receipt_id)
        .subquery()
    )
    with database.transaction() as db:
        rows = db.execute(
            select(receipts.c.visit_id, receipts.c.body)
            .join(newest, (receipts.c.receipt_id == newest.c.receipt_id) & (receipts.c.version == newest.c.version))
            .where(is_in(db, receipts.c.visit_id, visit_ids))
        ).all()
        made = [(visit_id, decode(body)) for visit_id, body in rows]
        settled = {v for v, receipt in made if not receipt.held_for_review and receipt.at_ns < before_ns}
        return settled - busy(db, settled)


_CLOSED = VisitClosed.model_fields["type"].default
