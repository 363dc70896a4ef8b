# SPDX-License-Identifier: AGPL-3.0-or-later
"""Corrections of identity: whom each label means, and what that does to bills."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.cart.fold import CartState, cart_of, fold, payer_of
from pipeline.cart.identity import Identities, connected
from pipeline.cart.receipts import receipt_of
from pipeline.cart.rules import BillingRules
from pipeline.messages import (
    PersonWithoutPass,
    StaffDecision,
    TrackAmbiguous,
    TrackBound,
    TracksKept,
    TracksMerged,
    TracksSwapped,
    VisitClosed,
    VisitOpened,
)
from tests.unit.cart.events import BREAD, COLA, T0, WATER, S, pick, put_back

RULES = BillingRules()


def base(event_id, at_s):
    return {"event_id": event_id, "store_id": "shop", "at_ns": T0 + round(at_s * S)}


def opened(visit_id="v1", at_s=0, **kwargs):
    return VisitOpened(**base(f"open-{visit_id}", at_s), visit_id=visit_id, gate_id="g", shopper_id=visit_id, **kwargs)


def bound(track, visit_id, at_s=0, member=1):
    return TrackBound(
        **base(f"bound-{track}-{visit_id}-{at_s}", at_s), visit_id=visit_id, track_id=track, member=member
    )


def merged(track, other, at_s):
    return TracksMerged(**base(f"merge-{track}-{other}-{at_s}", at_s), track_id=track, other_track_id=other)


def swapped(track, other, at_s, settles=()):
    event_id = f"swap-{track}-{other}-{at_s}"
    return TracksSwapped(**base(event_id, at_s), track_id=track, other_track_id=other, settles=settles)


def ambiguous(*tracks, at_s, p=0.5):
    return TrackAmbiguous(
        **base(f"amb-{at_s}", at_s), track_ids=tracks, until_ns=T0 + round((at_s + 1) * S), exchange_probability=p
    )


def billed(events, visit_id="v1"):
    return sorted(u.gtin for u in cart_of(fold(CartState(), *events), visit_id, RULES).units if u.certain)


def held(events, visit_id="v1"):
    return sorted(u.gtin for u in cart_of(fold(CartState(), *events), visit_id, RULES).units if not u.certain)


TWO = [opened("v1"), opened("v2"), bound("t1", "v1"), bound("t2", "v2")]


def test_after_a_swap_each_label_is_the_other_person():
    events = [*TWO, pick(5, COLA, "t1"), swapped("t1", "t2", 10), pick(15, BREAD, "t1"), pick(16, WATER, "t2")]
    assert billed(events, "v1") == sorted([COLA, WATER])
    assert billed(events, "v2") == [BREAD]


def test_two_swaps_undo_each_other():
    events = [*TWO, swapped("t1", "t2", 10), swapped("t1", "t2", 20), pick(15, BREAD, "t1"), pick(25, COLA, "t1")]
    assert billed(events, "v1") == [COLA]
    assert billed(events, "v2") == [BREAD]


def test_a_merged_track_takes_its_picks_along():
    events = [*TWO, pick(5, COLA, "t1"), pick(15, BREAD, "t3"), merged("t1", "t3", 12)]
    assert billed(events, "v1") == sorted([COLA, BREAD])


def test_a_duplicate_that_began_before_the_pass_was_shown_follows_the_binding():
    events = [opened("v1", 5), merged("t1", "t3", 3), bound("t1", "v1", 5), pick(15, BREAD, "t3")]
    assert billed(events, "v1") == [BREAD]


def test_a_merge_is_stronger_than_a_wrong_binding_of_the_duplicate():
    """The gate had stitched the duplicate to the other visit at the moment of its birth."""
    events = [*TWO, bound("t3", "v2", 12), merged("t1", "t3", 12), pick(15, BREAD, "t3")]
    assert billed(events, "v1") == [BREAD]
    assert billed(events, "v2") == []


def test_chains_of_merges_and_swaps():
    events = [
        *TWO, merged("t1", "t3", 10), swapped("t3", "t2", 20), pick(15, COLA, "t3"), pick(25, BREAD, "t3"),
        pick(26, WATER, "t2"),
    ]  # fmt: skip
    assert billed(events, "v1") == sorted([COLA, WATER])
    assert billed(events, "v2") == [BREAD]


def test_what_follows_an_ambiguity_is_held_and_what_was_before_is_not():
    events = [*TWO, pick(5, COLA, "t1"), ambiguous("t1", "t2", at_s=10), pick(15, BREAD, "t1")]
    assert billed(events) == [COLA]
    state = fold(CartState(), *events)
    found = [u for v in ("v1", "v2") for u in cart_of(state, v, RULES).units if u.gtin == BREAD]
    (unit,) = found  # on one cart only
    assert "confused" in unit.reason and "somebody else" in unit.reason


def test_a_slight_ambiguity_does_not_hold():
    events = [*TWO, ambiguous("t1", "t2", at_s=10, p=0.1), pick(15, BREAD, "t1")]
    assert billed(events) == [BREAD]


def test_confusion_within_a_party_does_not_matter():
    events = [
        opened("v1", party_size=2), bound("t1", "v1"), bound("t2", "v1", member=2), ambiguous("t1", "t2", at_s=10),
        pick(15, BREAD, "t1"),
    ]  # fmt: skip
    assert billed(events) == [BREAD]


def test_members_have_their_own_units():
    events = [
        opened("v1", party_size=2), bound("t1", "v1"), bound("t2", "v1", member=2), pick(5, COLA, "t1"),
        pick(15, BREAD, "t2"),
    ]  # fmt: skip
    units = cart_of(fold(CartState(), *events), "v1", RULES).units
    assert [(u.gtin, u.member) for u in units] == [(COLA, 1), (BREAD, 2)]


@pytest.mark.parametrize("answer", ["kept", "swapped"])
def test_a_settled_ambiguity_is_none(answer):
    doubt = ambiguous("t1", "t2", at_s=10)
    settled = TracksKept(**base("kept", 30), settles=(doubt.event_id,))
    if answer == "swapped":
        settled = swapped("t1", "t2", 10, settles=(doubt.event_id,))
    events = [*TWO, doubt, settled, pick(15, BREAD, "t1")]
    assert billed(events, "v1") == ([BREAD] if answer == "kept" else [])
    assert billed(events, "v2") == ([] if answer == "kept" else [BREAD])
    assert held(events, "v1") == held(events, "v2") == []


def test_a_pass_shown_after_an_ambiguity_is_of_whoever_has_the_label():
    events = [opened("v1", 20), ambiguous("t1", "t2", at_s=10), bound("t1", "v1", 20), pick(25, BREAD, "t1")]
    assert billed(events) == [BREAD]


def test_who_came_in_without_a_pass_has_a_bill_and_no_payer(catalogue):
    came = PersonWithoutPass(**base("came", 1), visit_id="w", gate_id="g", track_id="t9")
    item = pick(5, COLA, "t9")
    closed = VisitClosed(
        **base("close", 20), visit_id="w", gate_id="g", event_ids=(came.event_id, item.event_id, "payer")
    )
    payer = StaffDecision(**base("payer", 10), visit_id="w", decision="payer-named", staff_id="s1", shopper_id="ben")
    state = fold(CartState(), came, item, closed)
    assert payer_of(state, "w") is None
    receipt = receipt_of(state, "w", catalogue, RULES)
    assert receipt.shopper_id is None and receipt.total_minor == 0 and receipt.held_for_review
    assert [line.status for line in receipt.lines] == ["held"]
    receipt = receipt_of(fold(state, payer), "w", catalogue, RULES)
    assert receipt.shopper_id == "ben" and receipt.total_minor == 149


def test_connected_tracks_grow_along_corrections():
    doubt = ambiguous("t2", "t3", at_s=10)
    kept = TracksKept(**base("kept", 30), settles=(doubt.event_id,))
    far = swapped("t8", "t9", 5)
    tracks, used = connected(["t1"], [kept, far, doubt, merged("t1", "t2", 4)])
    assert tracks == {"t1", "t2", "t3"}
    assert {e.event_id for e in used} == {"merge-t1-t2-4", "amb-10", "kept"}
    assert connected(["t5"], [kept, far, doubt]) == (frozenset({"t5"}), ())


LABELS = ["t1", "t2", "t3", "t4"]


@st.composite
def stories(draw):
    """Two visits, four labels, corrections and picks at distinct or equal times."""
    events = list(TWO)
    for number in range(draw(st.integers(0, 6))):
        a, b = draw(st.lists(st.sampled_from(LABELS), min_size=2, max_size=2, unique=True))
        at_s = draw(st.integers(1, 12))
        kind = draw(st.sampled_from(["swap", "merge", "doubt", "bind"]))
        if kind == "swap":
            event = swapped(a, b, at_s)
        elif kind == "merge":
            event = merged(a, b, at_s)
        elif kind == "doubt":
            event = ambiguous(a, b, at_s=at_s, p=draw(st.sampled_from([0.1, 0.3, 0.5, 1.0])))
        else:
            event = bound(a, draw(st.sampled_from(["v1", "v2"])), at_s)
        events.append(event.model_copy(update={"event_id": f"c{number}"}))
    for number in range(draw(st.integers(1, 6))):
        make = draw(st.sampled_from([pick, pick, put_back]))
        product, who = draw(st.sampled_from([COLA, BREAD])), draw(st.sampled_from(LABELS))
        events.append(make(draw(st.integers(1, 14)), product, who, event_id=f"e{number}"))
    return events


@settings(max_examples=80, deadline=None)
@given(stories(), st.randoms(use_true_random=False))
def test_corrections_commute_with_any_order_of_reading(events, shuffle: random.Random):
    mixed = [*events, *shuffle.choices(events, k=4)]
    shuffle.shuffle(mixed)
    one_by_one = CartState()
    for event in mixed:
        one_by_one = fold(one_by_one, event)
    for visit_id in ("v1", "v2"):
        assert cart_of(one_by_one, visit_id, RULES) == cart_of(fold(CartState(), *events), visit_id, RULES)


@settings(max_examples=80, deadline=None)
@given(stories(), st.integers(0, 15))
def test_every_label_is_somebody_with_certainty_one(events, at_s):
    identities = Identities(events)
    for label in LABELS:
        row = identities._row_at(label, T0 + at_s * S)
        assert abs(sum(row.values()) - 1) < 1e-9 and all(p > 0 for p in row.values())


@settings(max_examples=80, deadline=None)
@given(stories())
def test_a_pick_is_on_one_cart_at_most(events):
    state = fold(CartState(), *events)
    on = [i for v in ("v1", "v2") for u in cart_of(state, v, RULES).units for i in u.event_ids[:1]]
    assert len(on) == len(set(on))


@settings(max_examples=60, deadline=None)
@given(stories(), st.integers(1, 12))
def test_exchanging_twice_at_once_changes_nothing(events, at_s):
    twice = [swapped("t1", "t2", at_s), swapped("t1", "t2", at_s).model_copy(update={"event_id": "second"})]
    before, after = fold(CartState(), *events), fold(CartState(), *events, *twice)
    others = {e.at_ns for e in events if e.at_ns == twice[0].at_ns}
    if not others:
        for visit_id in ("v1", "v2"):
            assert cart_of(before, visit_id, RULES) == cart_of(after, visit_id, RULES)
