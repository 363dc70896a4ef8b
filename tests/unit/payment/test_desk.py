# SPDX-License-Identifier: AGPL-3.0-or-later
"""The desk: one receipt, one payment, whatever the provider answers."""

import pytest

from pipeline.payment.port import Payer
from tests.unit.payment.shop import Shop, opened, receipt

HOLD = {"hold_minor": 500, "currency": "EUR"}
SALES = {("revenue:standard", "EUR"): -167, ("tax:standard", "EUR"): -33}


def test_a_receipt_is_paid_and_booked(shop: Shop):
    shop.tell(opened(), receipt(200))
    assert shop.kinds() == ["authorize 200", "capture 200"]
    assert shop.balances() == {("provider-clearing", "EUR"): 200, **SALES}
    (told,) = shop.told()
    assert (told.status, told.due_minor, told.paid_minor, told.open_minor) == ("paid", 200, 200, 0)


def test_the_same_receipt_again_changes_nothing(shop: Shop):
    shop.tell(receipt(200), receipt(200))
    shop.tell(receipt(200))
    assert shop.kinds() == ["authorize 200", "capture 200"]
    assert len(shop.told()) == 1


@pytest.mark.parametrize("opened_first", [True, False], ids=["opening read first", "receipt read first"])
@pytest.mark.parametrize(
    "total, calls",
    [
        (200, ["authorize 500", "capture 200"]),  # the rest of the hold is released by the capture
        (500, ["authorize 500", "capture 500"]),
        (0, ["authorize 500", "cancel 500"]),  # nothing bought
        (720, ["authorize 500", "capture 500", "authorize 220", "capture 220"]),
    ],
)
def test_hold_at_entry(open_shop, total, calls, opened_first):
    shop = open_shop(**HOLD)
    events = [opened(), receipt(total)]
    for event in events if opened_first else events[::-1]:
        shop.tell(event)
    if not opened_first and not total:
        calls = []  # a hold only to release it would be of no use to anybody
    assert shop.kinds() == calls
    assert shop.taken() == total
    assert not [c for c in shop.charges() if c[-1] == "held"]
    assert shop.balance("provider-clearing") == total
    assert shop.balance("receivable") == 0


def test_hold_declined_at_entry_is_told_and_the_bill_is_asked_for_anyway(open_shop):
    shop = open_shop(**HOLD)
    shop.rule("decline:insufficient_funds", times=1)
    shop.tell(opened())
    assert [t.status for t in shop.told()] == ["refused"]
    shop.tell(receipt(200))
    assert shop.kinds() == ["authorize 500", "authorize 200", "capture 200"]
    assert [t.status for t in shop.told()] == ["refused", "paid"]


def test_hold_of_a_visit_without_a_receipt_goes_back_before_it_expires(open_shop):
    shop = open_shop(**HOLD, hold_days=2)
    shop.tell(opened())
    shop.settle(after_s=2 * 86400 - 1)
    assert [c[-1] for c in shop.charges()] == ["held"]
    shop.settle(after_s=1)
    assert [c[-1] for c in shop.charges()] == ["cancelled"]
    shop.tell(receipt(120))  # and should the receipt come after all, it is paid
    assert shop.taken() == 120
    assert [t.status for t in shop.told()] == ["held", "released", "paid"]


def test_hold_that_expired_at_the_provider(open_shop):
    shop = open_shop(**HOLD)
    shop.tell(opened())
    shop.bank.expire(shop.bank.authorizations()[0]["reference"])
    shop.tell(receipt(200))
    assert shop.kinds() == ["authorize 500", "capture 200", "cancel 500", "authorize 200", "capture 200"]
    assert shop.taken() == 200


def test_hold_that_cannot_be_captured_goes_back(open_shop):
    shop = open_shop(**HOLD)
    shop.rule("decline:do_not_honor", kind="capture", times=1)
    shop.tell(opened(), receipt(200))
    assert shop.kinds() == ["authorize 500", "capture 200", "cancel 500", "authorize 200", "capture 200"]
    assert [c[-1] for c in shop.charges()].count("held") == 0


def test_declined_at_the_exit_is_retried_then_an_open_balance_then_paid_at_the_next_entry(open_shop):
    shop = open_shop(retry_after_s=(5, 60))
    shop.rule("decline:insufficient_funds", times=3)
    shop.tell(receipt(200))
    assert shop.told() == [] and shop.balance("receivable") == 200
    shop.settle(after_s=4)
    assert shop.kinds() == ["authorize 200"]
    shop.settle(after_s=1)
    shop.settle(after_s=60)
    assert shop.kinds() == ["authorize 200"] * 3
    (told,) = shop.told()
    assert (told.status, told.open_minor, told.paid_minor) == ("open", 200, 0)
    assert "insufficient_funds" in told.reason
    assert shop.balances() == {("open-balance", "EUR"): 200, **SALES}
    shop.settle(after_s=1e6)
    assert shop.kinds() == ["authorize 200"] * 3, "an open balance is not asked for by itself"
    shop.tell(opened("v2", "ben"))
    assert shop.taken() == 0
    shop.tell(opened("v3", "anna"))
    assert shop.taken() == 200
    assert shop.balances() == {("provider-clearing", "EUR"): 200, **SALES}
    assert [t.status for t in shop.told()] == ["open", "paid"]


def test_a_stolen_card_is_not_asked_again(shop: Shop):
    shop.rule("decline:stolen_card")
    shop.tell(receipt(200))
    assert shop.kinds() == ["authorize 200"]
    assert [t.status for t in shop.told()] == ["open"]


def test_nobody_to_charge_is_an_open_balance_until_a_payer_is_named(shop: Shop):
    shop.tell(receipt(200, shopper=None))
    assert shop.kinds() == []
    assert [(t.status, t.open_minor) for t in shop.told()] == [("open", 200)]
    shop.tell(receipt(200, version=2, shopper="anna"))
    assert shop.taken("anna") == 200
    assert shop.balance("open-balance") == 0


@pytest.mark.parametrize(
    "corrected, call, charges",
    [
        (150, ["refund 50"], [("anna", 200, 200, 50, "captured")]),
        (0, ["refund 200"], [("anna", 200, 200, 200, "captured")]),
        (200, [], [("anna", 200, 200, 0, "captured")]),
        (
            260,
            ["authorize 60", "capture 60"],
            [("anna", 200, 200, 0, "captured"), ("anna", 60, 60, 0, "captured")],
        ),
    ],
)
def test_a_correction_makes_one_refund_or_one_charge_of_the_difference(shop: Shop, corrected, call, charges):
    shop.tell(receipt(200))
    shop.calls.clear()
    shop.tell(receipt(corrected, version=2))
    assert shop.kinds() == call
    assert sorted(shop.charges()) == sorted(charges)
    sales = sum(amount for (account, _), amount in shop.balances().items() if account.startswith(("revenue", "tax")))
    assert (sales, shop.balance("provider-clearing"), shop.balance("refunds")) == (-corrected, corrected, 0)
    assert shop.balance("receivable") == 0


def test_versions_read_together_are_settled_one_after_the_other(shop: Shop):
    shop.tell(receipt(200), receipt(150, version=2), receipt(170, version=3))
    assert shop.kinds() == ["authorize 200", "capture 200", "refund 50", "authorize 20", "capture 20"]


def test_an_older_version_that_comes_late_changes_nothing(shop: Shop):
    shop.tell(receipt(150, version=2))
    shop.tell(receipt(200, version=1))
    assert shop.taken() == 150
    assert shop.balance("receivable") == 0


def test_a_correction_of_a_declined_receipt_replaces_it(shop: Shop):
    shop.rule("decline:insufficient_funds", times=1)
    shop.tell(receipt(200))
    shop.tell(receipt(80, version=2))
    assert shop.taken() == 80
    assert shop.balance("receivable") == 0


def test_refused_refund_is_owed_to_the_shopper(open_shop):
    shop = open_shop(retry_after_s=())
    shop.rule("decline:card_closed", kind="refund")
    shop.tell(receipt(200))
    shop.tell(receipt(150, version=2))
    assert [(t.status, t.open_minor) for t in shop.told()] == [("paid", 0), ("open", -50)]
    assert (shop.balance("open-balance"), shop.balance("refunds"), shop.balance("receivable")) == (-50, 0, 0)


def test_receipt_whose_currency_changes_waits_for_a_person(shop: Shop):
    shop.tell(receipt(200))
    shop.tell(receipt(300, version=2, currency="USD"))
    assert [t.status for t in shop.told()] == ["paid", "blocked"]
    assert shop.taken() == 200
    shop.tell(receipt(250, version=3))
    assert shop.taken() == 250


def test_hold_in_another_currency_than_the_receipt(open_shop):
    shop = open_shop(hold_minor=500, currency="USD")
    shop.tell(opened(), receipt(200))
    assert shop.kinds() == ["authorize 500", "cancel 500", "authorize 200", "capture 200"]


@pytest.mark.parametrize("when", ["timeout-before", "timeout-after"])
@pytest.mark.parametrize("kind", ["authorize", "capture", "cancel", "refund"])
def test_an_unanswered_call_is_repeated_with_its_key_until_it_is_answered(open_shop, kind, when):
    shop = open_shop(**HOLD, ask_again_s=(1, 4))
    shop.rule(when, kind=kind, per_key=3)
    shop.tell(opened(), receipt(600), opened("v2", "ben"), receipt(0, visit="v2", shopper="ben"))
    shop.tell(receipt(100, version=2))
    for wait_s in (1, 2, 4) * 4:
        shop.settle(after_s=wait_s)
    assert (shop.taken("anna"), shop.taken("ben")) == (100, 0)
    assert not [c for c in shop.charges() if c[-1] == "held"]
    asked: dict[str, set] = {}
    for call, _ in shop.calls:
        asked.setdefault(call.key, set()).add((call.kind, call.money, call.reference))
    assert all(len(what) == 1 for what in asked.values()), "one key, one call"
    assert len(shop.bank.authorizations()) == 3


def test_unanswered_calls_are_repeated_ever_more_slowly(open_shop):
    shop = open_shop(ask_again_s=(1, 4))
    shop.rule("timeout-before", per_key=None)
    shop.tell(receipt(200))
    made = [len(shop.calls)]
    for _ in range(12):
        shop.settle(after_s=1)
        made.append(len(shop.calls))
    assert made == [1, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5]


def test_means_of_payment_go_with_the_call(shop: Shop):
    from pipeline.payment.accounts import set_method

    set_method(shop.database, "anna", "cus_1", "pm_1")
    shop.tell(receipt(200))
    assert shop.calls[0][0].payer == Payer("anna", "cus_1", "pm_1")
