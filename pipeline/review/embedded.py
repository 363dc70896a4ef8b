# SPDX-License-Identifier: AGPL-3.0-or-later
"""Review in the one process of a shop: its member of the log beside the aggregator, on the same log and state."""

from __future__ import annotations

from pipeline.cart.desk import Desk
from pipeline.cart.price_book import PriceBook
from pipeline.eventlog import EventLog
from pipeline.review.desk import ReviewDesk
from pipeline.review.intake import GROUP, TOPICS, ReviewIntake
from pipeline.review.settings import ReviewSettings
from pipeline.state import Database


class EmbeddedReview:
    """The member of one store in a process that also aggregates; `tail` as the other groups'."""

    def __init__(
        self, log: EventLog, database: Database, prices: PriceBook, store_id: str, settings: ReviewSettings, *,
        live: bool, tail: str = "",
    ) -> None:  # fmt: skip
        self._intake = ReviewIntake(
            log, database, ReviewDesk(database, Desk(database, prices), prices, settings),
            group=f"{GROUP}-{store_id}{tail}", stores=[store_id], start=None if live else log.ends(TOPICS),
        )  # fmt: skip

    def step(self) -> None:
        """Take what has been written to the log since, without waiting."""
        while self._intake.step(timeout_s=0):
            pass

    def finish(self, timeout_s: float) -> None:
        """Everything that the receipts in the log hold is a case before this returns."""
        self._intake.catch_up(timeout_s=timeout_s)

    def close(self) -> None:
        self._intake.close()
