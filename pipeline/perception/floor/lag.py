# SPDX-License-Identifier: AGPL-3.0-or-later
"""Answers that may wait: where everybody was some time ago, in the light of what was seen since.

Positions are smoothed over the wait; somebody recognised meanwhile is there from the first box on; somebody who went
through a door is not carried on beyond their last box.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import shapely
from shapely.geometry.base import BaseGeometry

from pipeline.messages import CameraTracks, FloorTrack
from pipeline.perception.floor.person import Person, smooth
from pipeline.perception.floor.tracker import NS, FloorTracker

INSIDE_M = 0.25
"""Who has been this far inside the region is in it, until they leave it."""


class LaggedTracker:
    """`update` gives the people of one earlier window, or None while there is none; `finish` the last windows.

    `lookahead_s`: the answer about a window waits at most so long, measured from capture to capture; 0: not at all.
    `region`: the part of the floor that is reported. Somebody who waits beside it and only leans in is not in it.
    """

    def __init__(self, tracker: FloorTracker, lookahead_s: float, region: BaseGeometry | None = None) -> None:
        self._tracker = tracker
        self._region = region
        self._lookahead_ns = round(lookahead_s * NS)
        self._waiting: list[int] = []
        self._inside: set[str] = set()

    def update(self, camera_tracks: Sequence[CameraTracks], at_ns: int) -> list[tuple[int, list[FloorTrack]]]:
        """(window's time, its people) of every window that need not wait longer."""
        self._tracker.update(camera_tracks, at_ns)
        self._waiting.append(at_ns)
        out = []
        while self._waiting and at_ns - self._waiting[0] >= self._lookahead_ns - NS // 1000:
            out.append((self._waiting[0], self._then(len(self._waiting) - 1)))
            self._waiting.pop(0)
        self._forget()
        return out

    def finish(self) -> list[tuple[int, list[FloorTrack]]]:
        """The windows that are still waiting, with what there is."""
        out = []
        while self._waiting:
            out.append((self._waiting[0], self._then(len(self._waiting) - 1)))
            self._waiting.pop(0)
        return out

    def _then(self, steps: int) -> list[FloorTrack]:
        at_ns = self._waiting[0]
        tracks = [
            self._track(p, steps, at_ns)
            for p in self._tracker.people
            if len(p.trail) > steps and self._tracker.reported(p, at_ns)
        ]
        return sorted((t for t in tracks if t is not None), key=lambda t: t.track_id)

    def _track(self, person: Person, steps: int, at_ns: int) -> FloorTrack | None:
        mean, covariance = smooth(person.trail, steps)
        if person.seen_ns < at_ns and self._tracker.scene.zones.has_left(mean[:2], mean[4:]):
            return None
        if not self._admitted(person, mean[:2], steps):
            return None
        then = person.trail[-steps - 1]
        if then.seen:
            # Boxes' errors last: what the next half second adds to a place is much less than independent looks would.
            covariance = then.covariance
        return FloorTrack(
            track_id=person.track_id,
            at_ns=at_ns,
            floor_xy_m=mean[:2].copy(),
            covariance_m2=covariance[:2, :2].copy(),
            velocity_m_s=mean[4:].copy(),
            last_seen_ns=min(person.seen_ns, at_ns),
            sources=dict(person.sources) if not steps else {},
        )

    def _admitted(self, person: Person, xy_m: np.ndarray, steps: int) -> bool:
        if self._region is None:
            return True
        if self._depth_m(xy_m) < 0:
            self._inside.discard(person.track_id)
            return False
        if max(self._depth_m(moment.mean[:2]) for moment in person.trail[-steps - 1 :]) >= INSIDE_M:
            self._inside.add(person.track_id)
        return person.track_id in self._inside

    def _depth_m(self, xy_m: np.ndarray) -> float:
        """How far inside the region; negative outside."""
        point = shapely.Point(xy_m)
        way_m = float(shapely.distance(self._region.boundary, point))
        return way_m if shapely.contains(self._region, point) else -way_m

    def _forget(self) -> None:
        keep = len(self._waiting) + 2
        for person in self._tracker.everybody():
            del person.trail[:-keep]
