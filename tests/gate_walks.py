# SPDX-License-Identifier: AGPL-3.0-or-later
"""Drawn paths through a gate keeper. The gate's line is x = 1, inside is x > 1, taps at (0.5, 1)."""

import numpy as np

from calibration.layout import StoreLayout
from pipeline.capture.recording import GateTap
from pipeline.gate import Exit, GateKeeper
from pipeline.messages import (
    Candidate,
    FloorTrack,
    PersonWithoutPass,
    ShelfEvent,
    TrackBound,
    VisitOpened,
)

S = 1_000_000_000
T0 = 1_700_000_000 * S
WINDOW_NS = S // 10


def gate_layout() -> StoreLayout:
    """A shop of 6 by 2 m with one shelf and one gate."""
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
    to the last point except in the `hidden` spans. `on_exit` sees each exit and says whether it is closed."""

    def __init__(
        self, layout, paths, taps=(), hidden=None, shelf_events=(), until_s=30.0, notes=(), on_exit=lambda left: True
    ):
        self.events, self.exits, self.closings, self._on_exit = [], [], [], on_exit
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
            if self._on_exit(left):
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


def behind(delay_s=1.5, y=0.4):
    """A way close behind ROUND's, beside the reader and not stopping at it."""
    return [(0.2 + delay_s, 0.0, 1 + y), (1 + delay_s, 0.4, 1 + y), *((t + delay_s, x, 1 + y) for t, x, _ in ROUND[3:])]


FAMILY = {"t1": ROUND, "t2": behind(1.0, 0.4), "t3": behind(2.5, -0.4)}
