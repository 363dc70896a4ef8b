# SPDX-License-Identifier: AGPL-3.0-or-later
"""One member of a consumer group whose work is done exactly once.

Each batch is one transaction: check that the partitions are still this member's (`positions.hold`), leave out what an
earlier transaction has dealt with, do the work, store how far the log has been read and what is to be published. A
crash anywhere repeats nothing and loses nothing, because the offset in the database is the truth: it is where a member
begins when partitions are given to it, whatever the group has committed to the log.

What is published leaves after the commit and is ticked off with the next one; a crash between the two publishes the
same events, with the same ids, once more.
"""

from __future__ import annotations

import contextlib
import os
import socket
import time
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Protocol

from sqlalchemy import Connection, delete, select

from pipeline.errors import EventLogError, FencedError
from pipeline.eventlog import Batch, EventLog, Positions
from pipeline.eventlog.codec import decode, encode
from pipeline.eventlog.log import Place
from pipeline.messages import Event
from pipeline.observe import metrics
from pipeline.observe.logs import get_logger
from pipeline.state.bulk import is_in
from pipeline.state.database import Database
from pipeline.state.positions import advance, claim, enqueue, hold, outbox

log = get_logger(__name__)

_COMMIT_EVERY_S = 1.0
_REJOIN_AFTER_S = 3.0
_BEHIND_TIMER_S = 10.0

Outgoing = tuple[int, Event]
"""An event to be published, and the partition of what it follows from (whose owner publishes it)."""


class Work(Protocol):
    """What a group does with the events it reads.

    `take_in` and `on_time` run inside a transaction, and once more with the same arguments when it could not be
    committed: each begins by dropping what an attempt before it left in memory, and `committed` makes it good.
    """

    def take_in(self, db: Connection, batch: Batch) -> Sequence[Outgoing]:
        """Deal with these records, which nobody has dealt with before. Delivery on the log is still at least once:
        an event that was *written* twice comes twice, with the same id."""

    def on_time(self, db: Connection, partitions: frozenset[int]) -> Sequence[Outgoing]:
        """Called now and then, for what happens because time passes. Only things of these partitions are ours. While
        the log is out of reach or there is more to read it is called every ten seconds only."""

    def committed(self) -> None:
        """The transaction of the last `take_in` or `on_time` is safe."""

    def forget(self) -> None:
        """Partitions have moved, or something went wrong: nothing in memory counts, the database alone knows."""


class GroupMember:
    """Reads `topics` as one member of `group` and hands each record to `work` exactly once.

    Args:
        start: where to begin in places that the state knows no position for; the oldest record where it is silent.
            What the group may have committed to the log does not count: a new state has seen nothing.
        timer_s: how often `Work.on_time` is called.
        name: who this is, for people who look at the table of positions; host and process id by default.
        published: told of events when the log has them.
    """

    def __init__(
        self,
        event_log: EventLog,
        database: Database,
        work: Work,
        *,
        group: str,
        topics: Sequence[str],
        start: Positions | None = None,
        timer_s: float = 0.5,
        name: str | None = None,
        published: Callable[[Sequence[Event]], None] | None = None,
    ) -> None:
        self._log, self._database, self._work = event_log, database, work
        self.group, self._topics = group, tuple(topics)
        self._start, self._timer_s = dict(start or {}), timer_s
        self._name = name or f"{socket.gethostname()}/{os.getpid()}"
        self._told = published or (lambda events: None)
        self._epochs: dict[Place, int] = {}
        self._read_to: dict[Place, int] = {}
        self._uncommitted: dict[Place, int] = {}
        self._to_publish: dict[str, Event] = {}
        self._unfinished: Batch | None = None
        self._under_way: tuple[list[Event], Callable[[], None]] | None = None
        self._published: list[str] = []
        self._timed_s = self._committed_s = time.monotonic()
        self._fenced_s: float | None = None
        self.joined = False
        self._reader = self._open_reader()

    @property
    def read_to(self) -> Positions:
        """The next offset of each place that is ours."""
        return dict(self._read_to)

    @property
    def assigned(self) -> frozenset[Place]:
        return frozenset(self._epochs)

    def lag(self) -> dict[Place, int]:
        """Records of our places that have not been dealt with, as far as the log has told."""
        return {place: max(end - self._read_to.get(place, 0), 0) for place, end in self._reader.ends_seen().items()}

    def step(self, timeout_s: float = 1.0, max_records: int = 500) -> int:
        """Read, work and publish once; how many records were read. Raises `EventLogError`, `StateError`: the next step
        then deals with the same records."""
        batch = self._unfinished or self._reader.poll(timeout_s, max_records)
        self._unfinished = batch
        self._await_published()
        try:
            if batch.positions and self._fenced_s is None:
                self._transact(lambda db: self._take_in(db, batch), batch.positions)
                for kind, number in Counter(r.event.type for r in batch.records).items():
                    metrics.EVENTS.labels(self.group, kind).inc(number)
            now_s = time.monotonic()
            hears_all = self._reader.reachable and len(batch.records) < max_records
            if self._epochs and now_s - self._timed_s >= (self._timer_s if hears_all else _BEHIND_TIMER_S):
                self._timed_s = now_s
                self._transact(self._on_time, {})
        except FencedError as error:
            self._fence(error)
        self._unfinished = None
        self._publish(wait=len(batch.records) < max_records)
        self._commit()
        if self._fenced_s is not None and time.monotonic() - self._fenced_s > _REJOIN_AFTER_S:
            self._rejoin()
        return len(batch.records)

    def catch_up(self, ends: Positions, timeout_s: float = 60.0) -> None:
        """Step until everything before `ends` has been dealt with. For a member that is alone. Raises `EventLogError`
        when no time is left."""
        deadline = time.monotonic() + timeout_s
        while any(self._read_to.get(place, self._start.get(place, 0)) < end for place, end in ends.items()):
            if time.monotonic() > deadline:
                raise EventLogError(f"the event log did not give back within {timeout_s:g} s what was written to it")
            self.step(timeout_s=0.2)
        self._publish()

    def transact(self, work: Callable[[Connection], Sequence[Outgoing]]) -> None:
        """Something of our partitions outside a batch: in a transaction of its own, fenced like all others."""
        self._transact(lambda db: self._fenced_work(db, work), {})
        self._publish()

    def close(self) -> None:
        """Leave the group: others get the partitions at once. The database stays open."""
        self._publish()
        if self._published and self._epochs:
            with contextlib.suppress(FencedError):  # whoever has the partitions now publishes these events again
                self._transact(lambda db: self._fenced_work(db, lambda _: ()), {})
        self._commit(at_once=True)
        self._reader.close()

    # --- partitions ---

    def _open_reader(self):
        return self._log.read(self.group, self._topics, self._take_over)

    def _take_over(self, places: frozenset[Place]) -> dict[Place, int]:
        """The log has given us these places and no others; where to read on in each."""
        self._await_published()
        partitions = {partition for _, partition in places}

        def take(db: Connection):
            self._tick_off(db)  # true whoever has the partitions now
            claimed = claim(db, self.group, places, self._name)
            left = select(outbox.c.event_id, outbox.c.body).where(
                outbox.c.consumer_group == self.group, outbox.c.partition.in_(partitions)
            )
            return claimed, db.execute(left.order_by(outbox.c.number)).all()

        claimed, waiting = self._database.run(take)
        self._work.forget()
        self._epochs = {place: epoch for place, (_, epoch) in claimed.items()}
        known = {place: offset for place, (offset, _) in claimed.items() if offset is not None}
        self._read_to = {place: known.get(place, self._start.get(place, 0)) for place in places}
        self._uncommitted, self._published, self._fenced_s = {}, [], None
        self._to_publish = {event_id: decode(body) for event_id, body in waiting}
        self.joined = True
        log.info("partitions assigned", group=self.group, partitions=sorted(partitions), unpublished=len(waiting))
        return dict(self._read_to)

    def _fence(self, error: FencedError) -> None:
        """Ours no more. The log tells us so with the next assignment; until then nothing is read or written."""
        if not self._reader.shared:
            raise error
        metrics.FENCED.labels(self.group).inc()
        log.warning("fenced", group=self.group, reason=str(error))
        self._epochs, self._read_to, self._uncommitted = {}, {}, {}
        self._to_publish = {}
        self._fenced_s = time.monotonic()
        self._work.forget()

    def _rejoin(self) -> None:
        """The log still believes that the partitions are ours: ask for an assignment that everybody agrees on."""
        log.warning("joining the group again", group=self.group)
        self._reader.close()
        self._fenced_s = None
        self._reader = self._open_reader()

    # --- one transaction ---

    def _transact(self, work: Callable[[Connection], Sequence[Outgoing]], read_to: Positions) -> None:
        ticked, attempts = len(self._published), 0

        def attempt(db: Connection) -> Sequence[Outgoing]:
            nonlocal attempts
            attempts += 1
            outgoing = work(db)
            # The one before may have been committed though its answer was lost; what it said is in the outbox alone.
            return outgoing if attempts == 1 else self._unpublished(db)

        try:
            outgoing = self._database.run(attempt)
        except BaseException:
            self._work.forget()
            raise
        self._work.committed()
        del self._published[:ticked]
        self._to_publish.update((event.event_id, event) for _, event in outgoing)
        self._read_to.update(read_to)
        self._uncommitted.update(read_to)

    def _take_in(self, db: Connection, batch: Batch) -> Sequence[Outgoing]:
        stored = self._hold(db, batch.positions)
        ahead = {p: n for p, n in batch.positions.items() if n > (stored.get(p) or 0)}
        if not ahead:  # the commit of an earlier attempt got through after all; what it published is in the outbox
            return self._unpublished(db)
        fresh = tuple(r for r in batch.records if r.offset >= (stored[r.topic, r.partition] or 0))
        outgoing = self._work.take_in(db, Batch(fresh, ahead))
        self._store(db, outgoing)
        advance(db, self.group, ahead)
        return outgoing

    def _on_time(self, db: Connection) -> Sequence[Outgoing]:
        partitions = frozenset(partition for _, partition in self._epochs)
        return self._fenced_work(db, lambda db: self._work.on_time(db, partitions))

    def _fenced_work(self, db: Connection, work: Callable[[Connection], Sequence[Outgoing]]) -> Sequence[Outgoing]:
        self._hold(db, self._epochs)
        outgoing = work(db)
        self._store(db, outgoing)
        return outgoing

    def _hold(self, db: Connection, places) -> dict[Place, int | None]:
        """Of all topics in the partitions of `places`: what belongs to one store belongs together."""
        partitions = {partition for _, partition in places}
        mine = {place: epoch for place, epoch in self._epochs.items() if place[1] in partitions}
        if lost := set(places) - mine.keys():
            raise FencedError(f"group {self.group}: {sorted(lost)} are not assigned to this member")
        return hold(db, self.group, mine)

    def _store(self, db: Connection, outgoing: Sequence[Outgoing]) -> None:
        self._tick_off(db)
        enqueue(db, self.group, [(partition, event.event_id, encode(event)) for partition, event in outgoing])

    def _tick_off(self, db: Connection) -> None:
        """What is in the log needs no publishing."""
        if self._published:
            db.execute(delete(outbox).where(is_in(db, outbox.c.event_id, self._published)))

    def _unpublished(self, db: Connection) -> Sequence[Outgoing]:
        mine = outbox.c.partition.in_({partition for _, partition in self._epochs})
        left = select(outbox.c.partition, outbox.c.body).where(outbox.c.consumer_group == self.group, mine)
        return [(partition, decode(body)) for partition, body in db.execute(left.order_by(outbox.c.number)).all()]

    # --- after it ---

    def _publish(self, wait: bool = True) -> None:
        """Send what is to be published. Not to `wait` is for a member that is behind: it reads on meanwhile."""
        self._await_published()
        if self._to_publish:
            events = list(self._to_publish.values())
            self._under_way = events, self._log.begin_append(events)
            self._to_publish = {}
        if wait:
            self._await_published()

    def _await_published(self) -> None:
        """The log has what was sent to it. Before the next transaction, which ticks it off."""
        if self._under_way is not None:
            (events, wait), self._under_way = self._under_way, None
            try:
                wait()
            except BaseException:
                self._to_publish = {event.event_id: event for event in events} | self._to_publish
                raise
            self._told(events)
            self._published += [event.event_id for event in events]

    def _commit(self, at_once: bool = False) -> None:
        """Tell the log how far the group is, for those who look at lag there. Nothing depends on it."""
        now_s = time.monotonic()
        if self._uncommitted and (at_once or now_s - self._committed_s >= _COMMIT_EVERY_S):
            self._committed_s = now_s
            try:
                self._reader.commit(self._uncommitted)
            except EventLogError as error:
                log.warning("offsets not committed to the log", reason=str(error))
            self._uncommitted = {}
