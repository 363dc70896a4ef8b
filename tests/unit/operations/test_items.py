# SPDX-License-Identifier: AGPL-3.0-or-later
"""Goods that are not where they belong."""

import pytest

from pipeline.messages import ReceiptLine, ReviewNote
from pipeline.operations.items import stray_items
from tests.unit.operations.events import BREAD, COLA, WATER, at, layout, pick, planogram, put_back, receipt


def stray(events, **more):
    found = stray_items(events, planogram(), layout(), **more)
    return [(i.kind, i.gtin, i.units, i.slot_id) for i in found]


@pytest.mark.parametrize(
    ("events", "expected"),
    [
        ([put_back(1, COLA, "g1-0")], []),  # where it belongs
        ([put_back(1, BREAD, "g1-0")], [("misplaced", BREAD, 1, "g1-0")]),
        ([put_back(1, WATER, "g2-0")], [("misplaced", WATER, 1, "g2-0")]),  # on the right gondola, in the wrong slot
        ([put_back(1, WATER, None, gondola_id="g2")], []),  # the slot is not known: the gondola has a place for it
        ([put_back(1, WATER, None, gondola_id="g1")], [("misplaced", WATER, 1, None)]),
        ([put_back(1, BREAD, "g1-0", product=0.5)], []),  # nobody is sent for a guess
        ([put_back(1, BREAD, "g1-0", sure=0.5)], []),
        ([put_back(1, BREAD, "g1-0"), pick(2, BREAD, "g1-0")], []),  # somebody took it from there
        ([put_back(1, BREAD, "g1-0", 3), pick(2, BREAD, "g1-0")], [("misplaced", BREAD, 2, "g1-0")]),
        ([put_back(1, BREAD, "g1-0"), pick(2, COLA, "g1-0")], [("misplaced", BREAD, 1, "g1-0")]),
        ([put_back(1, BREAD, "g1-0"), pick(2, BREAD, "g2-0")], [("misplaced", BREAD, 1, "g1-0")]),
        ([put_back(1, BREAD, "g1-0"), pick(2, BREAD, None, gondola_id="g1")], []),
        ([pick(2, BREAD, "g1-0"), put_back(1, BREAD, "g1-0")], []),  # by time, not in the order of reading
    ],
)  # fmt: skip
def test_misplaced(events, expected):
    assert stray(events) == expected


def test_left_behind_is_what_nobody_was_seen_to_take_on_the_newest_receipt_or_in_a_cart():
    event = put_back(5, COLA, "g1-0")
    note = ReviewNote(
        reason="put back, but nobody was seen to take it", gtin=COLA, quantity=1, event_ids=(event.event_id,)
    )
    assert stray([event], notes=[("v-1", note)]) == [("left-behind", COLA, 1, "g1-0")]
    assert stray([event, receipt(9, notes=[note])]) == [("left-behind", COLA, 1, "g1-0")]
    assert stray([event, receipt(9, notes=[note], version=2), receipt(9, notes=[note])], notes=[("v-abcd1", note)]) == [
        ("left-behind", COLA, 1, "g1-0")
    ]
    assert stray([event, receipt(9, notes=[note]), receipt(20, version=2)]) == []  # a correction said otherwise


def test_what_the_store_let_go_is_looked_for_where_it_was_taken():
    event = pick(5, BREAD, "g2-0")
    line = ReceiptLine(
        gtin=BREAD, name="Bread", quantity=2, unit_price_minor=149, total_minor=298, tax_class="standard",
        event_ids=(event.event_id,), status="let-go", reason="which product is not sure", line_id="1",
        taken_at_ns=at(5),
    )  # fmt: skip
    assert stray([event, receipt(9, lines=[line])]) == [("let-go", BREAD, 2, "g2-0")]


def test_what_staff_dealt_with_is_gone_and_the_newest_comes_first():
    events = [put_back(1, BREAD, "g1-0"), put_back(2, WATER, "g1-1")]
    newest, oldest = stray_items(events, planogram(), layout())
    assert (newest.gtin, oldest.gtin) == (WATER, BREAD)
    assert stray_items(events, planogram(), layout(), handled={newest.item_id}) == (oldest,)
