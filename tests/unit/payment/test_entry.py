# SPDX-License-Identifier: AGPL-3.0-or-later
"""The hold that a gate asks for, and what the desk makes of it."""

import pytest

from pipeline.errors import PaymentDeclinedError, PaymentError
from pipeline.payment.entry import EntryPayments
from tests.unit.payment.shop import Shop, opened, receipt


@pytest.fixture
def gate(shop: Shop):
    return EntryPayments(shop.database, shop.bank, clock=lambda: shop.now_ns)


def ask(gate, visit="v1", shopper="anna"):
    return gate.authorise(shopper, 500, "EUR", visit, store_id="shop")


def test_the_hold_is_used_for_the_visit_s_receipt(shop, gate):
    reference = ask(gate)
    assert ask(gate) == reference, "asked again, it answers the same"
    shop.tell(opened(), receipt(200))
    assert shop.kinds() == ["capture 200"]
    assert shop.charges() == [("anna", 500, 200, 0, "captured")]


def test_a_declined_hold_says_why(shop, gate):
    shop.rule("decline:insufficient_funds", times=1)
    with pytest.raises(PaymentDeclinedError, match="insufficient funds"):
        ask(gate)
    with pytest.raises(PaymentDeclinedError):
        ask(gate)
    shop.tell(opened(), receipt(200))
    assert shop.taken("anna") == 200


@pytest.mark.parametrize("when", ["timeout-before", "timeout-after"])
def test_a_hold_without_an_answer_is_sorted_out_by_the_desk(shop, gate, when):
    shop.rule(when, times=1)
    with pytest.raises(PaymentError, match="not answered"):
        ask(gate)
    shop.settle(after_s=2)
    shop.tell(opened(), receipt(0))
    assert [c[-1] for c in shop.charges()] == ["cancelled"]


def test_a_hold_of_somebody_who_was_not_let_in_goes_back(shop, gate):
    ask(gate)
    shop.settle()
    shop.settle(after_s=3 * 86400)
    assert [c[-1] for c in shop.charges()] == ["cancelled"]


def test_open_balances_are_known_at_the_gate(shop, gate):
    shop.rule("decline:stolen_card", times=1)
    shop.tell(receipt(200))
    assert gate.owed("anna") == {"EUR": 200} and gate.owed("ben") == {}
