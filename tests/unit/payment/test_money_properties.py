# SPDX-License-Identifier: AGPL-3.0-or-later
"""Any sequence of entries, receipts, corrections, declines, time-outs, expired holds and crashes: the provider has what
the receipts say, or the rest is an open balance, and the ledger says the same."""

import shutil
import tempfile
from contextlib import suppress
from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from pipeline.state import Database
from tests.unit.payment.shop import Shop, opened, receipt

VISITS = st.sampled_from(["v1", "v2"])
AMOUNTS = st.sampled_from([0, 1, 100, 499, 500, 501, 1200])
SHOPPERS = {"v1": "anna", "v2": "ben"}
_template: list[Path] = []


def empty_state() -> Path:
    if not _template:
        folder = Path(tempfile.mkdtemp(prefix="walkout-payment-"))
        Database(f"sqlite:///{folder}/state.sqlite").close()
        _template.append(folder / "state.sqlite")
    return _template[0]


class Crash(BaseException):
    """The process dies: nothing in memory survives, and nobody catches it."""


class DiesBeforeOrAfter:
    """The provider, with our process dying just before its call arrives or just after it was done."""

    parallel, name, remembers_keys_s = 1, "test", float("inf")

    def __init__(self, bank, after: bool) -> None:
        self._bank, self._after = bank, after

    def __getattr__(self, name):
        def call(*arguments):
            if self._after:
                getattr(self._bank, name)(*arguments)
            raise Crash

        return call


class Money(RuleBasedStateMachine):
    @initialize(hold=st.sampled_from([0, 500]))
    def start(self, hold):
        self.folder = Path(tempfile.mkdtemp(prefix="walkout-payment-"))
        shutil.copy(empty_state(), self.folder / "state.sqlite")
        self.shop = Shop(self.folder, hold_minor=hold, currency="EUR", retry_after_s=(5,), ask_again_s=(1, 2))
        self.versions: dict[str, list[int]] = {}
        self.visitors = 0

    def happens(self, *events):
        self.shop.log.append(list(events))

    @rule(visit=VISITS)
    def enters(self, visit):
        self.happens(opened(visit, SHOPPERS[visit]))

    @rule(visit=VISITS, total=AMOUNTS, again=st.booleans())
    def receipt_or_correction(self, visit, total, again):
        totals = self.versions.setdefault(visit, [])
        totals.append(total)
        made = receipt(total, len(totals), visit, SHOPPERS[visit])
        self.happens(*[made] * (1 + again))

    @rule(kind=st.sampled_from(["authorize", "capture", "refund"]), times=st.integers(1, 4))
    def declines(self, kind, times):
        self.shop.rule("decline:do_not_honor", kind=kind, times=times)

    @rule(when=st.sampled_from(["timeout-before", "timeout-after"]), times=st.integers(1, 3))
    def does_not_answer(self, when, times):
        self.shop.rule(when, times=times, per_key=None)

    @rule()
    def holds_expire(self):
        for authorization in self.shop.bank.authorizations():
            self.shop.bank.expire(authorization["reference"])

    @rule()
    def works(self):
        self.shop.settle(after_s=1)

    @rule(after=st.booleans())
    def crashes(self, after):
        """With whatever is written down just then; a new process takes over."""
        self.shop.desk = self.shop.open_desk(DiesBeforeOrAfter(self.shop.bank, after))
        with suppress(Crash):
            self.shop.settle(after_s=10)
        self.shop.desk = self.shop.open_desk()

    @precondition(lambda self: self.versions)
    @rule()
    def in_the_end(self):
        for _ in range(12):
            self.shop.settle(after_s=10)
        for visit, totals in self.versions.items():
            (told,) = [t for t in self.newest() if t.visit_id == visit]
            taken = self.shop.taken(SHOPPERS[visit])
            assert (told.version, told.due_minor, told.paid_minor) == (len(totals), totals[-1], taken)
            assert told.status == ("paid" if taken == totals[-1] else "open")
            assert told.open_minor == totals[-1] - taken
            held = [c for c in self.shop.charges() if c[0] == SHOPPERS[visit] and c[-1] == "held"]
            assert not held, "no hold is left to expire"
        due = sum(totals[-1] for totals in self.versions.values())
        sales = sum(a for (account, _), a in self.shop.balances().items() if account.startswith(("revenue", "tax")))
        assert -sales == due
        assert self.shop.balance("open-balance") == due - self.shop.taken()
        assert self.shop.balance("receivable") == 0
        assert self.shop.balance("refunds") == 0

    def newest(self):
        return {t.visit_id: t for t in self.shop.told()}.values()

    @invariant()
    def books_balance_and_match_the_provider(self):
        if not hasattr(self, "shop"):
            return
        balances = self.shop.balances()  # every posting adds up to zero, or this fails
        assert sum(balances.values()) == 0
        for charge in self.shop.bank.authorizations():
            assert 0 <= charge["refunded"] <= charge["captured"] <= charge["amount"]

    def teardown(self):
        if hasattr(self, "shop"):
            self.shop.close()
            shutil.rmtree(self.folder, ignore_errors=True)


Money.TestCase.settings = settings(
    max_examples=12, stateful_step_count=14, deadline=None, suppress_health_check=list(HealthCheck)
)
TestMoney = Money.TestCase
