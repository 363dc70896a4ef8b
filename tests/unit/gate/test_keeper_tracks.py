# SPDX-License-Identifier: AGPL-3.0-or-later
"""Tracks that break, merge or change their label in the shop: the visit stays its person's."""

from pipeline.gate import GateKeeper
from pipeline.messages import (
    TrackBound,
    TracksMerged,
    TracksSwapped,
    VisitOpened,
)
from tests.gate_walks import ROUND, Shop, Tap, at, pick


def test_corrections_of_who_is_who_move_the_exit_and_are_named(layout):
    """The tracker swaps both at 10 s and says so at 11 s: anna leaves under ben's label."""
    taps = [Tap(at(1.5), "anna"), Tap(at(3.5), "ben")]
    first, second = [*ROUND[:4], (29, 4, 1)], [(t + 2, x, y) for t, x, y in ROUND]
    swap = TracksSwapped(event_id="swap", store_id="shop", at_ns=at(10), track_id="t1", other_track_id="t2")
    shop = Shop(
        layout, {"t1": first, "t2": second}, taps, shelf_events=[pick(8, t1=1.0), pick(12, t2=1.0)], notes=[(11, swap)]
    )
    anna, _ben = (e.visit_id for e in shop.events if isinstance(e, VisitOpened))
    (closing,) = shop.closings
    assert closing.visit_id == anna and {"swap", "pick-8", "pick-12"} <= set(closing.event_ids)


def test_what_was_done_under_a_label_that_left_with_somebody_else_is_not_forgotten(layout):
    """Swapped at 10 s; anna leaves under ben's label at once, ben three minutes later under hers: his pick of 8 s was
    under his own label, which nobody has carried since."""
    taps = [Tap(at(1.5), "anna"), Tap(at(3.5), "ben")]
    second = [(2, 0.0, 1), (3, 0.5, 1), (4, 0.5, 1), (7, 4, 1), (15, 4, 1), (19, 0.0, 1)]
    first = [*ROUND[:4], (200, 4, 1), (204, 0.0, 1)]
    swap = TracksSwapped(event_id="swap", store_id="shop", at_ns=at(10), track_id="t1", other_track_id="t2")
    shop = Shop(
        layout, {"t1": first, "t2": second}, taps, shelf_events=[pick(8, t2=1.0)], notes=[(11, swap)], until_s=210
    )
    _anna, ben = (e.visit_id for e in shop.events if isinstance(e, VisitOpened))
    closing = shop.closings[-1]
    assert closing.visit_id == ben and {"swap", "pick-8"} <= set(closing.event_ids)


def test_the_ledger_forgets_tracks_of_nobody_also_after_a_restart(layout):
    shop = Shop(layout, {"t1": ROUND}, [Tap(at(1.5), "anna")], shelf_events=[pick(8, t1=1.0)])
    assert len(shop.closings) == 1
    new = GateKeeper(layout)
    new.restore(shop.keeper.snapshot())
    for keeper in (shop.keeper, new):
        keeper.update(at(300), [])
        assert (keeper.snapshot()["events"], keeper.snapshot()["bindings"]) == ([], {})


def test_a_merged_track_is_its_persons(layout):
    late = [(6, 4, 1.6), (15, 4, 1), (19, 0, 1)]
    merge = TracksMerged(event_id="merge", store_id="shop", at_ns=at(6), track_id="t1", other_track_id="t2")
    shop = Shop(
        layout, {"t1": [*ROUND[:3], (5, 4, 1), (8, 4, 1)], "t2": late}, [Tap(at(1.5), "anna")],
        shelf_events=[pick(12, t2=1.0)], notes=[(7, merge)],
    )  # fmt: skip
    (closing,) = shop.closings
    assert {"merge", "pick-12"} <= set(closing.event_ids) and shop.without_pass() == []


def test_a_closing_names_the_bindings_of_other_candidates(layout):
    second = [(t + 2, x, y) for t, x, y in ROUND]
    taps = [Tap(at(1.5), "anna"), Tap(at(3.5), "ben")]
    shop = Shop(layout, {"t1": ROUND, "t2": second}, taps, shelf_events=[pick(8, t1=0.5, t2=0.5)])
    bindings = {e.event_id for e in shop.events if isinstance(e, TrackBound)}
    assert all(bindings <= set(c.event_ids) for c in shop.closings)


def test_a_track_that_breaks_in_the_shop_is_continued(layout):
    first, second = ROUND[:4] + [(8, 4, 1)], [(9, 4.2, 1.2), (15, 4, 1), (19, 0, 1)]
    events = [pick(7, t1=1.0), pick(12, t2=1.0)]
    shop = Shop(layout, {"t1": first, "t2": second}, [Tap(at(1.5), "anna")], shelf_events=events)
    assert shop.bound() == {"anna": ["t1", "t2"]}
    (closing,) = shop.closings
    assert {"pick-7", "pick-12"} <= set(closing.event_ids)


def test_a_new_track_beside_a_shopper_who_is_there_is_somebody_else(layout):
    beside = [(9, 4.2, 1.2), (29, 4.2, 1.2)]
    shop = Shop(layout, {"t1": ROUND, "t2": beside}, [Tap(at(1.5), "anna")])
    assert shop.bound() == {"anna": ["t1"]}


def test_a_broken_track_between_two_lost_shoppers_is_nobodys(layout):
    def broken(delay, y):
        return [(t + delay, x, y) for t, x, _ in ROUND[:4]] + [(10, 4, y)]

    paths = {"t1": broken(0, 0.9), "t2": broken(2.5, 1.1), "t3": [(11, 4, 1), (29, 4, 1)]}
    shop = Shop(layout, paths, [Tap(at(1.5), "anna"), Tap(at(4), "ben")])
    assert shop.bound() == {"anna": ["t1"], "ben": ["t2"]}
