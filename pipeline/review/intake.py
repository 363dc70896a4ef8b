# SPDX-License-Identifier: AGPL-3.0-or-later
"""The review's member of the event log: what receipts hold becomes cases by itself, and messages about cases get into
the log. A consumer group like the cart's (docs/state.md): each receipt counts once, each message is published."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from sqlalchemy import Connection, delete, select

from pipeline.eventlog import Batch, EventLog, Positions
from pipeline.eventlog.codec import decode
from pipeline.messages import ReceiptIssued
from pipeline.review.desk import ReviewDesk
from pipeline.review.tables import messages
from pipeline.state import Database
from pipeline.state.member import GroupMember, Outgoing

GROUP = "walkout-review"
TOPICS = ("walkout.receipts",)


class _Work:
    """The `Work` of the group. `stores`: only receipts of these; None for all."""

    def __init__(self, desk: ReviewDesk, stores: Iterable[str] | None) -> None:
        self._desk, self._stores = desk, None if stores is None else frozenset(stores)

    def take_in(self, db: Connection, batch: Batch) -> Sequence[Outgoing]:
        receipt_ids = dict.fromkeys(
            r.event.receipt_id
            for r in batch.records
            if isinstance(r.event, ReceiptIssued) and (self._stores is None or r.event.store_id in self._stores)
        )
        self._desk.follow(db, receipt_ids)
        return _unpublished(db, {r.partition for r in batch.records})

    def on_time(self, db: Connection, partitions: frozenset[int]) -> Sequence[Outgoing]:
        return _unpublished(db, partitions)

    def committed(self) -> None:
        pass

    def forget(self) -> None:
        pass


class ReviewIntake:
    """One member of the group; arguments as of `GroupMember`."""

    def __init__(
        self, log: EventLog, database: Database, desk: ReviewDesk, *, group: str = GROUP,
        stores: Iterable[str] | None = None, start: Positions | None = None, timer_s: float = 0.5,
    ) -> None:  # fmt: skip
        self._log = log
        self.member = GroupMember(
            log, database, _Work(desk, stores), group=group, topics=TOPICS, start=start, timer_s=timer_s
        )

    def step(self, timeout_s: float = 1.0, max_records: int = 500) -> int:
        """Read, open cases and publish once; how many records were read."""
        return self.member.step(timeout_s, max_records)

    def catch_up(self, ends: Positions | None = None, timeout_s: float = 60.0) -> None:
        """Everything before `ends` (by default all that is in the log) has its cases. Raises `EventLogError` when no
        time is left."""
        self.member.catch_up(self._log.ends(TOPICS) if ends is None else ends, timeout_s)
        partitions = {partition for _, partition in self.member.assigned}
        if partitions:
            self.member.transact(lambda db: _unpublished(db, partitions))

    def close(self) -> None:
        self.member.close()


def _unpublished(db: Connection, partitions: Iterable[int]) -> list[Outgoing]:
    """Messages of these partitions that the caller now publishes."""
    mine = messages.c.partition.in_(sorted(partitions))
    rows = db.execute(select(messages).where(mine).order_by(messages.c.event_id).with_for_update()).all()
    if rows:
        db.execute(delete(messages).where(messages.c.event_id.in_([row.event_id for row in rows])))
    return sorted(
        ((row.partition, decode(row.body)) for row in rows), key=lambda pair: (pair[1].at_ns, pair[1].type)
    )  # fmt: skip
