# SPDX-License-Identifier: AGPL-3.0-or-later
"""A payment desk on a real log, a real database and the test provider; and short ways to write receipts down."""

from __future__ import annotations

from pathlib import Path

from pipeline.eventlog import open_log
from pipeline.messages import PaymentUpdated, ReceiptIssued, ReceiptLine, TaxLine, VisitOpened
from pipeline.payment import ledger
from pipeline.payment.bank import Bank
from pipeline.payment.bank_rules import Rule
from pipeline.payment.desk import TOPICS, PaymentDesk
from pipeline.payment.settings import PaymentSettings
from pipeline.state import Database

S = 1_000_000_000
T0 = 1_700_000_000 * S


def opened(visit="v1", shopper="anna") -> VisitOpened:
    return VisitOpened(
        event_id=f"{visit}-open", store_id="shop", at_ns=T0, visit_id=visit, gate_id="gate", shopper_id=shopper
    )


def receipt(total, version=1, visit="v1", shopper="anna", currency="EUR") -> ReceiptIssued:
    """Of one product at `total` minor units with 20 % tax in it."""
    net = (total * 1000 + 600) // 1200
    line = ReceiptLine(
        gtin="2000000000015", name="Cola", quantity=1, unit_price_minor=total, total_minor=total,
        tax_class="standard", event_ids=("e1",), status="billed",
    )  # fmt: skip
    tax = TaxLine(tax_class="standard", rate_ppm=200_000, net_minor=net, tax_minor=total - net)
    return ReceiptIssued(
        event_id=f"r-{visit}-{version}-{total}", store_id="shop", at_ns=T0 + 60 * S, receipt_id=f"r-{visit}",
        version=version, visit_id=visit, shopper_id=shopper, currency=currency, lines=(line,) if total else (),
        total_minor=total, taxes=(tax,) if total else (), held_for_review=False, entered_at_ns=T0,
        left_at_ns=T0 + 60 * S,
    )  # fmt: skip


class Shop:
    """Everything in `folder`; `open_desk` again is what a restart is."""

    def __init__(self, folder: Path, url: str | None = None, **settings) -> None:
        self.now_ns = T0
        self.settings = PaymentSettings(**settings)
        self.log = open_log(f"sqlite:///{folder}/log.sqlite")
        self.database = Database(url or f"sqlite:///{folder}/state.sqlite")
        self.bank = Bank(folder / "bank.sqlite", clock=lambda: self.now_ns / S)
        self.calls: list = []
        self.desk = self.open_desk()

    def open_desk(self, provider=None) -> PaymentDesk:
        return PaymentDesk(
            self.log, self.database, provider or self.bank, self.settings, look_every_s=0,
            clock=lambda: self.now_ns, called=lambda due, outcome: self.calls.append((due.call, outcome)),
        )  # fmt: skip

    def rule(self, outcome, **rest) -> None:
        self.bank.add_rule(Rule(outcome=outcome, **rest))

    def tell(self, *events) -> None:
        """Events happen, and the desk deals with them."""
        self.log.append(list(events))
        self.settle()

    def settle(self, after_s: float = 0) -> None:
        self.now_ns += round(after_s * S)
        self.desk.catch_up(self.log.ends(TOPICS), timeout_s=20)

    def kinds(self) -> list[str]:
        """What was asked of the provider, in order."""
        return [f"{call.kind} {call.money.amount_minor}" for call, _ in self.calls]

    def charges(self) -> list[tuple[str, int, int, int, str]]:
        return [
            (a["payer"], a["amount"], a["captured"], a["refunded"], a["state"]) for a in self.bank.authorizations()
        ]  # fmt: skip

    def taken(self, payer: str | None = None) -> int:
        """What the provider has taken and not given back."""
        return sum(a["captured"] - a["refunded"] for a in self.bank.authorizations() if payer in (None, a["payer"]))

    def balance(self, account: str, currency: str = "EUR") -> int:
        return self.balances().get((account, currency), 0)

    def balances(self) -> dict[tuple[str, str], int]:
        with self.database.transaction() as db:
            assert ledger.unbalanced(db) == []
            return {place: amount for place, amount in ledger.balances(db).items() if amount}

    def told(self) -> list[PaymentUpdated]:
        """What was published about payments, without repeats."""
        reader, found = self.log.read("test", ["walkout.payments"]), {}
        while records := reader.poll(0).records:
            found.update((r.event.event_id, r.event) for r in records)
        reader.close()
        return list(found.values())

    def close(self) -> None:
        self.desk.close()
        self.bank.close()
        self.database.close()
        self.log.close()
