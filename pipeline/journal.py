# SPDX-License-Identifier: AGPL-3.0-or-later
"""Where a run writes its events and gets its receipts from: the event log, and an aggregator that reads it. Beside it
the payment desk and the review, which read the receipts."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field

from pipeline.cart.aggregator import TOPICS, Aggregator
from pipeline.cart.paper import PaperSettings, write_papers
from pipeline.errors import EventLogError
from pipeline.eventlog import EventLog, open_log
from pipeline.messages import Event, ReceiptIssued, VisitClosed
from pipeline.payment.embedded import BANK_FILE, EmbeddedPayments, LivePayments
from pipeline.review.embedded import EmbeddedReview
from pipeline.run_files import RunFolder
from pipeline.settings import StoreSettings
from pipeline.shop import Shop

LOG_FILE, STATE_FILE = "log.sqlite", "state.sqlite"
_AGGREGATE_EVERY_S = 0.5
_PAYMENTS_EVERY_S = 5.0
"""payments.json has all payments of a live shop: it is not written anew for each call to the provider."""
_CATCH_UP_S = 120.0


@dataclass
class Journal:
    """The event log, the aggregator and the payment desk on it. `live`: the state may hold receipts of earlier days,
    and they count. `payments`: None where the settings want none.
    """

    log: EventLog
    aggregator: Aggregator
    folder: RunFolder
    live: bool
    payments: EmbeddedPayments | LivePayments | None = None
    review: EmbeddedReview | None = None
    paper: PaperSettings = field(default_factory=PaperSettings)
    closings: list[VisitClosed] = field(default_factory=list)
    _known: list[ReceiptIssued] = field(default_factory=list)
    _newest: int = 0
    _written: int = -1
    _paid: int = -1
    _stale: bool = False
    _told_ns: int = 0
    _papers: int = 0
    _stepped_ns: int = 0

    def append(self, events: Sequence[Event], at_ns: int) -> None:
        """Log the events, and now and then see what the aggregator has made of them.

        When that is, the footage's time `at_ns` says, not the machine's: two runs of one recording write the same files
        at the same moments, however fast each of them is. A clock that was set back does not stop it.
        """
        if events:
            self.log.append(events)
            self.folder.add_events(events)
            self.closings += [e for e in events if isinstance(e, VisitClosed)]
        if abs(at_ns - self._stepped_ns) >= _AGGREGATE_EVERY_S * 1e9:
            self._stepped_ns = at_ns
            read = 0
            while new := self.aggregator.step(timeout_s=0):
                read += new
            if self.payments and self.payments.step():
                self._stale = True
            if self.review:
                self.review.step()
            if self._stale and abs(at_ns - self._told_ns) >= _PAYMENTS_EVERY_S * 1e9:
                self._stale, self._told_ns, self._paid = False, at_ns, -1
            if (read or self._paid < 0) and self.closings:
                self.write()

    def finish(self) -> None:
        """Every closing of this run becomes a receipt before this returns."""
        if not self.aggregator.catch_up(self.log.ends(TOPICS), _CATCH_UP_S):
            raise EventLogError(f"the event log did not give back within {_CATCH_UP_S:g} s what was written to it")
        if self.payments:
            self.payments.finish(_CATCH_UP_S)
        if self.review:
            self.review.finish(_CATCH_UP_S)
        self._written = self._paid = -1
        self.write()

    def receipts(self) -> list[ReceiptIssued]:
        """Of a recording, only its own visits': on a shared log there are others. Each is read from the state once:
        this is asked between the cameras' windows, and a live shop has the receipts of years."""
        if new := self.aggregator.receipts_after(self._newest):
            self._newest = new[-1][0]
            self._known += [receipt for _, receipt in new]
        mine = {c.visit_id for c in self.closings}
        return [r for r in self._known if self.live or r.visit_id in mine]

    def write(self) -> None:
        """receipts.json, payments.json and the receipts for people, where there is something new."""
        receipts = self.receipts()
        if new := {r.receipt_id for r in receipts[self._papers :]}:
            write_papers(self.folder.path, [r for r in receipts if r.receipt_id in new], self.paper)
            self._papers = len(receipts)
        if len(receipts) != self._written:
            self.folder.write_receipts(receipts)
            self._written = len(receipts)
        if self.payments and len(receipts) != self._paid:
            self.folder.write_payments(self.payments.payments([r.visit_id for r in receipts]))
            self._paid = len(receipts)


@contextmanager
def open_journal(shop: Shop, settings: StoreSettings, folder: RunFolder) -> Iterator[Journal]:
    live = shop.recording is None
    if not live:  # a recording is run from scratch
        for name in (STATE_FILE, LOG_FILE, BANK_FILE):
            for suffix in ("", "-wal", "-shm", "-journal"):
                (folder.path / f"{name}{suffix}").unlink(missing_ok=True)
    log_url = settings.log_url or f"sqlite:///{folder.path / LOG_FILE}"
    state_url, store_id = f"sqlite:///{folder.path / STATE_FILE}", shop.layout.store_id
    log = open_log(log_url)
    try:
        # Runs of recordings are strangers to each other, even on one log; a live store is one group for ever.
        tail = "" if live else "-" + hashlib.sha256(str(folder.path.resolve()).encode()).hexdigest()[:12]
        aggregator = Aggregator(
            log,
            state_url,
            shop.prices,
            settings.billing,
            group=f"walkout-cart-{store_id}{tail}",
            stores=[store_id],
            start=None if live else log.ends(TOPICS),
        )
        with ExitStack() as stack:
            stack.callback(aggregator.close)
            payments = None
            if settings.payment.provider != "none":
                here = (state_url, folder.path, store_id, settings.payment)
                payments = LivePayments(log_url, *here) if live else EmbeddedPayments(log, *here, live=False, tail=tail)
                stack.callback(payments.close)
            review = EmbeddedReview(log, state_url, shop.prices, store_id, settings.review, live=live, tail=tail)
            stack.callback(review.close)
            journal = Journal(log, aggregator, folder, live, payments, review, settings.paper)
            if live:
                journal.write()  # receipts of earlier days are there from the start
            yield journal
    finally:
        log.close()
