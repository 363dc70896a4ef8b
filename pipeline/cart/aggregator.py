# SPDX-License-Identifier: AGPL-3.0-or-later
"""Reads the log, folds, and puts out each visit's receipt once.

What has been read, the receipts made of it and how far the log has been read are written in one transaction, so a
crash at any point repeats nothing and loses nothing. Receipts leave through an outbox: written first, appended to the
log after the commit, ticked off then. A crash between the last two appends the same receipt, with the same event id, a
second time; readers of receipts drop it by that id.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager

from sqlalchemy import (
    Boolean,
    Column,
    Connection,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    create_engine,
    delete,
    insert,
    select,
    update,
)
from sqlalchemy.exc import SQLAlchemyError

from calibration.catalogue import Catalogue
from pipeline.cart.fold import CartState, fold
from pipeline.cart.receipts import receipt_of
from pipeline.cart.rules import BillingRules
from pipeline.errors import OutputError
from pipeline.eventlog import Batch, EventLog, Positions
from pipeline.eventlog.codec import decode, encode
from pipeline.messages import Event, ReceiptIssued, VisitClosed, VisitOpened

TOPICS = ("walkout.visits", "walkout.shelf-events")

_metadata = MetaData()
_positions = Table(
    "positions", _metadata,
    Column("topic", String, primary_key=True),
    Column("partition", Integer, primary_key=True),
    Column("next_offset", Integer, nullable=False),
)  # fmt: skip
_events = Table(
    "events", _metadata,
    Column("event_id", String, primary_key=True),
    Column("store_id", String, nullable=False),
    Column("visit_id", String),
    Column("type", String, nullable=False),
    Column("body", LargeBinary, nullable=False),
    Index("events_by_visit", "visit_id"),
)  # fmt: skip
_closings = Table(
    "closings", _metadata,
    Column("visit_id", String, primary_key=True),
    Column("settled", Boolean, nullable=False),
    Index("closings_by_settled", "settled"),
)  # fmt: skip
_awaited = Table(  # what closings name and has not been read yet
    "awaited", _metadata,
    Column("event_id", String, primary_key=True),
    Column("visit_id", String, primary_key=True),
    Index("awaited_by_visit", "visit_id"),
)  # fmt: skip
_receipts = Table(
    "receipts", _metadata,
    Column("number", Integer, primary_key=True, autoincrement=True),
    Column("event_id", String, nullable=False, unique=True),
    Column("visit_id", String, nullable=False, unique=True),
    Column("body", LargeBinary, nullable=False),
    Column("published", Boolean, nullable=False),
)  # fmt: skip


class Aggregator:
    """One member of the cart's consumer group.

    Args:
        log: where events come from and receipts go to.
        state_url: SQLAlchemy URL of the state, e.g. `sqlite:///run/state.sqlite`; made when it is not there.
        stores: only events of these stores; None for all that the log's partitions hold.
        start: where to begin reading while the state knows no position; the oldest record where it is silent.
        patience_s: how long a closing waits for events that it names before it is settled without them, and held.
        clock: seconds, for `patience_s` only.
    """

    def __init__(
        self,
        log: EventLog,
        state_url: str,
        catalogue: Catalogue,
        rules: BillingRules | None = None,
        *,
        group: str = "walkout-cart",
        stores: Iterable[str] | None = None,
        start: Positions | None = None,
        patience_s: float = 60.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._log, self._catalogue, self._rules = log, catalogue, rules or BillingRules()
        self._stores = None if stores is None else frozenset(stores)
        self._start, self._patience_s, self._clock = dict(start or {}), patience_s, clock
        self._state_url = state_url
        self._engine = create_engine(state_url)
        with self._transaction() as db:
            _metadata.create_all(db)
            self._read_to = {(t, p): n for t, p, n in db.execute(select(_positions))}
            waiting = db.execute(select(_closings.c.visit_id).where(~_closings.c.settled)).scalars().all()
        self._waiting_since = dict.fromkeys(waiting, clock())
        self._reader = log.read(group, TOPICS, self._start_at)

    def step(self, timeout_s: float = 1.0, max_records: int = 500) -> int:
        """Read, fold and publish once; how many records were read."""
        batch = self._reader.poll(timeout_s, max_records)
        if batch.positions:
            with self._transaction() as db:
                self._take_in(db, batch)
            self._read_to.update(batch.positions)
            self._reader.commit(batch.positions)
        overdue = [v for v, since in self._waiting_since.items() if self._clock() - since > self._patience_s]
        if overdue:
            self._settle_anyway(overdue)
        self._publish()
        return len(batch.records)

    def catch_up(self, ends: Positions, timeout_s: float = 60.0) -> bool:
        """Step until everything before `ends` has been read, then settle what is still waiting; False: no time left."""
        deadline = self._clock() + timeout_s
        while any(self._position(place) < end for place, end in ends.items()):
            if self._clock() > deadline:
                return False
            self.step(timeout_s=0.2)
        self._settle_anyway(list(self._waiting_since))
        self._publish()
        return True

    def receipts(self) -> list[ReceiptIssued]:
        """All receipts so far, in the order in which they were made."""
        with self._transaction() as db:
            bodies = db.execute(select(_receipts.c.body).order_by(_receipts.c.number)).scalars().all()
        return [decode(body) for body in bodies]

    def close(self) -> None:
        self._reader.close()
        self._engine.dispose()

    # --- where to read ---

    def _start_at(self, topic: str, partition: int) -> int | None:
        place = (topic, partition)
        return self._read_to.get(place, self._start.get(place))

    def _position(self, place: tuple[str, int]) -> int:
        """An end that the log was at before anything was read needs no reading."""
        return self._read_to.get(place, self._start.get(place, 0))

    # --- taking in ---

    def _take_in(self, db: Connection, batch: Batch) -> None:
        wanted = [r.event for r in batch.records if self._stores is None or r.event.store_id in self._stores]
        new = self._insert_new(db, wanted)
        for event in new:
            if isinstance(event, VisitClosed):
                self._await_named(db, event)
        for visit_id in self._complete(db, [e.event_id for e in new]):
            self._settle(db, visit_id)
        for (topic, partition), offset in batch.positions.items():
            place = (_positions.c.topic == topic) & (_positions.c.partition == partition)
            if not db.execute(update(_positions).where(place).values(next_offset=offset)).rowcount:
                db.execute(insert(_positions).values(topic=topic, partition=partition, next_offset=offset))

    def _insert_new(self, db: Connection, events: Sequence[Event]) -> list[Event]:
        by_id = {e.event_id: e for e in reversed(events)}
        known = select(_events.c.event_id).where(_events.c.event_id.in_(by_id))
        for event_id in db.execute(known).scalars().all():
            del by_id[event_id]
        new = list(by_id.values())
        if new:
            db.execute(insert(_events), [_row(e) for e in new])
        return new

    def _await_named(self, db: Connection, closed: VisitClosed) -> None:
        """Note what the closing needs; a second closing of a visit is kept among the events and changes nothing."""
        if db.execute(select(_closings.c.visit_id).where(_closings.c.visit_id == closed.visit_id)).first():
            return
        db.execute(insert(_closings).values(visit_id=closed.visit_id, settled=False))
        named = set(closed.event_ids)
        here = select(_events.c.event_id).where(_events.c.event_id.in_(named))
        named -= set(db.execute(here).scalars().all())
        if named:
            db.execute(insert(_awaited), [{"event_id": i, "visit_id": closed.visit_id} for i in sorted(named)])
        self._waiting_since[closed.visit_id] = self._clock()

    def _complete(self, db: Connection, arrived: list[str]) -> list[str]:
        """Visits that were closed and now lack nothing, in a fixed order."""
        db.execute(delete(_awaited).where(_awaited.c.event_id.in_(arrived)))
        lacking = select(_awaited.c.visit_id)
        ready = select(_closings.c.visit_id).where(~_closings.c.settled, _closings.c.visit_id.not_in(lacking))
        return sorted(db.execute(ready).scalars().all())

    # --- settling ---

    def _settle(self, db: Connection, visit_id: str) -> None:
        state = self._load(db, visit_id)
        if state.opened(visit_id) is None:
            return  # an exit without an entry: nobody to bill; it stays among the closings that wait
        receipt = receipt_of(state, visit_id, self._catalogue, self._rules)
        db.execute(
            insert(_receipts).values(
                event_id=receipt.event_id, visit_id=visit_id, body=encode(receipt), published=False
            )
        )
        db.execute(update(_closings).where(_closings.c.visit_id == visit_id).values(settled=True))
        db.execute(delete(_awaited).where(_awaited.c.visit_id == visit_id))
        self._waiting_since.pop(visit_id, None)

    def _settle_anyway(self, visit_ids: Sequence[str]) -> None:
        with self._transaction() as db:
            for visit_id in sorted(visit_ids):
                self._settle(db, visit_id)
        for visit_id in visit_ids:
            self._waiting_since.pop(visit_id, None)

    def _load(self, db: Connection, visit_id: str) -> CartState:
        own = select(_events.c.body).where(_events.c.visit_id == visit_id)
        state = fold(CartState(), *map(decode, db.execute(own).scalars()))
        named = select(_events.c.body).where(_events.c.event_id.in_(state.closed(visit_id).event_ids))
        return fold(state, *map(decode, db.execute(named).scalars()))

    def _publish(self) -> None:
        outbox = select(_receipts.c.number, _receipts.c.body).where(~_receipts.c.published).order_by(_receipts.c.number)
        with self._transaction() as db:
            rows = db.execute(outbox).all()
        if rows:
            self._log.append([decode(body) for _, body in rows])
            with self._transaction() as db:
                db.execute(update(_receipts).where(_receipts.c.number.in_([n for n, _ in rows])).values(published=True))

    @contextmanager
    def _transaction(self) -> Iterator[Connection]:
        try:
            with self._engine.begin() as db:
                yield db
        except SQLAlchemyError as error:
            reason = getattr(error, "orig", None) or error
            raise OutputError(f"cart state {self._state_url}: {' '.join(str(reason).split())}") from error


def _row(event: Event) -> dict:
    visit_id = event.visit_id if isinstance(event, VisitOpened | VisitClosed) else None
    return {
        "event_id": event.event_id, "store_id": event.store_id, "visit_id": visit_id, "type": event.type,
        "body": encode(event),
    }  # fmt: skip
