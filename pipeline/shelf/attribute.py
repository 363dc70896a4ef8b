# SPDX-License-Identifier: AGPL-3.0-or-later
"""Who touched a slot: the reaches that fit a change in place and time, and, without one, who stood near."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from calibration.layout import Gondola, Shelf, Slot, StoreLayout
from pipeline.messages import FloorTrack, Reach
from pipeline.shelf.hands import Hand
from pipeline.shelf.settings import ShelfSettings

_PLACE_EVERY_NS = 500_000_000
_PALM_EVERY_NS = 180_000_000
_STEP_M = 0.15
"""So far from the best place one reaches a slot just as well."""


@dataclass(frozen=True)
class Touch:
    """A person who may have touched a slot. `weight`: relative likelihood; `reaches`: theirs that fit, best first;
    `carried`: how surely they are seen with the product since, where that was asked."""

    track_id: str
    weight: float
    reaches: tuple[tuple[Reach, float], ...]
    carried: float = 0.0

    @property
    def reach(self) -> Reach | None:
        """The one that fits best."""
        return self.reaches[0][0] if self.reaches else None


@dataclass
class _Person:
    reaches: list[Reach] = field(default_factory=list)
    used: dict[str, int] = field(default_factory=dict)
    """Reach id -> how many items have been attributed to it."""
    done: set[tuple[str, str, str]] = field(default_factory=set)
    """Reach id, slot and kind of what it has explained."""
    places: list[tuple[int, float, float]] = field(default_factory=list)
    """Where the person was: ns, x, y, twice a second."""
    palms: list[tuple[int, np.ndarray, float]] = field(default_factory=list)
    """Where a palm was: ns, (3,) world, its spread in metres; five times a second."""
    explained: list[tuple[str, int, int]] = field(default_factory=list)
    """What the person has done so far: gondola, from, to."""


class Attribution:
    """Memory of reaches and places of everybody in the shop."""

    def __init__(self, layout: StoreLayout, settings: ShelfSettings) -> None:
        self._layout = layout
        self._settings = settings
        self._people: dict[str, _Person] = {}
        self._slot_ids = tuple(layout.slot_by_id)
        self._slot_index = {slot_id: k for k, slot_id in enumerate(self._slot_ids)}
        self._gondola_ids = tuple(g.id for g, _, _ in layout.slot_by_id.values())
        self._stands_m = np.array([_stand_m(*where) for where in layout.slot_by_id.values()]).reshape(-1, 2)

    def add_reach(self, reach: Reach) -> None:
        person = self._people.setdefault(reach.track_id, _Person())
        person.reaches.append(reach)
        del person.reaches[: -self._settings.max_reaches]

    def add_place(self, track: FloorTrack) -> None:
        places = self._people.setdefault(track.track_id, _Person()).places
        # On the clock's grid, so that two tracks' places can be compared instant by instant.
        tick = track.at_ns // _PLACE_EVERY_NS * _PLACE_EVERY_NS
        if not places or tick > places[-1][0]:
            places.append((tick, float(track.floor_xy_m[0]), float(track.floor_xy_m[1])))
            del places[: -self._settings.max_places]

    def add_hand(self, track_id: str, hand: Hand) -> None:
        palms = self._people.setdefault(track_id, _Person()).palms
        if not palms or hand.at_ns - palms[-1][0] >= _PALM_EVERY_NS or hand.at_ns == palms[-1][0]:
            palms.append((hand.at_ns, hand.palm_m, float(np.sqrt(np.trace(hand.covariance_m2) / 3))))
            del palms[: -self._settings.max_places]

    def reaches(self, track_id: str) -> list[Reach]:
        person = self._people.get(track_id)
        return list(person.reaches) if person else []

    def is_used(self, reach: Reach) -> bool:
        person = self._people.get(reach.track_id)
        return bool(person and person.used.get(reach.reach_id))

    def use(self, reach: Reach, items: int, slot_id: str | None = None, kind: str = "") -> None:
        """The reach has explained so many items; `slot_id`, `kind`: of what, where it is known."""
        person = self._people[reach.track_id]
        person.used[reach.reach_id] = person.used.get(reach.reach_id, 0) + items
        if slot_id is not None:
            person.done.add((reach.reach_id, slot_id, kind))

    def did(self, reach: Reach, slot_id: str, kind: str) -> bool:
        """Has this reach explained a pick from, or a put-back into, this slot?"""
        person = self._people.get(reach.track_id)
        return person is not None and (reach.reach_id, slot_id, kind) in person.done

    def explain(self, track_id: str, gondola_id: str, interval_ns: tuple[int, int]) -> None:
        """This person did something at a face between two instants: so much less of their time there is unexplained."""
        self._people[track_id].explained.append((gondola_id, *interval_ns))

    def forget(self, track_id: str) -> None:
        self._people.pop(track_id, None)

    def stood_at(self, track_id: str, now_ns: int) -> set[str]:
        """Slots that the person could have reached from where they stood in the last `left_behind_s`."""
        s = self._settings
        seconds = self._seconds_at(track_id, np.full(len(self._slot_ids), now_ns - round(s.left_behind_s * 1e9)))
        return {slot for slot, at in zip(self._slot_ids, seconds, strict=True) if at >= s.left_behind_stay_s}

    def stays_s(self, track_id: str, since_ns: Mapping[str, int]) -> dict[str, float]:
        """For how many seconds the person was where one reaches each slot since an instant of its own, less what other
        things took; slots that are not in `since_ns` are left out."""
        person = self._people.get(track_id)
        if person is None:
            return {}
        since = [since_ns.get(slot) for slot in self._slot_ids]
        seconds = self._seconds_at(track_id, np.array([np.iinfo(np.int64).max if t is None else t for t in since]))
        out = {}
        for slot, gondola_id, t, at in zip(self._slot_ids, self._gondola_ids, since, seconds, strict=True):
            if t is not None and at > 0:
                done = sum(1 for g, _, b in person.explained if g == gondola_id and b > t)
                out[slot] = max(float(at) - done * self._settings.seconds_per_item, 0.0)
        return out

    def stood_ns(self, track_id: str, slot_id: str, interval_ns: tuple[int, int]) -> int | None:
        """The middle of the time, between two instants, that the person was where one reaches the slot."""
        person = self._people.get(track_id)
        if person is None or not person.places:
            return None
        at_ns, near = self._near(person, self._stands_m[[self._slot_index[slot_id]]])
        near = near[0] * (at_ns >= interval_ns[0]) * (at_ns <= interval_ns[1])
        if near.sum() < 1e-3:
            return None
        return int(at_ns[np.searchsorted(near.cumsum(), near.sum() / 2)])

    def _seconds_at(self, track_id: str, since_ns: np.ndarray) -> np.ndarray:
        """Seconds (S,) that the person was where one reaches each slot, since an instant (S,) of its own."""
        person = self._people.get(track_id)
        if person is None or not person.places:
            return np.zeros(len(self._slot_ids))
        at_ns, near = self._near(person, self._stands_m)
        return (near * (at_ns > since_ns[:, None])).sum(1) * _PLACE_EVERY_NS / 1e9

    def _near(self, person: _Person, stands_m: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """When it is known where the person was, (P,), and how near that was to each stand (S, 2): 0 to 1, (S, P)."""
        at_ns = np.array([at for at, _, _ in person.places], np.int64)
        xy = np.array([(x, y) for _, x, y in person.places])
        off = np.maximum(np.linalg.norm(xy[None] - stands_m[:, None], axis=2) - _STEP_M, 0.0)
        return at_ns, np.exp(-0.5 * (off / self._settings.stand_sigma_m) ** 2)

    def who(
        self, slot_id: str, interval_ns: tuple[int, int], current: Sequence[Reach] = (), taken: Sequence[Touch] = ()
    ) -> list[Touch]:
        """Everybody who may have touched the slot between two instants, best first.

        `current`: reaches that still go on. `taken`: who took other items of this change, each with the reach first.
        """
        s = self._settings
        slack = round(s.attribution_slack_s * 1e9)
        t0, t1 = interval_ns[0] - slack, interval_ns[1] + slack
        touches: dict[str, Touch] = {}
        for track_id, person in sorted(self._people.items()):
            fitting = []
            for reach in [*person.reaches, *(r for r in current if r.track_id == track_id)]:
                if reach.t1_ns < t0 or reach.t0_ns > t1:
                    continue
                chance = dict(reach.slots).get(slot_id, 0.0)
                # A reach that has explained another change is less free for this one.
                used = sum(1 for touch in taken if touch.reach and touch.reach.reach_id == reach.reach_id)
                chance *= s.second_item_of_a_reach ** (person.used.get(reach.reach_id, 0) + used)
                if chance >= s.min_slot_chance:
                    fitting.append((reach, chance))
            fitting.sort(key=_best_first)
            hand = max((c for _, c in fitting), default=0.0)
            near = s.palm_near_weight * self._palm_near(slot_id, person, t0, t1)
            units = sum(1 for touch in taken if touch.track_id == track_id)
            weight = (s.unseen_hand + near + hand) * self._dwell(slot_id, person, t0, t1, units)
            if weight > s.min_touch_weight:
                touches[track_id] = Touch(track_id, weight, tuple(fitting))
        merged = self._without_doubles(touches, t0, t1)
        return sorted(merged, key=lambda t: (-t.weight, t.track_id))

    def _dwell(self, slot_id: str, person: _Person, t0: int, t1: int, done: int = 0) -> float:
        """0 to 1: how long the person was where one reaches the slot, less what other things took; 0.5 is 1 s.

        `done`: how many of those are not remembered yet.
        """
        index = self._slot_index[slot_id]
        if not person.places:
            return 0.0
        at_ns, near = self._near(person, self._stands_m[[index]])
        there = (at_ns >= t0 - _PLACE_EVERY_NS) & (at_ns <= t1 + _PLACE_EVERY_NS)
        seconds = float(near[0] @ there) * _PLACE_EVERY_NS / 1e9
        gondola_id = self._gondola_ids[index]
        done += sum(1 for g, a, b in person.explained if g == gondola_id and a < t1 and b > t0)
        seconds -= min(done * self._settings.seconds_per_item, 0.8 * seconds)
        return seconds / (seconds + 1.0)

    def _palm_near(self, slot_id: str, person: _Person, t0: int, t1: int) -> float:
        """0 to 1: how near a palm came to the front of the slot, given how well it was known where it was."""
        gondola, shelf, slot = self._layout.slot_by_id[slot_id]
        front = gondola.to_world((slot.start_m + slot.end_m) / 2, -0.03, shelf.height_m + 0.08)
        best = 0.0
        for at, palm, sigma in person.palms:
            if t0 <= at <= t1:
                spread2 = 3 * (sigma**2 + self._settings.palm_near_sigma_m**2)
                best = max(best, float(np.exp(-0.5 * np.sum((palm - front) ** 2) / spread2)))
        return best

    def _without_doubles(self, touches: dict[str, Touch], t0: int, t1: int) -> list[Touch]:
        """A second track that walks in the footsteps of an older one is the same person seen twice."""
        order = sorted(touches, key=lambda t: (self._people[t].places[0][0], t))
        kept: list[Touch] = []
        for track_id in order:
            touch = touches[track_id]
            double = next((k for k in kept if self._together(k.track_id, track_id, t0, t1)), None)
            if double is None:
                kept.append(touch)
                continue
            kept.remove(double)
            reaches = sorted([*double.reaches, *touch.reaches], key=_best_first)
            kept.append(Touch(double.track_id, max(double.weight, touch.weight), tuple(reaches)))
        return kept

    def _together(self, a: str, b: str, t0: int, t1: int) -> bool:
        """Were two tracks at one place all the time that both were there?"""
        first = {at: (x, y) for at, x, y in self._people[a].places if t0 - 2e9 <= at <= t1 + 2e9}
        gaps = [np.hypot(x - first[at][0], y - first[at][1]) for at, x, y in self._people[b].places if at in first]
        return bool(gaps) and float(np.median(gaps)) < self._settings.double_track_m


def _stand_m(gondola: Gondola, shelf: Shelf, slot: Slot) -> np.ndarray:
    """Where on the floor (2,) one stands to reach a slot."""
    return gondola.to_world((slot.start_m + slot.end_m) / 2, 0.45, shelf.height_m)[:2]


def _best_first(reach_chance: tuple[Reach, float]) -> tuple:
    reach, chance = reach_chance
    return -chance, reach.t0_ns, reach.reach_id
