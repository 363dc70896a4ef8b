# SPDX-License-Identifier: AGPL-3.0-or-later
"""Whom a tap at the gate is bound to, and the visit from then to the exit, on drawn paths."""

from pipeline.messages import (
    TrackBound,
    VisitOpened,
)
from tests.gate_walks import ROUND, Shop, Tap, at, pick


def test_tap_bind_walk_out_close(layout):
    shop = Shop(layout, {"t1": ROUND}, [Tap(at(1.5), "anna")], shelf_events=[pick(8, t1=1.0)])
    assert shop.bound() == {"anna": ["t1"]}
    opened, bound = shop.events
    assert opened.at_ns == bound.at_ns == at(1.5)
    (closing,) = shop.closings
    assert closing.event_ids == (opened.event_id, bound.event_id, "pick-8")
    assert at(18) <= closing.at_ns <= at(18.2)  # x = 1 is crossed at 18 s


def test_the_same_footage_gives_the_same_ids_and_another_tap_others(layout):
    def ids(tap_s):
        shop = Shop(layout, {"t1": ROUND}, [Tap(at(tap_s), "anna")])
        return [e.event_id for e in [*shop.events, *shop.closings]]

    assert ids(1.5) == ids(1.5)
    assert not set(ids(1.5)) & set(ids(1.6))
    assert len(set(ids(1.5))) == 3


def test_of_two_people_at_the_gate_the_nearer_to_the_tap_point_is_bound(layout):
    behind = [(0.5, 0.0, 1.3), (2, 0.1, 1.3), (6, 3, 1.3), (29, 3, 1.3)]
    shop = Shop(layout, {"t1": ROUND, "t2": behind}, [Tap(at(1.5), "anna")])
    assert shop.bound() == {"anna": ["t1"]}


def test_two_taps_in_a_row_bind_two_people(layout):
    second = [(t + 2, x, y) for t, x, y in ROUND]
    shop = Shop(layout, {"t1": ROUND, "t2": second}, [Tap(at(1.5), "anna"), Tap(at(3.5), "ben")])
    assert shop.bound() == {"anna": ["t1"], "ben": ["t2"]}
    assert [e.track_ids for e in shop.exits] == [("t1",), ("t2",)]


def test_a_track_born_after_the_tap_is_waited_for(layout):
    late = [(3, 1.5, 1), (5, 4, 1), (15, 4, 1), (19, 0, 1)]
    shop = Shop(layout, {"t1": late}, [Tap(at(1.5), "anna")])
    assert shop.bound() == {"anna": ["t1"]}
    assert len(shop.closings) == 1


def test_nobody_near_the_tap_binds_nobody(layout):
    inside = [(0, 5, 1), (29, 5, 1)]
    shop = Shop(layout, {"t1": inside}, [Tap(at(10), "anna")])
    assert shop.bound() == {"anna": []}
    assert shop.closings == []


def test_a_tap_whose_clock_is_off_binds_who_was_there_shortly_before(layout):
    quick = [(0, 0.5, 1), (0.5, 0.5, 1), (2, 4, 1), (15, 4, 1), (19, 0, 1)]
    shop = Shop(layout, {"t1": quick}, [Tap(at(1.5), "anna")])
    assert shop.bound() == {"anna": ["t1"]}


def test_of_two_close_together_the_one_who_stood_at_the_reader(layout):
    """The second walks past nearer to the reader at the very moment of the tap, and does not stop."""
    stands = [(0, 0.0, 1.15), (1, 0.45, 1.15), (2.4, 0.45, 1.15), (5, 4, 1.15), (29, 4, 1.15)]
    passes = [(0.9, 0.0, 0.95), (1.5, 0.5, 0.95), (2.1, 1.2, 0.95), (5, 4, 0.4), (29, 4, 0.4)]
    shop = Shop(layout, {"t1": stands, "t2": passes}, [Tap(at(1.5), "anna")], until_s=8)
    assert shop.bound() == {"anna": ["t1"]} and shop.without_pass() == ["t2"]


def test_a_pass_that_nobody_walks_in_with_is_an_empty_visit(layout):
    shop = Shop(
        layout, {"t1": [(0, 0.4, 1), (3, 0.4, 1), (4, 0.0, 1)]}, [Tap(at(1.5), "anna"), Tap(at(20), "ben")], until_s=100
    )
    assert [c.at_ns for c in shop.closings] == [at(4.0), at(80)]
    assert all(not [i for i in c.event_ids if i.startswith("pick")] for c in shop.closings)


def test_the_same_tap_twice_is_one_visit(layout):
    shop = Shop(layout, {"t1": ROUND}, [Tap(at(1.5), "anna"), Tap(at(1.5), "anna")])
    assert [type(e) for e in shop.events] == [VisitOpened, TrackBound]
