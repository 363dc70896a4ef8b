# SPDX-License-Identifier: AGPL-3.0-or-later
"""Visits from the tap to the exit, on drawn paths. The gate's line is x = 1, inside is x > 1, taps at (0.5, 1)."""

import numpy as np
import pytest

from calibration.layout import StoreLayout
from pipeline.capture.recording import GateTap
from pipeline.gate import Exit, GateKeeper
from pipeline.messages import (
    Candidate,
    FloorTrack,
    PersonWithoutPass,
    ShelfEvent,
    TrackBound,
    TracksMerged,
    TracksSwapped,
    VisitOpened,
)

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


def Tap(at_ns: int, shopper_id: str, **more) -> GateTap:
    return GateTap(at_ns, "gate", shopper_id, **more)


def at(seconds: float) -> int:
    return T0 + round(seconds * S)


class Shop:
    """Plays paths through a gate keeper: track id -> list of (seconds, x, y), straight in between, seen from the first
    to the last point except in the `hidden` spans."""

    def __init__(self, layout, paths, taps=(), hidden=None, shelf_events=(), until_s=30.0, notes=()):
        self.events, self.exits, self.closings = [], [], []
        keeper = self.keeper = GateKeeper(layout)
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
            keeper.note([e for said_s, e in notes if now - WINDOW_NS < at(said_s) <= now])
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
            if isinstance(e, TrackBound) and e.visit_id in shopper:
                found[shopper[e.visit_id]].append(e.track_id)
        return found

    def named(self, visit):
        """What its closing would name if it left now."""
        return set(self.keeper.close(Exit(visit.visit_id, "gate", at(60), ())).event_ids)

    def without_pass(self):
        """Track ids of those who came in on nobody's pass."""
        return [e.track_id for e in self.events if isinstance(e, PersonWithoutPass)]


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


def behind(delay_s=1.5, y=0.4):
    """A way close behind ROUND's, beside the reader and not stopping at it."""
    return [(0.2 + delay_s, 0.0, 1 + y), (1 + delay_s, 0.4, 1 + y), *((t + delay_s, x, 1 + y) for t, x, _ in ROUND[3:])]


def test_who_comes_in_on_nobodys_pass_is_a_visit_without_a_payer(layout):
    events = [pick(8, t1=1.0), pick(10, t2=1.0), pick(11, t1=0.6, t2=0.4)]
    shop = Shop(layout, {"t1": ROUND, "t2": behind()}, [Tap(at(1.5), "anna")], shelf_events=events)
    assert shop.bound() == {"anna": ["t1"]} and shop.without_pass() == ["t2"]
    (alone,) = [e for e in shop.events if isinstance(e, PersonWithoutPass)]
    (anna,) = [e for e in shop.events if isinstance(e, VisitOpened)]
    assert alone.behind_visit_id == anna.visit_id
    hers, theirs = sorted(shop.closings, key=lambda c: c.visit_id != anna.visit_id)
    assert "pick-10" not in hers.event_ids and {"pick-8", "pick-11"} <= set(hers.event_ids)
    assert {"pick-10", "pick-11", alone.event_id} <= set(theirs.event_ids) and "pick-8" not in theirs.event_ids
    assert alone.event_id in hers.event_ids  # whose pick-11 may be besides hers


def test_what_is_settled_after_they_left_is_named_for_who_had_no_pass(layout):
    """A pick of both that the shelf stage could only tell when the second of them had left, too."""
    first = [(0.2, 0.0, 1.4), (1, 0.4, 1.4), *((t, x, 1.4) for t, x, _ in ROUND[3:])]
    stays = [*ROUND[:4], (25, 4, 1), (29, 0, 1)]
    late = pick(10, t1=0.4, t2=0.6).model_copy(update={"t1_ns": at(24)})
    shop = Shop(layout, {"t1": stays, "t2": first}, [Tap(at(1.5), "anna")], shelf_events=[late], until_s=40)
    (alone,) = [e for e in shop.events if isinstance(e, PersonWithoutPass)]
    (theirs,) = [c for c in shop.closings if c.visit_id == alone.visit_id]
    assert "pick-10" in theirs.event_ids and at(17.9) <= theirs.at_ns <= at(18.3)


def test_staff_hear_of_it_within_seconds(layout):
    def told_s(until_s):
        return bool(Shop(layout, {"t1": ROUND, "t2": behind()}, [Tap(at(1.5), "anna")], until_s=until_s).without_pass())

    # x = 1.25 is reached 3.2 s after the way's beginning at 1.5 s; 2.5 s later they have had their chance.
    assert not told_s(5.0) and told_s(7.0)


def test_a_tap_that_comes_late_makes_a_payer_of_who_had_none(layout):
    """They come back to the reader, which is in reach from inside the line."""
    way = [
        (0, 0.0, 1),
        (1, 0.5, 1),
        (2, 0.5, 1),
        (3, 1.5, 1),
        (8, 1.5, 1),
        (10, 1.1, 1),
        (12, 1.1, 1),
        (14, 4, 1),
        (29, 4, 1),
    ]
    shop = Shop(layout, {"t1": way}, [Tap(at(11), "anna")], shelf_events=[pick(6, t1=1.0)])
    assert shop.without_pass() == ["t1"] and shop.bound() == {"anna": ["t1"]}
    (emptied,) = shop.closings
    assert "pick-6" not in emptied.event_ids and emptied.visit_id == shop.events[0].visit_id
    (mine,) = shop.keeper.open_visits()
    assert shop.named(mine) >= {"pick-6"}


def test_a_ghost_beside_a_shopper_is_not_announced(layout):
    ghost = [(t, x, y + 0.2) for t, x, y in [(2.5, 1.1, 1), *ROUND[3:]]]
    shop = Shop(layout, {"t1": ROUND, "t2": ghost}, [Tap(at(1.5), "anna")], until_s=14)
    assert shop.without_pass() == []


def test_who_turns_round_at_the_line_is_not_announced(layout):
    turn = [(0, 0.0, 1), (2, 1.35, 1), (3.5, 1.35, 1), (4.5, 0.3, 1), (29, 0.3, 1)]
    assert Shop(layout, {"t1": turn}).without_pass() == []


FAMILY = {"t1": ROUND, "t2": behind(1.0, 0.4), "t3": behind(2.5, -0.4)}


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
