# SPDX-License-Identifier: AGPL-3.0-or-later
"""The live cart: what a shopper sees while shopping, and that the bill agrees with it."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.cart import live
from pipeline.cart.doubts import DOUBTS, doubt_of
from pipeline.cart.fold import CartState, fold
from pipeline.cart.live import LiveCarts
from pipeline.cart.live_view import Change, items_of
from pipeline.cart.price_book import PriceBook
from pipeline.cart.price_files import NForM, Promotions
from pipeline.cart.receipts import receipt_of
from pipeline.cart.rules import BillingRules
from pipeline.messages import CouponPresented, PersonWithoutPass, StaffDecision, VisitClosed
from tests.unit.cart.events import BREAD, COLA, T0, WATER, S, pick, put_back, small_catalogue, visit
from tests.unit.cart.test_identity import ambiguous, bound, merged, opened, swapped
from tests.unit.cart.test_pricing_properties import visits

BOOK = PriceBook.of(small_catalogue())
RULES = BillingRules()


def carts(*events, book=BOOK):
    made = LiveCarts("shop", book, RULES)
    for event in events:
        made.take([event])
    return made


def shown(cart):
    return [(i.gtin, i.quantity, i.state) for i in cart.items]


def receipt(events, visit_id="v1", book=BOOK):
    return receipt_of(fold(CartState(), *events), visit_id, book, RULES)


def test_items_appear_and_disappear():
    live_carts = carts(*visit()[:2])
    assert shown(live_carts.cart("v1")) == []
    ((cart, change),) = live_carts.take([pick(1)])
    assert shown(cart) == [(COLA, 1, "sure")] and cart.total_minor == 149
    assert [i.name for i in change.put] == ["Cola"] and change.fields == {"total_minor": 149}
    ((cart, change),) = live_carts.take([pick(2)])
    assert shown(cart) == [(COLA, 2, "sure")] and change.gone == ()  # the row stays, with another number
    ((cart, change),) = live_carts.take([put_back(3, quantity=2)])
    assert shown(cart) == [] and change.put == () and len(change.gone) == 1 and cart.total_minor == 0
    assert cart.seq == 3


@pytest.mark.parametrize(
    ("event", "doubt"),
    [
        (pick(1, {COLA: 0.5, WATER: 0.45}), "product"),
        (pick(1, sure=0.6), "action"),
        (pick(1, person={"t1": 0.55, "t9": 0.45}), "person"),
        (pick(1, quantity="many"), "quantity"),
        (pick(1, "4006381333931"), "price"),
    ],
)
def test_what_is_not_sure_says_so_and_why(event, doubt):
    (item,) = carts(*visit()[:2], event).cart("v1").items
    assert (item.state, item.doubt) == ("checking", doubt)


def test_a_doubtful_put_back_and_what_else_it_may_be():
    cart = carts(*visit()[:2], pick(1), put_back(2, sure=0.6), pick(3, {WATER: 0.5, BREAD: 0.45})).cart("v1")
    assert [(i.gtin, i.state, i.doubt, i.may_be) for i in cart.items] == [
        (COLA, "checking", "put-back", ()), (WATER, "checking", "product", ("Bread",)),
    ]  # fmt: skip
    assert cart.total_minor == 0 and cart.checking_minor == 149 + 55


def test_somebody_without_a_pass_has_a_cart_that_nobody_sees():
    came = PersonWithoutPass(
        event_id="x", store_id="shop", at_ns=T0, visit_id="v9", gate_id="g", track_id="t9"
    )  # fmt: skip
    made = carts(came, pick(1, person="t9"))
    assert made.cart("v9").shopper_id is None and made.cart("v9").items[0].doubt == "nobody"
    named = StaffDecision(
        event_id="n", store_id="shop", at_ns=T0 + S, visit_id="v9", decision="payer-named", staff_id="s",
        shopper_id="ben",
    )  # fmt: skip
    ((cart, change),) = made.take([named])
    assert cart.shopper_id == "ben" and shown(cart) == [(COLA, 1, "sure")]
    assert change.fields["shopper_id"] == "ben" and "shopper_id" not in change.as_dict()
    assert made.of_shopper("ben") == cart


def test_two_people_who_were_confused_get_each_others_things():
    made = carts(opened("v1"), opened("v2"), bound("t1", "v1"), bound("t2", "v2"), pick(5, person="t1"))
    told = made.take([swapped("t1", "t2", 3)])
    assert {cart.visit_id: shown(cart) for cart, _ in told} == {"v1": [], "v2": [(COLA, 1, "sure")]}


def test_what_a_second_label_of_one_person_took_is_theirs():
    made = carts(opened("v1"), bound("t1", "v1"), pick(5, person="t7"))
    assert shown(made.cart("v1")) == []
    made.take([merged("t1", "t7", 4)])
    assert shown(made.cart("v1")) == [(COLA, 1, "sure")]


def test_an_ambiguity_makes_it_checking_until_it_is_settled():
    made = carts(opened("v1"), opened("v2"), bound("t1", "v1"), bound("t2", "v2"), pick(5, person="t1"))
    made.take([ambiguous("t1", "t2", at_s=2)])
    owners = [c for v in ("v1", "v2") for c in made.cart(v).items]
    assert [(i.state, i.doubt) for i in owners] == [("checking", "person")]
    made.take([swapped("t1", "t2", 2, settles=("amb-2",))])
    assert shown(made.cart("v2")) == [(COLA, 1, "sure")] and not made.cart("v1").items


def test_a_coupon_and_a_promotion_count_at_once():
    file = Promotions(
        currency="EUR",
        promotions=[NForM(id="3for2", text="3 for 2", kind="n-for-m", buy=3, pay=2, gtins=[COLA], coupon=True)],
    )
    book = PriceBook(small_catalogue(), promotions=file)
    made = carts(*visit()[:2], pick(1, quantity=3), book=book)
    assert made.cart("v1").total_minor == 3 * 149
    event = CouponPresented(
        event_id="c", store_id="shop", at_ns=T0 + 2 * S, visit_id="v1", coupon_id="AB", promotion_id="3for2"
    )
    ((cart, _),) = made.take([event])
    assert cart.total_minor == 2 * 149 and cart.items[0].discount_minor == 149


def test_the_receipt_settles_it_and_later_events_change_nothing():
    events = visit(pick(1), pick(2, BREAD))
    made = carts(*events)
    assert made.cart("v1").state == "leaving"
    ((cart, change),) = made.take([receipt(events)])
    assert cart.state == "settled" and cart.receipt_id and change.fields["receipt_id"] == cart.receipt_id
    assert made.take([pick(90, WATER)]) == [] and made.open_visits() == ()


def test_another_stores_events_are_none_of_ours():
    other = [e.model_copy(update={"store_id": "elsewhere"}) for e in visit(pick(1))]
    assert carts(*other).cart("v1") is None


def test_memory_is_tidied_and_an_open_cart_keeps_what_it_needs(monkeypatch):
    monkeypatch.setattr(live, "_TIDY_EVERY", 20)
    made = carts(opened("v0", at_s=7_000), bound("t0", "v0", at_s=7_000), pick(7_001, person="t0"))
    for k in range(100):  # a shop that is never empty: long gone visits leave nothing
        events = visit(pick(k, event_id=f"e{k}", person=f"x{k}"), track=f"x{k}", visit_id=f"w{k}", shopper=f"s{k}")
        made.take([*events, receipt(events, f"w{k}")])
    assert len(made._events) < 60 and len(made._of_track) < 30
    assert shown(made.cart("v0")) == [(COLA, 1, "sure")]
    made.take([pick(7_002, person="t0")])
    assert shown(made.cart("v0")) == [(COLA, 2, "sure")]


def test_every_kind_of_doubt_has_a_word():
    assert doubt_of("") is None
    assert doubt_of("from age 18: staff have not confirmed it") == "age"
    assert doubt_of("the shop's clock jumped back during the visit") == "other"
    assert {"person", "age", "other"} <= set(DOUBTS)


@settings(max_examples=80, deadline=None)
@given(visits(), st.randoms(use_true_random=False))
def test_in_any_order_the_live_cart_ends_as_the_receipt(events, rng):
    mixed = [*events, *rng.choices(events, k=3)]
    rng.shuffle(mixed)
    made = LiveCarts("shop", BOOK, RULES)
    page = None
    while mixed:
        count = rng.randint(1, 3)
        batch, mixed = mixed[:count], mixed[count:]
        for cart, change in made.take(batch):
            if cart.visit_id != "v1":
                continue
            page = cart if change is None else change.on(page)  # what the phone makes of the changes
            assert page == cart
    want = receipt(events)
    cart = made.cart("v1")
    assert cart == page and cart.items == items_of(want.lines, BOOK) and cart.total_minor == want.total_minor
    before = cart.items
    made.take([want])
    assert made.cart("v1").items == before and made.cart("v1").state == "settled"


@settings(max_examples=80, deadline=None)
@given(visits(), st.integers(0, 2**32))
def test_the_last_look_before_the_exit_is_the_bill(events, seed):
    """While shopping nothing names the events that count; the cart finds the same ones by itself."""
    closed = events[-1]
    inside = [e for e in events[:-1] if e.at_ns <= closed.at_ns]
    closed = closed.model_copy(update={"event_ids": tuple(e.event_id for e in inside)})
    random.Random(seed).shuffle(inside)
    cart = carts(*inside).cart("v1")
    assert isinstance(closed, VisitClosed) and cart.state == "shopping"
    want = receipt([*inside, closed])
    assert cart.items == items_of(want.lines, BOOK) and cart.total_minor == want.total_minor


def test_a_change_that_skips_one_is_refused():
    made = carts(*visit()[:2])
    first = made.cart("v1")
    made.take([pick(1)])
    ((_, change),) = made.take([pick(2, BREAD)])
    with pytest.raises(ValueError, match="does not follow"):
        change.on(first)
    assert isinstance(change, Change)
