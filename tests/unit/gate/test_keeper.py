# SPDX-License-Identifier: AGPL-3.0-or-later
"""Visits from the tap to the exit, on drawn paths. The gate's line is x = 1, inside is x > 1, taps at (0.5, 1)."""

from dataclasses import dataclass

import numpy as np
import pytest

from calibration.layout import StoreLayout
from pipeline.gate import GateKeeper
from pipeline.messages import Candidate, FloorTrack, ShelfEvent, TrackBound, VisitOpened

S = 1_000_000_000
T0 = 1_700_000_000 * S
WINDOW_NS = S // 10


@pytest.fixture(scope="module")
def layout() -> StoreLayout:
    camera = {"id": "c", "focal_px": (700, 700), "position_m": (3, 1, 2.5), "look_at_m": (3, 1.2, 0)}
    slot = {"id": "g-1", "start_m": 0, "end_m": 0.3}
    shelf = {"id": "g-a", "height_m": 1, "depth_m": 0.3, "clearance_m": 0.3, "slots": [slot]}
    gondola = {
        "id": "g", "origin_m": (4, 1.9), "facing_deg": -90, "width_m": 1, "height_m": 1.8, "depth_m": 0.3,
        "shelves": [shelf],
    }  # fmt: skip
    gate = {
        "id": "gate", "line_m": [(1, 0), (1, 2)], "inward": (1, 0), "tap_m": (0.5, 1), "radius_m": 0.7,
    }  # fmt: skip
    return StoreLayout.model_validate(
        {
            "store_id": "shop", "floor_m": [(0, 0), (6, 0), (6, 2), (0, 2)], "cameras": [camera],
            "gondolas": [gondola], "gates": [gate],
        }
    )  # fmt: skip


@dataclass(frozen=True)
class Tap:
    at_ns: int
    shopper_id: str
    gate_id: str = "gate"
    kind: str = "entry"


def at(seconds: float) -> int:
    return T0 + round(seconds * S)


class Shop:
    """Plays paths through a gate keeper: track id -> list of (seconds, x, y), straight in between, seen from the first
    to the last point except in the `hidden` spans."""

    def __init__(self, layout, paths, taps=(), hidden=None, shelf_events=(), until_s=30.0):
        self.events, self.exits, self.closings = [], [], []
        keeper = GateKeeper(layout)
        seen = {}
        waiting = sorted(taps, key=lambda t: t.at_ns)
        shelf_events = sorted(shelf_events, key=lambda e: e.t1_ns)
        for k in range(int(until_s * 10)):
            now = T0 + k * WINDOW_NS
            tracks = []
            for track_id, points in paths.items():
                times = np.array([at(p[0]) for p in points])
                if not times[0] <= now <= times[-1]:
                    continue
                if any(at(a) <= now <= at(b) for a, b in (hidden or {}).get(track_id, ())):
                    continue
                xy = np.array([np.interp(now, times, [p[i] for p in points]) for i in (1, 2)])
                before = seen.get(track_id)
                velocity = np.zeros(2) if before is None else (xy - before) * 10
                seen[track_id] = xy
                tracks.append(FloorTrack(track_id, now, xy, np.eye(2) * 0.01, velocity, now))
            due = [t for t in waiting if t.at_ns <= now]
            waiting = [t for t in waiting if t.at_ns > now]
            update = keeper.update(now, tracks, due)
            self.events += update.events
            keeper.note([e for e in shelf_events if e.t1_ns <= now < e.t1_ns + WINDOW_NS])
            self._see_out(keeper, update)
        self._see_out(keeper, keeper.finish(now))

    def _see_out(self, keeper, update):
        for left in update.exits:
            self.exits.append(left)
            self.closings.append(keeper.close(left))

    def bound(self):
        """shopper -> track ids."""
        shopper = {e.visit_id: e.shopper_id for e in self.events if isinstance(e, VisitOpened)}
        found = {s: [] for s in shopper.values()}
        for e in self.events:
            if isinstance(e, TrackBound):
                found[shopper[e.visit_id]].append(e.track_id)
        return found


def pick(at_s, **persons) -> ShelfEvent:
    return ShelfEvent(
        event_id=f"pick-{at_s}", store_id="shop", at_ns=at(at_s), kind="pick", kind_probability=1,
        persons=tuple(Candidate(value=t, probability=p) for t, p in persons.items()),
        products=(Candidate(value="1", probability=1),), quantities=(Candidate(value="1", probability=1),),
        gondola_id="g", slot_id="g-1", t0_ns=at(at_s), t1_ns=at(at_s + 0.5),
    )  # fmt: skip


ROUND = [(0, 0.0, 1), (1, 0.5, 1), (2, 0.5, 1), (5, 4, 1), (15, 4, 1), (19, 0.0, 1)]


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


def test_who_comes_in_without_a_tap_is_nobodys_visit(layout):
    tailgater = [(t + 1.5, x, y + 0.4) for t, x, y in ROUND]
    events = [pick(8, t1=1.0), pick(10, t2=1.0), pick(11, t1=0.6, t2=0.4)]
    shop = Shop(layout, {"t1": ROUND, "t2": tailgater}, [Tap(at(1.5), "anna")], shelf_events=events)
    assert shop.bound() == {"anna": ["t1"]}
    (closing,) = shop.closings
    assert "pick-10" not in closing.event_ids
    assert {"pick-8", "pick-11"} <= set(closing.event_ids)


def test_a_closing_names_the_bindings_of_other_candidates(layout):
    second = [(t + 2, x, y) for t, x, y in ROUND]
    taps = [Tap(at(1.5), "anna"), Tap(at(3.5), "ben")]
    shop = Shop(layout, {"t1": ROUND, "t2": second}, taps, shelf_events=[pick(8, t1=0.5, t2=0.5)])
    bindings = {e.event_id for e in shop.events if isinstance(e, TrackBound)}
    assert all(bindings <= set(c.event_ids) for c in shop.closings)


def test_jitter_on_the_line_while_coming_in_is_no_exit(layout):
    jitter = [
        (0, 0.5, 1),
        (2, 0.5, 1),
        (2.4, 1.05, 1),
        (2.6, 0.9, 1),
        (2.8, 1.1, 1),
        (3, 0.95, 1),
        (5, 3, 1),
        (29, 3, 1),
    ]
    shop = Shop(layout, {"t1": jitter}, [Tap(at(1), "anna")])
    assert shop.exits == []


def test_turning_back_just_before_the_line_is_no_exit(layout):
    turn = [*ROUND[:5], (18, 1.2, 1), (19, 1.2, 1), (21, 4, 1), (29, 4, 1)]
    assert Shop(layout, {"t1": turn}, [Tap(at(1.5), "anna")]).exits == []


def test_stepping_back_in_at_once_is_one_visit_until_the_real_exit(layout):
    step = [*ROUND[:5], (18, 0.95, 1), (18.2, 1.3, 1), (20, 4, 1), (24, 0, 1)]
    (left,) = Shop(layout, {"t1": step}, [Tap(at(1.5), "anna")]).exits
    assert left.at_ns >= at(22.9)


def test_going_out_by_another_gate_closes_the_visit_there(layout):
    far = layout.gates[0].model_copy(
        update={"id": "far", "line_m": ((5, 0), (5, 2)), "inward": (-1, 0), "tap_m": (5.5, 1)}
    )
    through = [*ROUND[:5], (17, 6, 1)]
    (left,) = Shop(
        layout.model_copy(update={"gates": (*layout.gates, far)}), {"t1": through}, [Tap(at(1.5), "a")]
    ).exits
    assert left.gate_id == "far" and at(15.9) <= left.at_ns <= at(16.2)


def test_lost_near_the_line_on_the_way_out_has_left(layout):
    lost = [*ROUND[:5], (17.7, 1.3, 1)]
    (left,) = Shop(layout, {"t1": lost}, [Tap(at(1.5), "anna")]).exits
    assert left.at_ns == at(17.7)


def test_lost_near_the_line_while_standing_or_far_away_has_not_left(layout):
    standing = [*ROUND[:5], (17, 1.3, 1), (20, 1.3, 1)]
    far = [*ROUND[:5], (16, 3.0, 1)]
    for path in (standing, far):
        assert Shop(layout, {"t1": path}, [Tap(at(1.5), "anna")]).exits == []


def test_a_recording_that_ends_at_the_exit_closes_the_visit(layout):
    shop = Shop(layout, {"t1": ROUND}, [Tap(at(1.5), "anna")], until_s=17.9)  # 0.1 m before the line
    assert len(shop.closings) == 1


def test_who_is_still_inside_at_the_end_is_not_closed(layout):
    assert Shop(layout, {"t1": ROUND}, [Tap(at(1.5), "anna")], until_s=12).closings == []


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


def test_coming_in_again_is_a_second_visit(layout):
    again = ROUND + [(20, 0.5, 1), (21, 0.5, 1), (24, 4, 1), (28, 0, 1)]
    shop = Shop(layout, {"t1": again}, [Tap(at(1.5), "anna"), Tap(at(20.5), "anna")], shelf_events=[pick(8, t1=1.0)])
    first, second = shop.closings
    assert "pick-8" in first.event_ids and "pick-8" not in second.event_ids
    assert first.visit_id != second.visit_id
