# SPDX-License-Identifier: AGPL-3.0-or-later
"""Money that is held before a gate opens, with the test provider."""

import pytest

from pipeline.payment.bank import Bank
from pipeline.payment.bank_rules import Rule
from pipeline.payment.entry import EntryPayments

S = 1_000_000_000


@pytest.fixture
def bank(tmp_path):
    bank = Bank(tmp_path / "bank.sqlite")
    yield bank
    bank.close()


@pytest.fixture
def holds(database, bank, clock) -> EntryPayments:
    return EntryPayments(database, bank, clock=clock)


def test_a_hold_is_asked_for_before_the_gate_opens(make_desk, holds, bank, issuer, clock):
    answer = make_desk(holds, authorise_minor=5000).tap("gate", "pass", issuer.issue("anna", "shop", clock.s))
    assert answer.open
    (held,) = bank.authorizations()
    assert (held["payer"], held["amount"], held["currency"], held["state"]) == ("anna", 5000, "EUR", "held")


def test_a_tap_that_is_sent_again_while_its_hold_is_asked_for_asks_for_no_second_one(
    make_desk, holds, bank, issuer, clock
):
    token, shown_ns = issuer.issue("anna", "shop", clock.s), clock.ns
    with pytest.raises(KeyboardInterrupt):
        make_desk(Dies(), authorise_minor=5000).tap("gate", "pass", token, shown_ns)
    clock.go_on(3)
    desk = make_desk(holds, authorise_minor=5000)
    first, again = desk.tap("gate", "pass", token, shown_ns), desk.tap("gate", "pass", token, shown_ns)
    assert first.open and first == again
    assert len(bank.authorizations()) == len(desk.entries.open_now()) == 1


def test_nobody_who_is_refused_has_a_hold(make_desk, holds, bank, issuer, clock):
    desk = make_desk(holds, authorise_minor=5000)
    assert desk.tap("gate", "pass", issuer.issue("anna", "elsewhere", clock.s)).reason == "other-store"
    assert bank.authorizations() == []


def test_a_declined_hold_keeps_the_gate_shut_and_the_next_pass_is_free(make_desk, holds, bank, issuer, clock):
    bank.add_rule(Rule(outcome="decline:insufficient_funds", times=1))
    desk = make_desk(holds, authorise_minor=5000)
    assert desk.tap("gate", "pass", issuer.issue("anna", "shop", clock.s)).reason == "payment-declined"
    assert desk.entries.waiting() == [] and desk.entries.open_now() == []
    clock.go_on(20)
    assert desk.tap("gate", "pass", issuer.issue("anna", "shop", clock.s)).open


@pytest.mark.parametrize(("policy", "opens"), [("refuse", False), ("open", True)])
@pytest.mark.parametrize("when", ["timeout-before", "timeout-after"])
def test_a_silent_payment_provider_does_what_the_store_says(make_desk, holds, bank, issuer, clock, policy, opens, when):
    bank.add_rule(Rule(outcome=when, times=1))
    desk = make_desk(holds, authorise_minor=5000, unanswered_payment=policy)
    assert desk.tap("gate", "pass", issuer.issue("anna", "shop", clock.s)).open is opens
    assert len(desk.entries.waiting()) == opens


class Dies:
    """A process that is killed while the payment provider thinks."""

    def authorise(self, *_arguments, **_more):
        raise KeyboardInterrupt


def test_a_desk_that_died_while_it_asked_locks_nobody_out(make_desk, issuer, clock):
    dying = make_desk(Dies(), authorise_minor=5000)
    with pytest.raises(KeyboardInterrupt):
        dying.tap("gate", "pass", issuer.issue("anna", "shop", clock.s))
    clock.go_on(30)
    assert make_desk().tap("gate", "pass", issuer.issue("anna", "shop", clock.s)).reason == "already-inside"
    clock.go_on(31)
    assert make_desk().tap("gate", "pass", issuer.issue("anna", "shop", clock.s)).open
