# SPDX-License-Identifier: AGPL-3.0-or-later
"""A shop with everything that review stands on: a real log and state, the cart's aggregator, the payment desk with the
test provider, the staff's desk, the reviewer's, and the review's member of the log. A clock that tests turn."""

from __future__ import annotations

from pathlib import Path

from pipeline.cart.aggregator import TOPICS as CART_TOPICS
from pipeline.cart.aggregator import Aggregator
from pipeline.cart.desk import Desk
from pipeline.cart.price_book import PriceBook
from pipeline.eventlog import open_log
from pipeline.messages import ReceiptIssued
from pipeline.payment import ledger
from pipeline.payment.accounts import list_payments
from pipeline.payment.bank import Bank
from pipeline.payment.desk import TOPICS as PAYMENT_TOPICS
from pipeline.payment.desk import PaymentDesk
from pipeline.payment.settings import PaymentSettings
from pipeline.review.desk import ReviewDesk
from pipeline.review.intake import ReviewIntake
from pipeline.review.settings import ReviewSettings
from pipeline.state import Database
from tests.unit.cart.events import BREAD, COLA, T0, WATER, S, pick, small_catalogue, visit

ANNA = visit(pick(1, event_id="a1"), pick(2, BREAD, event_id="a2"), pick(3, WATER, sure=0.6, event_id="a3"))
"""Cola and bread billed (149 + 101), water held (55)."""
BEN = visit(pick(4, person="t2", event_id="b1"), track="t2", shopper="ben", visit_id="v2", until_s=60)
"""Cola billed."""


class Shop:
    """`url`: of the state; an SQLite file in `folder` by default."""

    def __init__(self, folder: Path, url: str | None = None, prices=None, **settings) -> None:
        self.folder, self.url = folder, url or f"sqlite:///{folder}/state.sqlite"
        self.now_ns = T0 + 3600 * S
        self.prices = PriceBook.of(prices or small_catalogue())
        self.log = open_log(f"sqlite:///{folder}/log.sqlite")
        self.database = Database(self.url)
        self.bank = Bank(folder / "bank.sqlite", clock=lambda: self.now_ns / S)
        self.aggregator = Aggregator(self.log, self.database, self.prices, timer_s=0)
        self.payments = PaymentDesk(
            self.log, self.database, self.bank, PaymentSettings(), look_every_s=0, clock=lambda: self.now_ns
        )
        self.staff = Desk(self.database, self.prices, clock=lambda: self.now_ns)
        self.desk = ReviewDesk(
            self.database, self.staff, self.prices, ReviewSettings(**settings), clock=lambda: self.now_ns
        )
        self.intake = ReviewIntake(self.log, self.database, self.desk, timer_s=0)

    def tell(self, *visits) -> None:
        """Visits happen, and everybody deals with them."""
        for events in visits:
            self.log.append(list(events))
        self.settle()

    def settle(self) -> None:
        """Corrections are published and paid, messages published."""
        self.aggregator.catch_up(self.log.ends(CART_TOPICS), 20)
        for _ in range(3):
            self.aggregator.step(timeout_s=0)
        self.payments.catch_up(self.log.ends(PAYMENT_TOPICS), 20)
        self.intake.catch_up(timeout_s=20)

    def receipt(self, visit_id: str = "v1") -> ReceiptIssued:
        return max((r for r in self.aggregator.receipts() if r.visit_id == visit_id), key=lambda r: r.version)

    def line(self, gtin: str = COLA, visit_id: str = "v1") -> str:
        return next(line.line_id for line in self.receipt(visit_id).lines if line.gtin == gtin)

    def dispute(self, gtin: str | None = COLA, kind: str = "not-taken", **given) -> str:
        """Anna's."""
        line = self.line(gtin) if gtin else None
        return self.desk.open_dispute("anna", self.receipt().receipt_id, line, kind, **given)

    def held(self, visit_id: str = "v1"):
        return [c for c in self.desk.queue() if c.origin == "held" and c.visit_id == visit_id]

    def paid(self, visit_id: str = "v1") -> int:
        """What the provider has taken from the payer of this visit and not given back."""
        payer = self.receipt(visit_id).shopper_id
        return sum(a["captured"] - a["refunded"] for a in self.bank.authorizations() if a["payer"] == payer)

    def payment(self, visit_id: str = "v1") -> dict:
        return next(p for p in list_payments(self.database) if p["visit_id"] == visit_id)

    def books(self) -> dict[str, int]:
        """Balances that are not zero; every posting must balance."""
        with self.database.transaction() as db:
            assert ledger.unbalanced(db) == []
            return {account: amount for (account, _), amount in ledger.balances(db).items() if amount}

    def told(self) -> list:
        """What is in the log about cases, without repeats."""
        reader, found = self.log.read("test", ["walkout.disputes"]), {}
        while records := reader.poll(0).records:
            found.update((r.event.event_id, r.event) for r in records)
        reader.close()
        return list(found.values())

    def close(self) -> None:
        for part in (self.intake, self.payments, self.aggregator, self.bank, self.database, self.log):
            part.close()
