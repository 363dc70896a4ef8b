# SPDX-License-Identifier: AGPL-3.0-or-later
"""Who is in the shop at a moment, and whose each dot is."""

import itertools

from pipeline.cart.rules import BillingRules
from pipeline.messages import TracksSwapped
from pipeline.operations.floor_state import FloorState
from tests.unit.operations.events import COLA, at, bound, closed, opened, pick, put_back, without_pass

RULES = BillingRules()
DAY = [
    opened(1, party_size=2),
    bound(1),
    bound(2, track="t2"),
    without_pass(3, behind="v-abcd1"),
    pick(4, COLA, "g1-0"),
    pick(5, COLA, "g1-0", track="t9"),
    put_back(6, COLA, "g1-0"),
    closed(8),
]


def state(at_s, events=DAY) -> FloorState:
    return FloorState(events, at(at_s))


def test_visits_come_and_go_and_nobody_has_a_name():
    assert state(0).visits == {}
    (visit,) = state(2).visits.values()
    assert (visit.label, visit.party_size, visit.without_pass) == ("ABCD", 2, False)
    ours, theirs = state(7).visits.values()
    assert theirs.without_pass and theirs.behind_visit_id == ours.visit_id
    assert list(state(9).visits) == ["v-zzzz9"]
    assert "anna" not in repr(state(7).visits)


def test_dots_belong_to_visits_until_these_end():
    assert state(0.5).visit_of("t1") is None
    assert {t: state(7).visit_of(t) for t in ("t1", "t2", "t9", "staff")} == {
        "t1": "v-abcd1", "t2": "v-abcd1", "t9": "v-zzzz9", "staff": None,
    }  # fmt: skip
    assert state(9).visit_of("t1") is None


def test_dots_follow_the_trackers_corrections():
    swapped = TracksSwapped(
        event_id="swap", store_id="shop", at_ns=at(3.5), track_id="t1", other_track_id="t9", reason="passed closely"
    )
    assert state(3.2, [*DAY, swapped]).visit_of("t1") == "v-abcd1"
    assert state(7, [*DAY, swapped]).visit_of("t1") == "v-zzzz9"


def test_a_cart_holds_what_was_taken_by_then():
    held = [len(state(t).cart("v-abcd1", RULES).units) for t in (3.5, 4.5, 6.5)]
    assert held == [0, 1, 0]
    assert [u.gtin for u in state(9).cart("v-zzzz9", RULES).units] == [COLA]


def test_carts_say_what_is_doubtful_before_there_is_a_receipt():
    events = [opened(1), bound(1), put_back(2, COLA, "g1-0")]
    ((visit_id, note),) = state(3, events).notes(RULES)
    assert (visit_id, note.gtin, note.quantity) == ("v-abcd1", COLA, 1)
    assert state(0.5, events).notes(RULES) == []


def test_gates_count_who_came_and_went():
    (gate,) = state(9).gates(["gate"])
    assert (gate.entries, gate.exits, gate.without_pass, gate.last_ns) == (2, 1, 1, at(8))


def test_the_order_of_reading_leaves_no_trace():
    wanted = state(7)
    for events in itertools.islice(itertools.permutations(DAY), 0, 40320, 997):
        found = state(7, events)
        assert found.visits == wanted.visits
        assert [found.visit_of(t) for t in ("t1", "t2", "t9")] == [wanted.visit_of(t) for t in ("t1", "t2", "t9")]
