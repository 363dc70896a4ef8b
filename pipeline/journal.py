# SPDX-License-Identifier: AGPL-3.0-or-later
"""Where a run writes its events and gets its receipts from: the event log, and an aggregator that reads it. Beside it
the payment desk and the review, which read the receipts.

Of live cameras whose log is elsewhere, events go to the shop's own disk first, and whoever reads the log does so in
threads: an outage stops nothing but bills, which are made when it is over.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from typing import Literal

from pipeline.beside import Beside
from pipeline.books import Books, LiveBooks
from pipeline.cart.paper import PaperSettings, write_papers
from pipeline.errors import StateUnreachableError
from pipeline.eventlog import EventLog, is_elsewhere, log_opener, open_log
from pipeline.eventlog.spool import SpooledLog
from pipeline.gate.entry_settings import load_entry_settings
from pipeline.messages import Event, ReceiptIssued, VisitClosed
from pipeline.payment.embedded import EmbeddedPayments, LivePayments
from pipeline.payment.providers import BANK_FILE
from pipeline.run_files import RunFolder
from pipeline.settings import StoreSettings
from pipeline.shop import Shop
from pipeline.state import Database

logger = logging.getLogger(__name__)

LOG_FILE, STATE_FILE, SPOOL_FILE = "log.sqlite", "state.sqlite", "spool.sqlite"
_AGGREGATE_EVERY_S = 0.5
_PAYMENTS_EVERY_S = 5.0
"""payments.json has all payments of a live shop: it is not written anew for each call to the provider."""
_CATCH_UP_S = 120.0
_SEND_S = 60.0


@dataclass
class Journal:
    """The event log, the books and the payment desk on it. `live`: the state may hold receipts of earlier days, and
    they count. `books`: None where bills are made elsewhere. `payments`: None where the settings want none.
    """

    log: EventLog
    books: Books | LiveBooks | None
    folder: RunFolder
    live: bool
    payments: EmbeddedPayments | LivePayments | None = None
    paper: PaperSettings = field(default_factory=PaperSettings)
    closings: list[VisitClosed] = field(default_factory=list)
    _known: list[ReceiptIssued] = field(default_factory=list)
    _newest: int = 0
    _written: int = -1
    _paid: int = -1
    _stale: bool = False
    _told_ns: int = 0
    _papers: int = 0
    _late: bool = False
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
        if self.books is not None and abs(at_ns - self._stepped_ns) >= _AGGREGATE_EVERY_S * 1e9:
            self._stepped_ns = at_ns
            read = self.books.step()
            if self.payments and self.payments.step():
                self._stale = True
            if self._stale and abs(at_ns - self._told_ns) >= _PAYMENTS_EVERY_S * 1e9:
                self._stale, self._told_ns, self._paid = False, at_ns, -1
            if (read or self._paid < 0) and (self.closings or self.live):
                self.write()

    def waiting(self) -> int:
        """How many events wait for a log that is away."""
        return self.log.waiting() if isinstance(self.log, SpooledLog) and self.log.away else 0

    def waits_for(self, work: Literal["bills", "payments"]) -> str | None:
        """What a live shop's bills or payments cannot be made without now; None while they are made."""
        beside = self.books if work == "bills" else self.payments
        return (beside.waits_for or None) if isinstance(beside, Beside) else None

    def finish(self) -> None:
        """Every closing of this run becomes a receipt before this returns; of a live shop whose log is away, when it is
        started again."""
        sent = not isinstance(self.log, SpooledLog) or self.log.flush(_SEND_S)
        if self.books is None:
            return
        if sent:
            self.books.finish(_CATCH_UP_S)
            if self.payments:
                self.payments.finish(_CATCH_UP_S)
        else:
            logger.warning("bills of the last visits are made when the shop is started again: the event log is away")
        self._written = self._paid = -1
        self.write()

    def receipts(self) -> list[ReceiptIssued]:
        """Of a recording, only its own visits': on a shared log there are others. Each is read from the state once:
        this is asked between the cameras' windows, and a live shop has the receipts of years."""
        if self.books is not None and (new := self.books.receipts_after(self._newest)):
            self._newest = new[-1][0]
            self._known += [receipt for _, receipt in new]
        mine = {c.visit_id for c in self.closings}
        return [r for r in self._known if self.live or r.visit_id in mine]

    def known(self) -> list[ReceiptIssued]:
        """As `receipts`; of a live shop whose database is away, those that have been read."""
        try:
            return self.receipts()
        except StateUnreachableError:
            if not self.live:
                raise
            return list(self._known)

    def write(self) -> None:
        """receipts.json, payments.json and the receipts for people, where there is something new. A live shop whose
        database is away does so later."""
        try:
            self._write()
        except StateUnreachableError as error:
            if not self.live:
                raise
            if not self._late:
                logger.warning("receipts and payments are written down later: %s", error)
            self._late, self._written, self._paid = True, -1, -1
        else:
            self._late = False

    def _write(self) -> None:
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
def open_journal(shop: Shop, settings: StoreSettings, folder: RunFolder, bills: bool = True) -> Iterator[Journal]:
    """A recording's log, state and payments lie in its run's `folder` and are made anew. A live store's are those of
    its gates and pages: log and files in the store's own folder where the settings name no others, state in the
    database of its entry.yaml. `bills`: False where a chain makes them."""
    live, store_id = shop.recording is None, shop.layout.store_id
    home = shop.folder if live else folder.path
    if live:
        state_url = load_entry_settings(shop.folder).state_url
    else:
        state_url = f"sqlite:///{home / STATE_FILE}"
        for name in (STATE_FILE, LOG_FILE, BANK_FILE):
            for suffix in ("", "-wal", "-shm", "-journal"):
                (home / f"{name}{suffix}").unlink(missing_ok=True)
    log_url = settings.log_url or f"sqlite:///{home / LOG_FILE}"
    spooled = live and is_elsewhere(log_url)
    with ExitStack() as stack:
        log = SpooledLog(home / SPOOL_FILE, log_opener(log_url)) if spooled else open_log(log_url)
        stack.callback(log.close)
        books = payments = None
        if bills:
            # Runs of recordings are strangers to each other, even on one log; a live store is one group for ever.
            tail = "" if live else "-" + hashlib.sha256(str(folder.path.resolve()).encode()).hexdigest()[:12]
            if live and (spooled or not state_url.startswith("sqlite:")):
                books = LiveBooks(log_url, state_url, store_id, shop.prices, settings)
            else:
                database = stack.enter_context(closing(Database(state_url)))
                books = Books(log, database, store_id, shop.prices, settings, live=live, tail=tail)
            stack.callback(books.close)
        if bills and settings.payment.provider != "none":
            here = (home, store_id, settings.payment)
            if live:
                payments = LivePayments(log_url, state_url, *here)
            else:
                payments = EmbeddedPayments(log, database, *here, live=False, tail=tail)
            stack.callback(payments.close)
        journal = Journal(log, books, folder, live, payments, settings.paper)
        if live and books is not None:
            journal.write()  # receipts of earlier days are there from the start
        yield journal
