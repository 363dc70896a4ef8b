# SPDX-License-Identifier: AGPL-3.0-or-later
"""How full the shelves are, from what hands did and what staff counted."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.operations.stock import ShelfCount, product_levels, slot_levels
from tests.unit.operations.events import BREAD, COLA, WATER, at, catalogue, layout, pick, planogram, put_back


def levels(events=(), counts=()):
    found = slot_levels(layout(), catalogue(), planogram(), events, counts)
    return {slot_id: level.units for slot_id, level in found.items()}


FULL = {"g1-0": 6, "g1-1": 6, "g2-0": 3, "g2-1": 3}
"""0.4 m deep: six cans of 6 cm with 6 mm between them, three things of 10 cm."""


def test_a_shelf_that_nobody_touched_is_full():
    assert levels() == FULL


@pytest.mark.parametrize(
    ("events", "changed"),
    [
        ([pick(1, COLA, "g1-0", 2)], {"g1-0": 4}),
        ([pick(1, COLA, "g1-0", 2), put_back(2, COLA, "g1-0")], {"g1-0": 5}),
        ([pick(k, BREAD, "g2-0", 2) for k in range(4)], {"g2-0": 0}),  # never below nothing
        ([put_back(1, COLA, "g1-0", 3)], {}),  # never above what fits
        ([pick(1, WATER, "g1-0")], {}),  # somebody takes what had been put there by mistake
        ([pick(1, BREAD, None, gondola_id="g2")], {"g2-0": 2}),  # the slot is not known, the product is
        ([pick(1, COLA, "g1-0", 2), put_back(2, COLA, None, gondola_id="g1")], {"g1-0": 5}),  # where most is missing
        ([pick(1, COLA, "g1-0", product=0.5)], {}),  # too doubtful to count
        ([pick(1, COLA, "g1-0", sure=0.5)], {}),
        ([pick(1, COLA, "g1-0", 999)], {}),
        ([pick(1, COLA, "g1-0")] * 3, {"g1-0": 5}),  # the same event again
    ],
)
def test_levels_follow_hands(events, changed):
    assert levels(events) == FULL | changed


def test_a_count_by_staff_begins_anew_and_later_hands_go_on_from_it():
    events = [pick(1, COLA, "g1-0", 3), pick(9, COLA, "g1-0", 1)]
    assert levels(events, [ShelfCount("g1-0", at(5), 6)])["g1-0"] == 5
    assert levels(events, [ShelfCount("g1-0", at(10), 2)])["g1-0"] == 2
    assert levels(events, [ShelfCount("g1-0", at(10), 99), ShelfCount("gone", at(10), 1)])["g1-0"] == 6


def test_the_emptiest_product_comes_first_and_low_is_a_share_of_all_its_slots():
    events = [pick(k, COLA, f"g1-{k % 2}") for k in range(9)] + [pick(20, BREAD, "g2-0")]
    found = product_levels(slot_levels(layout(), catalogue(), planogram(), events))
    assert [(p.gtin, p.units, p.capacity, p.is_low()) for p in found] == [
        (COLA, 3, 12, True), (BREAD, 2, 3, False), (WATER, 3, 3, False),
    ]  # fmt: skip


moves = st.lists(
    st.tuples(st.sampled_from(["pick", "put"]), st.sampled_from([COLA, BREAD, WATER]), st.integers(1, 4)), max_size=30
)


@settings(deadline=None)
@given(moves, st.randoms(use_true_random=False))
def test_levels_stay_possible_and_do_not_depend_on_the_order_of_reading(steps, rng: random.Random):
    events = [
        (pick if kind == "pick" else put_back)(k, gtin, None, units, gondola_id=rng.choice(["g1", "g2"]))
        for k, (kind, gtin, units) in enumerate(steps)
    ]
    found = levels(events)
    assert all(0 <= found[slot] <= FULL[slot] for slot in FULL)
    shuffled = [*events, *events[:3]]
    rng.shuffle(shuffled)
    assert levels(shuffled) == found
