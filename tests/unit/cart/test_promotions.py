# SPDX-License-Identifier: AGPL-3.0-or-later
"""Promotions and coupons."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.cart.fold import CartState, fold
from pipeline.cart.price_book import PriceBook
from pipeline.cart.price_files import Promotions
from pipeline.cart.receipts import receipt_of
from pipeline.cart.rules import BillingRules
from pipeline.messages import CouponPresented
from tests.unit.cart.events import BREAD, COLA, T0, WATER, S, pick, put_back, small_catalogue, visit


def book(*promotions, currency="EUR"):
    return PriceBook(
        small_catalogue(), None, Promotions.model_validate({"currency": currency, "promotions": promotions})
    )


def coupon(promotion_id, coupon_id="c1", at_s=20):
    return CouponPresented(
        event_id=f"present-{coupon_id}-{at_s}", store_id="shop", at_ns=T0 + at_s * S, visit_id="v1",
        coupon_id=coupon_id, promotion_id=promotion_id,
    )  # fmt: skip


def bill(prices, *shelf_events, coupons=()):
    events = visit(*shelf_events, others=coupons)
    return receipt_of(fold(CartState(), *events), "v1", prices, BillingRules())


def off(receipt):
    return {x.gtin: sum(d.amount_minor for d in x.discounts) for x in receipt.lines}


THREE_FOR_TWO = {"id": "3for2", "text": "3 for 2", "kind": "n-for-m", "buy": 3, "pay": 2, "gtins": [COLA, WATER]}
TWO_FOR_250 = {
    "id": "2for250",
    "text": "2 for 2.50",
    "kind": "n-for-price",
    "buy": 2,
    "price_minor": 250,
    "gtins": [COLA],
}
TENTH = {"id": "tenth", "text": "-10 %", "kind": "percent", "percent": 10}
FIVER = {"id": "fiver", "text": "-0.50 from 2.00", "kind": "amount", "amount_minor": 50, "minimum_minor": 200}


@pytest.mark.parametrize(
    ("promotion", "shelf", "expected"),
    [
        (THREE_FOR_TWO, [pick(1), pick(2)], {COLA: 0}),
        (THREE_FOR_TWO, [pick(1), pick(2), pick(3)], {COLA: 149}),
        (THREE_FOR_TWO, [pick(1, quantity=7)], {COLA: 2 * 149}),
        # Mixed: the water (55) is the cheapest of three; the 55 are shared in proportion 298 to 55.
        (THREE_FOR_TWO, [pick(1), pick(2), pick(3, WATER)], {COLA: 46, WATER: 9}),
        # Two groups from the dearest down: cola cola cola, water water water.
        (THREE_FOR_TWO, [pick(1, quantity=3), pick(2, WATER, quantity=3)], {COLA: 149, WATER: 55}),
        ({**THREE_FOR_TWO, "times": 1}, [pick(1, quantity=7)], {COLA: 149}),
        (TWO_FOR_250, [pick(1, quantity=3)], {COLA: 48}),
        ({**TWO_FOR_250, "price_minor": 300}, [pick(1, quantity=2)], {COLA: 0}),  # would be dearer
        (TENTH, [pick(1), pick(2, BREAD)], {COLA: 15, BREAD: 10}),  # 25.0 of 250
        ({**TENTH, "percent": 100}, [pick(1)], {COLA: 149}),
        ({**TENTH, "tax_classes": ["reduced"]}, [pick(1), pick(2, BREAD)], {COLA: 0, BREAD: 10}),
        (FIVER, [pick(1)], {COLA: 0}),
        (FIVER, [pick(1), pick(2, BREAD)], {COLA: 30, BREAD: 20}),
        # Not valid any more when it was taken.
        ({**TENTH, "until": "2001-01-01"}, [pick(1)], {COLA: 0}),
        ({**TENTH, "stores": ["elsewhere"]}, [pick(1)], {COLA: 0}),
        ({**TENTH, "coupon": True}, [pick(1)], {COLA: 0}),
    ],
)
def test_what_a_promotion_takes_off(promotion, shelf, expected):
    receipt = bill(book(promotion), *shelf)
    assert off(receipt) == expected
    assert all(d.text == promotion["text"] for x in receipt.lines for d in x.discounts)


def test_a_unit_takes_part_in_the_first_promotion_that_it_fits():
    receipt = bill(book(THREE_FOR_TWO, TENTH), pick(1, quantity=4))
    (line,) = receipt.lines
    assert [(d.promotion_id, d.amount_minor) for d in line.discounts] == [("3for2", 149), ("tenth", 15)]
    receipt = bill(book(TENTH, THREE_FOR_TWO), pick(1, quantity=4))
    assert [(d.promotion_id, d.amount_minor) for d in receipt.lines[0].discounts] == [("tenth", 60)]


def test_doubtful_units_complete_no_promotion():
    receipt = bill(book(THREE_FOR_TWO), pick(1, quantity=2), pick(2, sure=0.6))
    assert off(receipt)[COLA] == 0 and receipt.held_for_review


def test_a_coupon_is_spent_when_it_gives_something_and_stays_when_not():
    prices = book({**TENTH, "coupon": True, "gtins": [COLA]}, {**FIVER, "coupon": True})
    coupons = [coupon("tenth", "c1"), coupon("fiver", "c2", 21)]
    receipt = bill(prices, pick(1), coupons=coupons)
    assert receipt.coupon_ids == ("c1",)
    assert [(d.coupon_id, d.amount_minor) for d in receipt.lines[0].discounts] == [("c1", 15)]
    receipt = bill(prices, pick(1), pick(2, BREAD), coupons=coupons)
    assert receipt.coupon_ids == ("c1", "c2") and receipt.total_minor == 250 - 15 - 50
    assert bill(prices, coupons=coupons).coupon_ids == ()


def test_a_coupon_counts_once_however_often_it_is_shown():
    prices = book({**FIVER, "coupon": True, "minimum_minor": 0})
    receipt = bill(prices, pick(1), coupons=[coupon("fiver"), coupon("fiver", at_s=30)])
    assert receipt.total_minor == 99 and receipt.coupon_ids == ("c1",)
    receipt = bill(prices, pick(1), coupons=[coupon("fiver"), coupon("fiver", "c2", 30)])
    assert receipt.total_minor == 49 and receipt.coupon_ids == ("c1", "c2")


def test_a_multi_buy_coupon_gives_it_once():
    prices = book({**THREE_FOR_TWO, "coupon": True})
    assert off(bill(prices, pick(1, quantity=6), coupons=[coupon("3for2")])) == {COLA: 149}


def test_a_coupon_for_what_the_store_does_not_have_is_shown_to_staff():
    receipt = bill(book(TENTH), pick(1), coupons=[coupon("moon")])
    assert receipt.held_for_review and "'moon'" in receipt.notes[0].reason and receipt.coupon_ids == ()
    assert "'tenth'" in bill(book(TENTH), pick(1), coupons=[coupon("tenth")]).notes[0].reason  # needs no coupon


@st.composite
def promotion(draw, number):
    made = {"id": f"p{number}", "text": "t", "coupon": draw(st.booleans())}
    made["gtins"] = draw(st.lists(st.sampled_from([COLA, BREAD, WATER]), max_size=2, unique=True))
    kind = draw(st.sampled_from(["n-for-m", "n-for-price", "percent", "amount"]))
    if kind == "n-for-m":
        buy = draw(st.integers(2, 4))
        made |= {"buy": buy, "pay": draw(st.integers(1, buy - 1)), "times": draw(st.none() | st.integers(1, 2))}
    elif kind == "n-for-price":
        made |= {"buy": draw(st.integers(2, 3)), "price_minor": draw(st.integers(0, 400))}
    elif kind == "percent":
        made |= {"percent": draw(st.sampled_from(["0.5", "10", "33.33", "100"]))}
    else:
        made |= {"amount_minor": draw(st.integers(1, 500)), "minimum_minor": draw(st.integers(0, 300))}
    return {**made, "kind": kind}


@st.composite
def shops(draw):
    promotions = [draw(promotion(n)) for n in range(draw(st.integers(1, 4)))]
    shelf = [
        draw(st.sampled_from([pick, pick, pick, put_back]))(
            n + 1, draw(st.sampled_from([COLA, BREAD, WATER])), quantity=draw(st.integers(1, 5)),
            sure=draw(st.sampled_from([0.6, 0.95, 0.95])), event_id=f"e{n}",
        )
        for n in range(draw(st.integers(0, 6)))
    ]  # fmt: skip
    coupons = [
        coupon(f"p{draw(st.integers(0, 4))}", f"c{n}", draw(st.integers(1, 50))) for n in range(draw(st.integers(0, 3)))
    ]
    return book(*promotions), shelf, coupons


@settings(max_examples=120, deadline=None)
@given(shops(), st.randoms(use_true_random=False))
def test_totals_add_up_no_line_is_negative_and_order_does_not_matter(shop, shuffle: random.Random):
    prices, shelf, coupons = shop
    receipt = bill(prices, *shelf, coupons=coupons)
    billed = [x for x in receipt.lines if x.status == "billed"]
    assert all(0 <= x.total_minor <= x.quantity * x.unit_price_minor for x in receipt.lines)
    assert receipt.total_minor == sum(x.total_minor for x in billed)
    assert receipt.total_minor == sum(t.net_minor + t.tax_minor for t in receipt.taxes)
    assert all(not x.discounts for x in receipt.lines if x.status != "billed")
    used = {d.coupon_id for x in receipt.lines for d in x.discounts if d.coupon_id}
    assert set(receipt.coupon_ids) == used
    events = visit(*shelf, others=coupons)
    mixed = [*events, *shuffle.choices(events, k=3)]
    shuffle.shuffle(mixed)
    assert receipt_of(fold(CartState(), *mixed), "v1", prices, BillingRules()) == receipt


@settings(max_examples=60, deadline=None)
@given(shops())
def test_nobody_pays_more_because_of_a_promotion(shop):
    prices, shelf, coupons = shop
    assert bill(prices, *shelf, coupons=coupons).total_minor <= bill(PriceBook(small_catalogue()), *shelf).total_minor
