# SPDX-License-Identifier: AGPL-3.0-or-later
"""Corrections are new versions that add up."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.cart.corrections import (
    AddLine,
    ChargeLine,
    Refund,
    RemoveLine,
    SetProduct,
    SetQuantity,
    correct,
    difference,
    move,
)
from pipeline.cart.price_book import PriceBook
from pipeline.cart.price_files import PriceList
from pipeline.errors import CorrectionError
from tests.unit.cart.events import BREAD, COLA, T0, WATER, S, pick
from tests.unit.cart.test_promotions import FIVER, TENTH, THREE_FOR_TWO, bill, book, coupon

PRICES = book(THREE_FOR_TWO)
LATER = T0 + 1000 * S


def fixed(receipt, *changes, prices=PRICES, **kwargs):
    return correct(receipt, changes, prices, by="staff-7", reason="looked at the film", at_ns=LATER, **kwargs)


def line(receipt, gtin, status="billed"):
    return next(x for x in receipt.lines if x.gtin == gtin and x.status == status)


@pytest.fixture
def receipt():
    """Three cola for two, one bread, one water held."""
    return bill(PRICES, pick(1, quantity=3), pick(2, BREAD), pick(3, WATER, sure=0.6))


def test_the_old_version_stays_and_the_new_one_says_what_changed(receipt):
    before = receipt.model_dump()
    new = fixed(receipt, RemoveLine(line_id=line(receipt, BREAD).line_id))
    assert receipt.model_dump() == before
    assert (new.receipt_id, new.version, new.visit_id) == (receipt.receipt_id, 2, receipt.visit_id)
    assert new.event_id != receipt.event_id and new.at_ns == LATER
    assert new.total_minor == 298 and new.correction.difference_minor == -101
    assert new.correction.by == "staff-7" and new.correction.changes == ("removed: 1 Bread",)
    assert {x.line_id for x in new.lines} == {x.line_id for x in receipt.lines} - {line(receipt, BREAD).line_id}


def test_a_removed_unit_undoes_the_promotion_that_it_completed(receipt):
    new = fixed(receipt, SetQuantity(line_id=line(receipt, COLA).line_id, quantity=2))
    assert new.total_minor == receipt.total_minor  # two cost what three for two cost
    assert line(new, COLA).discounts == ()


def test_a_held_unit_that_is_charged_completes_a_promotion():
    held = bill(PRICES, pick(1, quantity=2), pick(2, WATER, sure=0.6))
    new = fixed(held, ChargeLine(line_id=line(held, WATER, "held").line_id))
    assert new.total_minor == 2 * 149 and not new.held_for_review  # the water is free


def test_another_product(receipt):
    new = fixed(receipt, SetProduct(line_id=line(receipt, WATER, "held").line_id, gtin=BREAD))
    assert new.total_minor == receipt.total_minor + 101
    assert new.correction.changes == ("Bread instead of Water",)


def test_a_refund_takes_money_off_and_leaves_promotions_alone(receipt):
    cola = line(receipt, COLA)
    new = fixed(receipt, Refund(line_id=cola.line_id, amount_minor=50))
    assert new.total_minor == receipt.total_minor - 50
    assert [d.promotion_id for d in line(new, COLA).discounts] == ["3for2", "refund"]
    newer = fixed(new, RemoveLine(line_id=line(new, BREAD).line_id))
    assert newer.version == 3 and newer.total_minor == new.total_minor - 101  # the refund stays


def test_added_lines_have_the_price_of_their_moment_and_a_new_id(receipt):
    new = fixed(receipt, AddLine(gtin=BREAD, quantity=2, taken_at_ns=T0 + S))
    added = next(x for x in new.lines if x.line_id not in {y.line_id for y in receipt.lines})
    assert added.total_minor == 202 and new.total_minor == receipt.total_minor + 202


def test_units_move_to_the_shopper_who_took_them(receipt):
    other = bill(PRICES, pick(1, WATER)).model_copy(update={"receipt_id": "r-ben", "shopper_id": "ben"})
    gave, took = move(receipt, other, line(receipt, COLA).line_id, 1, PRICES, by="staff-7", reason="his", at_ns=LATER)
    assert gave.total_minor == receipt.total_minor  # three for two becomes two
    assert took.total_minor == 55 + 149
    with pytest.raises(CorrectionError, match="4 of 3 units"):
        move(receipt, other, line(receipt, COLA).line_id, 4, PRICES, by="s", reason="", at_ns=LATER)


def test_coupons_stay_with_the_receipt():
    prices = book({**FIVER, "coupon": True})
    first = bill(prices, pick(1), pick(2, BREAD), coupons=[coupon("fiver")])
    assert first.total_minor == 200
    new = fixed(first, RemoveLine(line_id=line(first, BREAD).line_id), prices=prices)
    assert new.total_minor == 149 and new.coupon_ids == ()  # below the coupon's minimum now: it is free again


def test_a_payer_can_be_named_later(receipt):
    nobodys = receipt.model_copy(update={"shopper_id": None})
    assert fixed(nobodys, shopper_id="ben").shopper_id == "ben"
    with pytest.raises(CorrectionError, match="is anna's, who may have paid: ben cannot be named"):
        fixed(receipt, shopper_id="ben")


def test_price_files_that_no_longer_fit_the_receipt_are_one_line(receipt):
    added_at_the_end = PriceBook(PRICES.catalogue, PriceList(currency="EUR", prices_include_tax=False))
    with pytest.raises(CorrectionError, match="its prices include tax, unlike the price list's"):
        fixed(receipt, Refund(line_id="1", amount_minor=1), prices=added_at_the_end)
    old = receipt.model_copy(
        update={"lines": (receipt.lines[0].model_copy(update={"tax_class": "luxury"}), *receipt.lines[1:])}
    )
    with pytest.raises(CorrectionError, match="line 1: tax class 'luxury' is not in the catalogue any more"):
        fixed(old, settle_notes=True)


def test_notes_that_were_looked_at_release_the_receipt():
    noted = bill(PRICES, pick(1), coupons=[coupon("moon")])
    assert noted.held_for_review and not fixed(noted, settle_notes=True).held_for_review


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ((), "at least one change"),
        ((RemoveLine(line_id="9"),), "has no line 9; it has 1, 2, 3"),
        ((RemoveLine(line_id="1"), RemoveLine(line_id="1")), "removed by an earlier change"),
        ((Refund(line_id="1", amount_minor=10_000),), "10000 back of"),
        ((Refund(line_id="3", amount_minor=1),), "1 back of 0 charged"),
        ((AddLine(gtin="4006381333931", quantity=1),), "not in the catalogue"),
    ],
)
def test_what_cannot_be_done_says_why(receipt, changes, says):
    with pytest.raises(CorrectionError, match=says):
        fixed(receipt, *changes)


@st.composite
def corrections(draw):
    made = []
    for line_id in draw(st.lists(st.sampled_from(["1", "2", "3"]), max_size=3, unique=True)):
        change = draw(
            st.sampled_from(
                [
                    RemoveLine(line_id=line_id), ChargeLine(line_id=line_id), SetQuantity(line_id=line_id, quantity=5),
                    SetProduct(line_id=line_id, gtin=WATER), AddLine(gtin=COLA, quantity=2),
                ]
            )
        )  # fmt: skip
        made.append(change)
    return made


@settings(max_examples=60, deadline=None)
@given(st.lists(corrections().filter(bool), min_size=1, max_size=3))
def test_versions_add_up_and_their_differences_too(story):
    prices = book(THREE_FOR_TWO, TENTH)
    receipt = first = bill(prices, pick(1, quantity=3), pick(2, BREAD), pick(3, WATER, sure=0.6))
    found = [difference(None, first)]
    for changes in story:
        try:
            new = fixed(receipt, *changes, prices=prices)
        except CorrectionError:  # a line that an earlier version removed
            continue
        assert new.version == receipt.version + 1
        assert new.correction.difference_minor == new.total_minor - receipt.total_minor
        found.append(difference(receipt, new))
        receipt = new
    assert sum(d.total_minor for d in found) == receipt.total_minor
    for t in receipt.taxes:
        assert sum(d.taxes.get(t.tax_class, (0, 0))[1] for d in found) == t.tax_minor
    for d in found:
        assert d.total_minor == sum(net + tax for net, tax in d.taxes.values())
