# SPDX-License-Identifier: AGPL-3.0-or-later
"""Labels that are one person: somebody lost who is found under another label, and a body that had two labels.

Nobody appears or vanishes in the middle of a shop. A label that begins away from every door belongs to somebody who is
known: to the one whose label ended within reach of it, if there is just one; or, if it ends again while it stands where
somebody else does, to that one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pipeline.messages import FloorTrack
from pipeline.perception.identity.settings import IdentitySettings
from pipeline.perception.zones import Zones

NS = 1_000_000_000


@dataclass(frozen=True)
class Same:
    """From `at_ns` on, where `other` begins, both labels are one person."""

    track_id: str
    other: str
    at_ns: int
    reason: str


@dataclass
class _Life:
    """A label from when it began. `by_door`: where people come from, or when the tracker had just begun."""

    begun_ns: int
    begun_m: np.ndarray
    by_door: bool
    last: FloorTrack
    beside: dict[str, int]
    """Labels that stand where it stands -> since when."""


class Reappearances:
    """`update` once a window with all floor tracks."""

    def __init__(self, zones: Zones, settings: IdentitySettings) -> None:
        self._zones, self._settings = zones, settings
        self._here: dict[str, _Life] = {}
        self._lost: dict[str, _Life] = {}
        self._first_ns: int | None = None

    def update(self, floor_tracks: Sequence[FloorTrack], at_ns: int) -> list[Same]:
        s = self._settings
        self._first_ns = at_ns if self._first_ns is None else self._first_ns
        now = {t.track_id: t for t in floor_tracks}
        same = [found for name in sorted(self._here.keys() - now.keys()) if (found := self._ended(name))]
        begun = sorted(now.keys() - self._here.keys())
        for name in begun:
            xy_m = now[name].floor_xy_m
            early = at_ns - self._first_ns <= s.start_s * NS
            by_door = early or not self._zones.within(xy_m) or self._zones.entering(xy_m)
            self._here[name] = _Life(at_ns, xy_m, by_door, now[name], {})
        for name, track in now.items():
            self._here[name].last = track
            self._stand_beside(name, now, at_ns)
        same += [found for name in begun if (found := self._found(name))]
        forget_ns = at_ns - round(s.lost_s * NS)
        self._lost = {k: v for k, v in self._lost.items() if v.last.last_seen_ns >= forget_ns}
        return same

    def _ended(self, name: str) -> Same | None:
        """A label is gone: a second one of somebody who is still there, or lost, or out of the shop."""
        s = self._settings
        life = self._here.pop(name)
        last = life.last
        for other, since_ns in sorted(life.beside.items()):
            if life.by_door or other not in self._here or last.at_ns - since_ns < s.twin_s * NS:
                continue
            if np.linalg.norm(life.begun_m - last.floor_xy_m) < s.twin_way_m:
                return Same(other, name, life.begun_ns, "a second label of one body")
        if self._zones.within(last.floor_xy_m) and not self._zones.has_left(last.floor_xy_m, last.velocity_m_s):
            self._lost[name] = life
        return None

    def _found(self, name: str) -> Same | None:
        s = self._settings
        life = self._here[name]
        if life.by_door:
            return None
        near = []
        for other, lost in self._lost.items():
            unseen_s = (life.begun_ns - lost.last.last_seen_ns) / NS
            if np.linalg.norm(lost.last.floor_xy_m - life.begun_m) <= s.reach_m + s.walk_m_s * unseen_s:
                near.append(other)
        if len(near) != 1:
            return None
        del self._lost[near[0]]
        return Same(near[0], name, life.begun_ns, "found again after nobody saw them")

    def _stand_beside(self, name: str, now: dict[str, FloorTrack], at_ns: int) -> None:
        life = self._here[name]
        if life.by_door:
            return
        near = [
            other for other, track in now.items()
            if other != name and np.linalg.norm(track.floor_xy_m - life.last.floor_xy_m) < self._settings.twin_m
        ]  # fmt: skip
        life.beside = {other: life.beside.get(other, at_ns) for other in near}
