# SPDX-License-Identifier: AGPL-3.0-or-later
"""Bills and review in the one process of a shop: what it makes of its own events.

Step by step where the log is here, so that two runs of a recording are the same. In a thread where the log is elsewhere
and may be away: cameras do not wait for it.
"""

from __future__ import annotations

from pipeline.beside import Beside
from pipeline.cart.aggregator import TOPICS, Aggregator, receipts_after
from pipeline.cart.price_book import PriceBook
from pipeline.eventlog import EventLog
from pipeline.messages import ReceiptIssued
from pipeline.review.embedded import EmbeddedReview
from pipeline.settings import StoreSettings
from pipeline.state import Database


class Books:
    """One store's aggregator and review on one log and state, which stay open. `tail`: added to their groups' names."""

    def __init__(
        self, log: EventLog, database: Database, store_id: str, prices: PriceBook, settings: StoreSettings, *,
        live: bool, tail: str = "",
    ) -> None:  # fmt: skip
        self._log = log
        self._aggregator = Aggregator(
            log, database, prices, settings.billing, group=f"walkout-cart-{store_id}{tail}", stores=[store_id],
            start=None if live else log.ends(TOPICS),
        )  # fmt: skip
        try:
            self._review = EmbeddedReview(log, database, prices, store_id, settings.review, live=live, tail=tail)
        except BaseException:
            self._aggregator.close()
            raise

    def step(self, timeout_s: float = 0) -> bool:
        """Take what has been written to the log since, waiting so long for the first; whether there was anything."""
        read = 0
        while new := self._aggregator.step(timeout_s):
            read, timeout_s = read + new, 0
        self._review.step()
        return read > 0

    def finish(self, timeout_s: float) -> None:
        """Every closing in the log is a receipt, and what those hold is a case, before this returns."""
        self._aggregator.catch_up(self._log.ends(TOPICS), timeout_s)
        self._review.finish(timeout_s)

    def receipts_after(self, number: int) -> list[tuple[int, ReceiptIssued]]:
        return self._aggregator.receipts_after(number)

    def close(self) -> None:
        self._review.close()
        self._aggregator.close()


class LiveBooks(Beside):
    """`Books` of live cameras in a thread, with a log and database connections of its own."""

    def __init__(
        self, log_url: str, state_url: str, store_id: str, prices: PriceBook, settings: StoreSettings
    ) -> None:  # fmt: skip
        super().__init__(
            "bills", log_url, state_url, lambda *here: Books(*here, store_id, prices, settings, live=True)
        )  # fmt: skip

    def receipts_after(self, number: int) -> list[tuple[int, ReceiptIssued]]:
        return receipts_after(self.database, number)
