# SPDX-License-Identifier: AGPL-3.0-or-later
"""Several people on one pass, and staff at the gate."""

from pipeline.messages import (
    TrackBound,
    VisitOpened,
)
from tests.gate_walks import FAMILY, ROUND, Shop, Tap, at, behind, pick


def test_one_tap_lets_a_party_in_on_one_visit(layout):
    events = [pick(8, t1=1.0), pick(9, t2=1.0), pick(10, t3=1.0)]
    shop = Shop(layout, FAMILY, [Tap(at(1.5), "anna", party_size=3)], shelf_events=events)
    assert shop.bound() == {"anna": ["t1", "t2", "t3"]} and shop.without_pass() == []
    assert [e.member for e in shop.events if isinstance(e, TrackBound)] == [1, 2, 3]
    (closing,) = shop.closings
    assert {"pick-8", "pick-9", "pick-10"} <= set(closing.event_ids)
    assert at(20.4) <= closing.at_ns <= at(20.8)  # the last one out, 2.5 s after the payer


def test_children_run_ahead_of_the_payer(layout):
    ahead = [(0, 0.2, 0.5), (1.5, 2, 0.5), (5, 4, 0.5), (15, 4, 0.5), (19, 0, 0.5)]
    shop = Shop(layout, {"t1": [(t + 1, x, y) for t, x, y in ROUND], "t2": ahead}, [Tap(at(2.5), "anna", party_size=2)])
    assert shop.bound() == {"anna": ["t1", "t2"]} and shop.without_pass() == []


def test_a_party_of_two_does_not_let_a_third_in(layout):
    shop = Shop(layout, FAMILY, [Tap(at(1.5), "anna", party_size=2)])
    assert shop.bound() == {"anna": ["t1", "t2"]} and shop.without_pass() == ["t3"]


def test_who_taps_behind_a_party_is_not_one_of_it(layout):
    ben = [(t + 3, x, y) for t, x, y in ROUND]
    shop = Shop(layout, {**FAMILY, "t9": ben}, [Tap(at(1.5), "anna", party_size=4), Tap(at(4.5), "ben")])
    assert shop.bound() == {"anna": ["t1", "t2", "t3"], "ben": ["t9"]}


def test_the_payer_leaves_first_and_the_bill_waits_for_the_others(layout):
    stays = [*behind(1.0)[:-1], (20, 4, 1.4), (24, 0, 1.4)]
    shop = Shop(
        layout, {"t1": ROUND, "t2": stays}, [Tap(at(1.5), "anna", party_size=2)], shelf_events=[pick(20, t2=1.0)]
    )
    (closing,) = shop.closings
    assert closing.at_ns >= at(22.9) and "pick-20" in closing.event_ids


def test_a_member_lost_in_the_shop_keeps_nobodys_bill_waiting_for_long(layout):
    vanishes = [*behind(1.0)[:3], (8, 4, 1.4)]
    shop = Shop(layout, {"t1": ROUND, "t2": vanishes}, [Tap(at(1.5), "anna", party_size=2)], until_s=40)
    (closing,) = shop.closings
    assert at(18) <= closing.at_ns <= at(18.2)


def test_a_group_that_joins_inside_is_on_one_bill(layout):
    second = [(t + 2, x, y) for t, x, y in ROUND]
    taps = [Tap(at(1.5), "anna"), Tap(at(3.5), "ben"), Tap(at(9), "anna", kind="join", joins="ben")]
    shop = Shop(layout, {"t1": ROUND, "t2": second}, taps, shelf_events=[pick(8, t2=1.0), pick(12, t2=1.0)])
    by_visit = {c.visit_id: set(c.event_ids) for c in shop.closings}
    anna, ben = (e.visit_id for e in shop.events if isinstance(e, VisitOpened))
    assert {"pick-8", "pick-12"} <= by_visit[anna] and not {"pick-8", "pick-12"} & by_visit[ben]
    assert at(19.9) <= max(c.at_ns for c in shop.closings)  # ben goes last


def test_staff_put_a_person_without_a_pass_onto_somebodys_bill(layout):
    taps = [Tap(at(1.5), "anna"), Tap(at(9), "anna", kind="join")]
    shop = Shop(layout, {"t1": ROUND, "t2": behind()}, taps, shelf_events=[pick(8, t2=1.0), pick(12, t2=1.0)])
    (anna,) = [e.visit_id for e in shop.events if isinstance(e, VisitOpened)]
    by_visit = {c.visit_id: set(c.event_ids) for c in shop.closings}
    assert {"pick-8", "pick-12"} <= by_visit[anna] and len(by_visit) == 2


def test_a_shopper_inside_brings_somebody_in(layout):
    later = [(t + 8, x, y + 0.3) for t, x, y in ROUND]
    taps = [Tap(at(1.5), "anna"), Tap(at(9.5), "anna", kind="bring")]
    shop = Shop(layout, {"t1": ROUND, "t2": later}, taps, shelf_events=[pick(15, t2=1.0)])
    assert shop.bound() == {"anna": ["t1", "t2"]} and shop.without_pass() == []
    (closing,) = shop.closings
    assert "pick-15" in closing.event_ids and closing.at_ns >= at(25.9)


def test_staff_are_followed_and_in_no_log(layout):
    taps = [Tap(at(1.5), "staff-7", kind="staff"), Tap(at(3.5), "ben")]
    second = [(t + 2, x, y) for t, x, y in ROUND]
    shop = Shop(layout, {"t1": ROUND, "t2": second}, taps, shelf_events=[pick(8, t1=1.0), pick(9, t2=1.0)])
    assert shop.bound() == {"ben": ["t2"]} and shop.without_pass() == []
    (closing,) = shop.closings
    assert "pick-8" not in closing.event_ids and shop.keeper.open_visits() == ()


def test_joining_nobody_changes_nothing(layout):
    taps = [Tap(at(1.5), "anna"), Tap(at(9), "anna", kind="join"), Tap(at(9), "zoe", kind="join", joins="anna")]
    shop = Shop(layout, {"t1": ROUND}, taps)
    assert shop.bound() == {"anna": ["t1"]} and len(shop.closings) == 1
