# SPDX-License-Identifier: AGPL-3.0-or-later
"""Money and order, for any visit."""

import random

from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.cart.fold import CartState, fold
from pipeline.cart.pricing import net_of
from pipeline.cart.receipts import receipt_of
from pipeline.cart.rules import BillingRules
from pipeline.messages import TrackBound
from tests.unit.cart.events import BREAD, COLA, WATER, pick, put_back, small_catalogue, visit

quick = settings(max_examples=60, deadline=None)
CATALOGUE = small_catalogue()
UNKNOWN = "4006381333931"
probability = st.sampled_from([0.05, 0.3, 0.5, 0.69, 0.7, 0.95, 1.0])


@st.composite
def spread(draw, values):
    """Up to three values with probabilities that add up to at most 1."""
    chosen = draw(st.lists(st.sampled_from(values), min_size=1, max_size=3, unique=True))
    weights = [draw(st.integers(1, 10)) for _ in chosen]
    share = draw(st.sampled_from([0.6, 0.9, 1.0])) / sum(weights)
    return {v: w * share for v, w in zip(chosen, weights, strict=True)}


@st.composite
def visits(draw):
    shelf_events = []
    for number in range(draw(st.integers(0, 8))):
        make = draw(st.sampled_from([pick, pick, put_back]))
        shelf_events.append(
            make(
                draw(st.integers(0, 110)), draw(spread([COLA, BREAD, WATER, UNKNOWN])),
                person=draw(spread(["t1", "t2", "t3", "t4"])), quantity=draw(spread([1, 2, 3, 0, "x"])),
                sure=draw(probability), event_id=f"e{number}",
            )
        )  # fmt: skip
    others = [
        TrackBound(event_id="b2", store_id="shop", at_ns=shelf_events[0].at_ns, visit_id="v2", track_id="t2"),
        TrackBound(event_id="b3", store_id="shop", at_ns=shelf_events[0].at_ns, visit_id="v1", track_id="t3"),
    ] if shelf_events else []  # fmt: skip
    return visit(*shelf_events, others=others)


def bill(events):
    return receipt_of(fold(CartState(), *events), "v1", CATALOGUE, BillingRules())


@quick
@given(visits())
def test_totals_are_the_sum_of_the_billed_lines_and_taxes_add_up(events):
    receipt = bill(events)
    billed = [line for line in receipt.lines if line.status == "billed"]
    for line in receipt.lines:
        assert line.total_minor == line.quantity * line.unit_price_minor
    assert receipt.total_minor == sum(line.total_minor for line in billed)
    assert receipt.total_minor == sum(t.net_minor + t.tax_minor for t in receipt.taxes)
    for tax in receipt.taxes:
        gross = sum(line.total_minor for line in billed if line.tax_class == tax.tax_class)
        assert tax.net_minor + tax.tax_minor == gross
        assert tax.net_minor >= 0 and tax.tax_minor >= 0


@quick
@given(visits())
def test_held_means_a_line_or_a_note_says_why(events):
    receipt = bill(events)
    reasons = [line.reason for line in receipt.lines if line.status == "held"] + [n.reason for n in receipt.notes]
    assert all(reasons)
    assert receipt.held_for_review == bool(reasons)
    assert all(not line.reason for line in receipt.lines if line.status == "billed")


@quick
@given(visits(), st.randoms(use_true_random=False), st.integers(0, 10))
def test_no_order_and_no_repetition_changes_a_bill(events, shuffle: random.Random, again):
    mixed = [*events, *(shuffle.choice(events) for _ in range(again))]
    shuffle.shuffle(mixed)
    assert bill(mixed) == bill(events)
    one_by_one = CartState()
    for event in mixed:
        one_by_one = fold(one_by_one, event)
    assert receipt_of(one_by_one, "v1", CATALOGUE, BillingRules()) == bill(events)


@quick
@given(visits())
def test_nobody_pays_for_more_than_was_taken(events):
    """Billed units of a product never exceed what the most generous reading of the picks gives."""
    receipt = bill(events)
    most = sum(
        max((int(q.value) for q in e.quantities if q.value.isdigit()), default=0)
        for e in events if e.type == "shelf-event" and e.kind == "pick"
    )  # fmt: skip
    assert sum(line.quantity for line in receipt.lines if line.status == "billed") <= most


@given(st.integers(0, 10**9), st.integers(0, 1_000_000))
def test_net_is_rounded_half_up_to_the_nearest_minor_unit(gross, rate_ppm):
    net, whole = net_of(gross, rate_ppm), 1_000_000 + rate_ppm
    # |net * whole - gross * 1e6| is at most half a minor unit, in units of 1 / whole.
    error = 2 * (net * whole - gross * 1_000_000)
    assert -whole < error <= whole


def test_net_of_known_amounts():
    assert net_of(120, 200_000) == 100
    assert net_of(149, 200_000) == 124  # 124.17
    assert net_of(101, 55_000) == 96  # 95.73
    assert net_of(3, 1_000_000) == 2  # 1.5 goes up
    assert net_of(0, 200_000) == 0
