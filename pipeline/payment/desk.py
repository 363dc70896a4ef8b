# SPDX-License-Identifier: AGPL-3.0-or-later
"""The payment desk: receipts in, exactly one payment for each.

A consumer group of visits and receipts like the cart's (`GroupMember`): what it reads becomes rows in the transaction
that stores the offset. From the rows `plan` works out one outside call after the other; each is committed before it is
made and its result after, so a crash at any point leaves a row that says which call to repeat, with the same key.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

from sqlalchemy import Connection

from pipeline.errors import FencedError, PaymentError
from pipeline.eventlog import Batch, EventLog, Positions
from pipeline.messages import Event, ReceiptIssued, VisitOpened
from pipeline.observe.logs import get_logger
from pipeline.payment.books import Books, Due
from pipeline.payment.port import Outcome, PaymentProvider, Unknown, make
from pipeline.payment.settings import PaymentSettings
from pipeline.state import Database
from pipeline.state.member import GroupMember, Outgoing

GROUP = "walkout-payment"
TOPICS = ("walkout.visits", "walkout.receipts")
_TURN_S = 10.0
"""With a provider that does not answer, a desk still comes round to the log and to its health check this often."""
log = get_logger(__name__)


class PaymentDesk:
    """One member of the payment group.

    Args:
        stores: only receipts of these stores; None for all that the log's partitions hold.
        start: as for `GroupMember`.
        look_every_s: how often payments that wait (for a retry, for an answer) are looked for.
        clock: ns since the epoch, for retries and time stamps.
        called: told of every call and its outcome.
    """

    def __init__(
        self,
        event_log: EventLog,
        database: Database,
        provider: PaymentProvider,
        settings: PaymentSettings | None = None,
        *,
        group: str = GROUP,
        stores: Sequence[str] | None = None,
        start: Positions | None = None,
        name: str | None = None,
        look_every_s: float = 0.25,
        clock: Callable[[], int] = time.time_ns,
        called: Callable[[Due, Outcome], None] | None = None,
        published: Callable[[Sequence[Event]], None] | None = None,
    ) -> None:
        self._provider, self._look_every_s = provider, look_every_s
        # Calls of one transaction: many where they are quick, few where one that hangs keeps the others waiting.
        self._batch = 64 if provider.parallel == 1 else 2 * provider.parallel
        self._called = called or (lambda due, outcome: None)
        self._books = Books(settings or PaymentSettings(), clock)
        self._intake = _Intake(self._books, None if stores is None else frozenset(stores))
        self._looked_s = float("-inf")
        self._threads = ThreadPoolExecutor(provider.parallel, "payment") if provider.parallel > 1 else None
        self.member = GroupMember(
            event_log, database, self._intake, group=group, topics=TOPICS, start=start, name=name, published=published
        )

    def step(self, timeout_s: float = 1.0, max_records: int = 500) -> int:
        """Read once and make the calls that are due; how many records were read and calls made."""
        read = self.member.step(timeout_s, max_records)
        now_s = time.monotonic()
        if not self._intake.fresh and now_s - self._looked_s < self._look_every_s:
            return read
        self._looked_s = now_s
        self._intake.fresh = False
        return read + self.work(_TURN_S)

    def work(self, at_most_s: float = math.inf) -> int:
        """Make the calls that are due now, and those that follow from their answers; how many were made. What is left
        when `at_most_s` is over is for the next time."""
        partitions = frozenset(partition for _, partition in self.member.assigned)
        made, until_s = 0, time.monotonic() + at_most_s
        try:
            while partitions:
                if time.monotonic() > until_s:
                    self._intake.fresh = True
                    break
                calls = self._begin(partitions)
                if not calls:
                    break
                while calls:
                    outcomes = list((self._threads.map if self._threads else map)(self._make, calls))
                    made += len(calls)
                    calls = self._conclude(calls, outcomes)
        except FencedError as error:  # whoever has these partitions now repeats the calls with the same keys
            log.warning("payments left to another desk", reason=str(error))
        return made

    def catch_up(self, ends: Positions, timeout_s: float = 60.0) -> None:
        """Everything before `ends` is read and every payment at rest or waiting. Raises `EventLogError` when no time is
        left."""
        self.member.catch_up(ends, timeout_s)
        if not self.member.assigned:  # nothing to read; what the state holds is to be worked on all the same
            self.member.step(timeout_s=0)
        self.work()

    def close(self) -> None:
        self.member.close()
        if self._threads:
            self._threads.shutdown()

    # --- inside ---

    def _begin(self, partitions: frozenset[int]) -> list[Due]:
        calls: list[Due] = []

        def begin(db: Connection) -> Sequence[Outgoing]:
            calls.clear()
            said: list[Outgoing] = []
            if self._intake.recover:
                self._books.recover(db, partitions)
            for visit_id in self._books.due(db, partitions, self._batch):
                if due := self._books.advance(db, visit_id, said):
                    calls.append(due)
            return said

        self.member.transact(begin)
        self._intake.recover = False
        return calls

    def _conclude(self, made: list[Due], outcomes: list[Outcome]) -> list[Due]:
        """Write the results down, and at once the calls that follow from them."""
        calls: list[Due] = []

        def conclude(db: Connection) -> Sequence[Outgoing]:
            calls.clear()
            said: list[Outgoing] = []
            for due, outcome in zip(made, outcomes, strict=True):
                self._books.conclude(db, due, outcome)
                if not isinstance(outcome, Unknown) and (after := self._books.advance(db, due.visit_id, said)):
                    calls.append(after)
            return said

        self.member.transact(conclude)
        return calls

    def _make(self, due: Due) -> Outcome:
        """The call's outcome; unknown when the provider raises something: the call is repeated until it is known."""
        began = time.perf_counter()
        outcome: Outcome | None = None
        try:
            if due.repeated and due.age_s > self._provider.remembers_keys_s:
                outcome = self._provider.look_up(due.call)
            outcome = outcome or make(self._provider, due.call)
        except PaymentError as error:
            outcome = Unknown(str(error))
        except Exception as error:
            log.exception("payment call failed", visit_id=due.visit_id, key=due.call.key)
            outcome = Unknown(f"{type(error).__name__}: {error}")
        log.info(
            "payment call", visit_id=due.visit_id, key=due.call.key, kind=due.call.kind,
            amount_minor=due.call.money.amount_minor, currency=due.call.money.currency,
            outcome=type(outcome).__name__.lower(), reason=getattr(outcome, "reason", ""),
            took_s=round(time.perf_counter() - began, 4),
        )  # fmt: skip
        self._called(due, outcome)
        return outcome


class _Intake:
    """What the group does with the events it reads: rows. `fresh`: there are new ones; `recover`: partitions are new,
    and calls that were cut off may lie in them."""

    def __init__(self, books: Books, stores: frozenset[str] | None) -> None:
        self._books, self._stores = books, stores
        self.fresh = self.recover = True

    def take_in(self, db: Connection, batch: Batch) -> Sequence[Outgoing]:
        for record in batch.records:
            event = record.event
            if self._stores is not None and event.store_id not in self._stores:
                continue
            if isinstance(event, ReceiptIssued):
                self._books.take_receipt(db, event, record.partition)
            elif isinstance(event, VisitOpened):
                self._opened(db, event, record.partition)
        return ()

    def _opened(self, db: Connection, event: VisitOpened, partition: int) -> None:
        self._books.open_visit(db, event.visit_id, event.store_id, partition, event.shopper_id)
        if self._books.settings.collect_at_entry:
            self._books.retry_shopper(db, event.shopper_id)

    def on_time(self, db: Connection, partitions: frozenset[int]) -> Sequence[Outgoing]:
        return ()

    def committed(self) -> None:
        self.fresh = True

    def forget(self) -> None:
        self.recover = self.fresh = True
