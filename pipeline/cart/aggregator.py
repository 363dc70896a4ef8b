# SPDX-License-Identifier: AGPL-3.0-or-later
"""One member of the cart's consumer group: reads the log, folds, and puts out each visit's receipt once.

What it does with events is `Settling`, how it does so exactly once is `GroupMember`; here is what belongs to running
one: the database it opens, receipts to look at, and settling what waits when the log has ended.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence

from sqlalchemy import select

from calibration.catalogue import Catalogue
from pipeline.cart.price_book import PriceBook
from pipeline.cart.rules import BillingRules
from pipeline.cart.settling import Settling
from pipeline.cart.tables import receipts
from pipeline.eventlog import EventLog, Positions
from pipeline.eventlog.codec import decode
from pipeline.messages import Event, ReceiptIssued
from pipeline.state import Database
from pipeline.state.member import GroupMember

TOPICS = ("walkout.visits", "walkout.shelf-events")


class Aggregator:
    """One member of the cart's consumer group.

    Args:
        log: where events come from and receipts go to.
        state: the database, or its URL, e.g. `sqlite:///run/state.sqlite`; see `Database`.
        stores: only events of these stores; None for all that the log's partitions hold.
        start: where to begin reading while the state knows no position; the oldest record where it is silent.
        patience_s: how long an exit waits for events that it names before it is settled without them, and held.
        clock: seconds since the epoch, for `patience_s` only. timer_s: how often it is looked whether they have come.
        published: told of receipts when the log has them.
    """

    def __init__(
        self,
        log: EventLog,
        state: Database | str,
        prices: PriceBook | Catalogue,
        rules: BillingRules | None = None,
        *,
        group: str = "walkout-cart",
        stores: Iterable[str] | None = None,
        start: Positions | None = None,
        patience_s: float = 60.0,
        clock: Callable[[], float] = time.time,
        timer_s: float = 0.5,
        published: Callable[[Sequence[Event]], None] | None = None,
    ) -> None:
        self._own_database = isinstance(state, str)
        self._database = Database(state) if isinstance(state, str) else state
        rules = rules or BillingRules()
        self._settling = Settling(prices, rules, stores=stores, patience_s=patience_s, clock=clock)
        self.member = GroupMember(
            log,
            self._database,
            self._settling,
            group=group,
            topics=TOPICS,
            start=start,
            timer_s=timer_s,
            published=published,
        )

    def step(self, timeout_s: float = 1.0, max_records: int = 500) -> int:
        """Read, fold and publish once; how many records were read."""
        return self.member.step(timeout_s, max_records)

    def catch_up(self, ends: Positions, timeout_s: float = 60.0) -> None:
        """Step until everything before `ends` has been read, then settle what is still waiting. Raises
        `EventLogError` when no time is left."""
        self.member.catch_up(ends, timeout_s)
        self.member.transact(self._settling.settle_waiting)

    def receipts(self) -> list[ReceiptIssued]:
        """All receipts so far, in the order in which they were made."""
        return [receipt for _, receipt in self.receipts_after(0)]

    def receipts_after(self, number: int) -> list[tuple[int, ReceiptIssued]]:
        """As the function `receipts_after`."""
        return receipts_after(self._database, number)

    def close(self) -> None:
        self.member.close()
        if self._own_database:
            self._database.close()


def receipts_after(database: Database, number: int) -> list[tuple[int, ReceiptIssued]]:
    """Receipts with a higher number than this, which rises with each that is made, and their numbers."""
    query = select(receipts.c.number, receipts.c.body).where(receipts.c.number > number)
    with database.transaction() as db:
        rows = db.execute(query.order_by(receipts.c.number)).all()
    return [(row.number, decode(row.body)) for row in rows]
