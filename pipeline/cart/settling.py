# SPDX-License-Identifier: AGPL-3.0-or-later
"""What the cart's consumer group does with events: keep them, and turn each exit into a receipt once.

A bill is worked out from the exit and exactly the events that it names, so it does not matter in which order, in which
batches or how often they are read. Of several exits of one visit the first in the log counts, of several events with
one id the first that was read; the others change nothing.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence

from sqlalchemy import Connection, delete, insert, select, update

from calibration.catalogue import Catalogue
from pipeline.cart import desk
from pipeline.cart.fold import CartState, fold
from pipeline.cart.price_book import PriceBook
from pipeline.cart.receipts import receipt_of
from pipeline.cart.records import receipt_row
from pipeline.cart.rules import BillingRules
from pipeline.cart.tables import awaited, events, exits, receipts
from pipeline.eventlog import Batch, Record
from pipeline.eventlog.codec import decode
from pipeline.messages import Event, PersonWithoutPass, VisitClosed, VisitOpened
from pipeline.observe import metrics
from pipeline.observe.logs import get_logger
from pipeline.state.bulk import insert_all, insert_new, is_in
from pipeline.state.member import Outgoing

log = get_logger(__name__)

_REMEMBERED = 50_000
"""Events kept in memory for bills that will need them soon; the rest is read from the database."""
_INTERRUPTED_S = 5.0
_ENTRY = (VisitOpened, PersonWithoutPass)


class Settling:
    """The `Work` of the cart's consumer group.

    Args:
        prices, rules: what `receipt_of` takes.
        stores: only events of these stores; None for all.
        patience_s: how long an exit waits for events that it names before it is settled without them, and held. Only
            time during which the log was read without interruption counts: while it cannot be reached, while there is
            more to read, or after a restart, what is missing may lie in it.
        clock: seconds since the epoch, for `patience_s` only.
    """

    def __init__(
        self,
        prices: PriceBook | Catalogue,
        rules: BillingRules,
        *,
        stores: Iterable[str] | None = None,
        patience_s: float = 60.0,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._prices, self._rules = PriceBook.of(prices), rules
        self._stores = None if stores is None else frozenset(stores)
        self._patience_s, self._clock = patience_s, clock
        self._remembered: OrderedDict[str, Event] = OrderedDict()
        self._new: dict[str, Event] = {}
        self._listening_ns: int | None = None
        """Since when the log has been read without interruption, by `clock`."""
        self._looked_s = 0.0

    # --- Work ---

    def take_in(self, db: Connection, batch: Batch) -> Sequence[Outgoing]:
        self._new = {}
        by_id: dict[str, Record] = {}
        for record in batch.records:
            if self._stores is None or record.event.store_id in self._stores:
                by_id.setdefault(record.event.event_id, record)
        new = insert_new(db, events, "event_id", [_row(r.event, r.body) for r in by_id.values()])
        self._new = {i: r.event for i, r in by_id.items() if i in new}
        closings = [r for i, r in by_id.items() if i in new and isinstance(r.event, VisitClosed)]
        ready = self._note_exits(db, closings)
        ready |= self._complete(db)
        ready |= self._opened_late(db)
        return self._settle(db, ready)

    def on_time(self, db: Connection, partitions: frozenset[int]) -> Sequence[Outgoing]:
        self._new = {}
        now_ns = self._now_ns()
        listened_ns = self._listened(now_ns)
        waiting = db.execute(
            select(exits.c.visit_id, exits.c.waiting_since_ns).where(
                exits.c.state == "waiting", exits.c.partition.in_(sorted(partitions))
            )
        ).all()
        ahead = [visit_id for visit_id, since_ns in waiting if since_ns > now_ns]
        if ahead:  # this process's clock is behind, or was put back: wait from now on, not until it has caught up
            db.execute(update(exits).where(is_in(db, exits.c.visit_id, ahead)).values(waiting_since_ns=now_ns))
        patience_ns = int(self._patience_s * 1e9)
        overdue = {v for v, since_ns in waiting if now_ns - since_ns > patience_ns and listened_ns >= patience_ns}
        return [*self._settle(db, overdue), *desk.unpublished(db, partitions)]

    def committed(self) -> None:
        self._remembered.update(self._new)
        self._new = {}
        while len(self._remembered) > _REMEMBERED:
            self._remembered.popitem(last=False)

    def forget(self) -> None:
        self._remembered.clear()
        self._new = {}
        self._listening_ns = None

    def _listened(self, now_ns: int) -> int:
        """For how long the log has been read without interruption, ns. The member calls `on_time` often while it hears
        the log and is not behind: that it has not for a while is an interruption, whatever was the matter."""
        moment_s = time.monotonic()
        if self._listening_ns is None or self._listening_ns > now_ns or moment_s - self._looked_s > _INTERRUPTED_S:
            self._listening_ns = now_ns
        self._looked_s = moment_s
        return now_ns - self._listening_ns

    # --- beyond it ---

    def settle_waiting(self, db: Connection) -> Sequence[Outgoing]:
        """Every exit that still waits, at once: the log has ended and nothing more will come."""
        self._new = {}
        waiting = db.execute(select(exits.c.visit_id).where(exits.c.state == "waiting")).scalars()
        return self._settle(db, set(waiting))

    # --- exits ---

    def _note_exits(self, db: Connection, closings: Sequence[Record]) -> set[str]:
        """Visits whose exit has just been read and lacks nothing."""
        first: dict[str, Record] = {}
        for record in closings:
            first.setdefault(record.event.visit_id, record)
        now_ns = self._now_ns()
        rows = [
            {
                "visit_id": r.event.visit_id, "event_id": r.event.event_id, "store_id": r.event.store_id,
                "partition": r.partition, "state": "waiting", "waiting_since_ns": now_ns,
            }
            for r in first.values()
        ]  # fmt: skip
        counted = insert_new(db, exits, "visit_id", rows)
        for record in closings:
            if record.event.visit_id not in counted or first[record.event.visit_id] is not record:
                log.warning("second exit ignored", visit_id=record.event.visit_id, event_id=record.event.event_id)
        named = {visit_id: set(first[visit_id].event.event_ids) for visit_id in counted}
        missing = {i for ids in named.values() for i in ids if i not in self._new and i not in self._remembered}
        if missing:
            missing -= set(db.execute(select(events.c.event_id).where(is_in(db, events.c.event_id, missing))).scalars())
        lacking = [{"event_id": i, "visit_id": v} for v in sorted(named) for i in sorted(named[v] & missing)]
        if lacking:
            db.execute(insert(awaited), lacking)
        return counted - {row["visit_id"] for row in lacking}

    def _complete(self, db: Connection) -> set[str]:
        """Visits whose exit was read before and now lacks nothing more."""
        if not self._new:
            return set()
        arrived = delete(awaited).where(is_in(db, awaited.c.event_id, self._new)).returning(awaited.c.visit_id)
        visits = set(db.execute(arrived).scalars())
        if visits:
            visits -= set(db.execute(select(awaited.c.visit_id).where(is_in(db, awaited.c.visit_id, visits))).scalars())
        return visits

    def _opened_late(self, db: Connection) -> set[str]:
        """Visits whose exit had no entry when it was dealt with, and now have one."""
        opened = {e.visit_id for e in self._new.values() if isinstance(e, _ENTRY)}
        if not opened:
            return set()
        found = select(exits.c.visit_id).where(is_in(db, exits.c.visit_id, opened), exits.c.state == "nobody")
        return set(db.execute(found).scalars())

    # --- settling ---

    def _settle(self, db: Connection, visit_ids: set[str]) -> list[Outgoing]:
        if not visit_ids:
            return []
        closings, partitions = self._closings(db, visit_ids)
        known, at_desk = self._load(db, closings), desk.noted(db, closings.keys())
        entries: dict[str, list[Event]] = {}
        for event in known.values():
            if isinstance(event, _ENTRY):
                entries.setdefault(event.visit_id, []).append(event)
        made: list[Outgoing] = []
        for visit_id in sorted(closings):
            closed = closings[visit_id]
            if visit_id not in entries:
                metrics.EXITS_WITHOUT_ENTRY.inc()
                log.warning("exit without an entry: nobody to bill", visit_id=visit_id, event_id=closed.event_id)
                continue
            own = [known[i] for i in closed.event_ids if i in known]
            state = fold(CartState(), closed, *entries[visit_id], *own)
            receipt = receipt_of(state, visit_id, self._prices, self._rules, at_desk.get(visit_id, ()))
            made.append((partitions[visit_id], receipt))
        insert_all(db, receipts, [receipt_row(receipt) for _, receipt in made])
        desk.spend(db, [receipt for _, receipt in made if receipt.visit_id in at_desk])
        billed = {receipt.visit_id for _, receipt in made}
        for state, of in (("billed", billed), ("nobody", closings.keys() - billed)):
            if of:
                db.execute(update(exits).where(is_in(db, exits.c.visit_id, of)).values(state=state))
        db.execute(delete(awaited).where(is_in(db, awaited.c.visit_id, visit_ids)))
        return made

    def _closings(self, db: Connection, visit_ids: set[str]) -> tuple[dict[str, VisitClosed], dict[str, int]]:
        rows = db.execute(
            select(exits.c.visit_id, exits.c.event_id, exits.c.partition)
            .where(is_in(db, exits.c.visit_id, visit_ids), exits.c.state != "billed")
            .with_for_update()  # the desk notes nothing for them from here on
        ).all()
        known = self._events(db, [row.event_id for row in rows])
        return {r.visit_id: known[r.event_id] for r in rows}, {r.visit_id: r.partition for r in rows}

    def _load(self, db: Connection, closings: dict[str, VisitClosed]) -> dict[str, Event]:
        """The events that the exits name, and the entries of visits whose exit names none."""
        known = self._events(db, dict.fromkeys(i for closed in closings.values() for i in closed.event_ids))
        entered = {e.visit_id for e in known.values() if isinstance(e, _ENTRY)}
        if unnamed := closings.keys() - entered:
            kinds = [kind.model_fields["type"].default for kind in _ENTRY]
            found = select(events.c.event_id, events.c.body).where(
                is_in(db, events.c.visit_id, unnamed), events.c.type.in_(kinds)
            )
            known.update({event_id: decode(body) for event_id, body in db.execute(found)})
        return known

    def _events(self, db: Connection, event_ids: Iterable[str]) -> dict[str, Event]:
        found: dict[str, Event] = {}
        elsewhere = []
        for event_id in event_ids:
            event = self._new.get(event_id) or self._remembered.get(event_id)
            if event is not None:
                found[event_id] = event
            else:
                elsewhere.append(event_id)
        if elsewhere:
            rows = db.execute(select(events.c.event_id, events.c.body).where(is_in(db, events.c.event_id, elsewhere)))
            found.update({event_id: decode(body) for event_id, body in rows})
        return found

    def _now_ns(self) -> int:
        return int(self._clock() * 1e9)


def _row(event: Event, body: bytes) -> dict:
    return {
        "event_id": event.event_id, "store_id": event.store_id, "visit_id": getattr(event, "visit_id", None),
        "type": event.type, "at_ns": event.at_ns, "body": body,
    }  # fmt: skip
