# SPDX-License-Identifier: AGPL-3.0-or-later
"""`FloorTracker`: one identity a person over all cameras.

Every window: predict; give all cameras' boxes to people, then what is left to candidates; begin candidates where boxes
of several cameras agree; candidates with enough evidence become people, or a lost person found again; people who are
not seen coast, and end only where one can leave.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from calibration.layout import StoreLayout
from pipeline.messages import CameraTracks, FloorTrack
from pipeline.perception.floor.associate import Bodies, Matches, associate
from pipeline.perception.floor.births import born
from pipeline.perception.floor.clothes import Clothes
from pipeline.perception.floor.known import Known, take_over
from pipeline.perception.floor.person import Person, distances_m, places_m, predict
from pipeline.perception.floor.scene import scene_of
from pipeline.perception.floor.scores import Sharpness
from pipeline.perception.floor.settings import FloorSettings
from pipeline.perception.floor.sightings import Sightings, overlap, sightings
from pipeline.perception.floor.upkeep import Upkeep
from pipeline.perception.floor.words import CameraWords
from pipeline.perception.floor.worlds import Worlds
from pipeline.perception.recorded import Room

NS = 1_000_000_000
DISTINCT = 0.85
"""Boxes that overlap less than this, in shares of the smaller, show two bodies."""


class FloorTracker:
    """`update` once a window with what the cameras saw; a camera that was not looked at is simply absent.

    `records`: whether people's trails are kept, for who wants to look back. They grow.
    """

    def __init__(
        self, room: StoreLayout | Room, settings: FloorSettings | None = None, *, records: bool = True
    ) -> None:  # fmt: skip
        self._settings = settings or FloorSettings()
        self._records = records
        self.scene = scene_of(room)
        self.reset()

    def reset(self) -> None:
        """Forget everybody; ids begin at t0001 again."""
        self.people: list[Person] = []
        self._candidates: list[Person] = []
        self._worlds = Worlds(self._settings)
        self._sharpness = Sharpness(self._settings.association.sharp)
        self._words = CameraWords(self._settings.association)
        self._close: dict[tuple[str, str], _Closeness] = {}
        self._next_id = 1
        self._first_ns: int | None = None
        self._now_ns = 0

    def update(self, camera_tracks: Sequence[CameraTracks], at_ns: int) -> list[FloorTrack]:
        """Everybody in the shop at `at_ns`, by track id; `sources` is empty for somebody nobody sees."""
        s = self._settings
        self._predict(at_ns)
        seen = sightings(
            self.scene.bank, self.scene.cameras, camera_tracks, at_ns, s.association.least_score, s.body
        )  # fmt: skip
        scored = replace(s.association, sharp=self._sharpness.exponent)
        self._upkeep = Upkeep(
            seen, self.scene.bank.ids, at_ns, self._dt_s, s, scored, *self._words.update(seen, at_ns),
            Clothes(seen, self._dt_s, s),
        )  # fmt: skip
        free = np.ones(len(seen), bool)
        self._follow(seen, free)
        self._note_alone()
        free &= ~seen.twin
        self._match(self._candidates, seen, free)
        self._candidates += born(seen, free, self.scene, at_ns, s)
        self._confirm(seen)
        self._exchange()
        self._part_twins(seen)
        self._remove()
        return [self._floor_track(p) for p in sorted(self.people, key=lambda p: p.track_id) if self.reported(p, at_ns)]

    def everybody(self) -> list[Person]:
        """All people, in every world."""
        return self.people + self._worlds.others()

    def _predict(self, at_ns: int) -> None:
        if self._first_ns is None:
            self._first_ns = at_ns
        dt_s = max(0.0, (at_ns - self._now_ns) / NS) if self._now_ns else 0.0
        self._now_ns = at_ns
        self._dt_s = dt_s
        everybody = self.everybody() + self._candidates
        if not self._records:
            for person in everybody:
                person.trail.clear()
        predict(everybody, dt_s, at_ns, lambda p: self.scene.zones.has_left(p.xy_m, p.mean[4:]), self._settings.body)

    def _follow(self, seen: Sightings, free: np.ndarray) -> None:
        """Give boxes to the people who are known: to all at once, then in clusters world by world."""
        active = [p for p in self.people if not p.lost_ns]
        self._worlds.regroup(active, self._candidates, self._now_ns)
        if not active:
            return
        clustered = self._worlds.members()
        matches = self._matches(active, seen, free)
        self._sharpness.learn(matches.box, matches.detected, seen.score)
        owner = np.full(len(seen), "", dtype=object)
        for person, boxes in zip(active, matches.box, strict=True):
            owner[boxes[boxes >= 0]] = person.track_id
        alone = [k for k, p in enumerate(active) if p.track_id not in clustered]
        self._upkeep.settle([active[k] for k in alone], np.array(alone, int), matches)
        best = self._worlds.associate(
            self.scene, seen, free, active, owner, self._candidates, self._upkeep, self._fresh_ns
        )  # fmt: skip
        chosen = {p.track_id: p for p in best}
        self.people = [chosen.get(p.track_id, p) for p in self.people]
        for person in self.people:
            free[list(person.boxes.values())] = False

    def _match(self, group: list[Person], seen: Sightings, free: np.ndarray) -> None:
        """Give free boxes to people, update those, and clear what was given in `free`."""
        if not group:
            return
        matches = self._matches(group, seen, free)
        self._upkeep.settle(group, np.arange(len(group)), matches)
        free[matches.box[matches.box >= 0]] = False

    @property
    def _fresh_ns(self) -> int:
        return self._now_ns - round(self._settings.association.weak_s * NS)

    def _matches(self, group: list[Person], seen: Sightings, free: np.ndarray) -> Matches:
        mean = np.reshape([p.mean for p in group], (-1, 6))
        bodies = Bodies(
            mean, np.reshape([p.covariance for p in group], (-1, 6, 6)), mean[:, :2], np.zeros(len(group), int),
            self.scene.shown(mean[:, :2]), np.array([p.sure_ns >= self._fresh_ns for p in group], bool),
            ~np.eye(len(group), dtype=bool), np.zeros((0, 6)), free[None],
            *self._upkeep.other_posture(group), self._upkeep.continuity(group), self._upkeep.clothes.gains(group),
        )  # fmt: skip
        return associate(self.scene.bank, seen, bodies, self._settings.body, self._upkeep.association)

    def _confirm(self, seen: Sightings) -> None:
        """Candidates with enough evidence become people; one that is somebody known is that person."""
        s = self._settings
        starting = self._now_ns - (self._first_ns or 0) <= s.start_s * NS
        self._upkeep.clothes.note([c for c in self._candidates if c.seen_ns == self._now_ns], self.people)
        known = Known(self.people, self._upkeep.clothes, s)
        waiting = []
        for candidate in self._candidates:
            door = candidate.at_door or starting
            away = np.linalg.norm(places_m(self.people) - candidate.xy_m, axis=1)
            near = [self.people[k] for k in np.flatnonzero(away < s.beside_m) if not self.people[k].lost_ns]
            if near and candidate.seen_ns == self._now_ns:
                candidate.near += 1
                candidate.apart += all(_seen_apart(p, candidate, seen) for p in near)
            recognised = known.recognised(candidate)
            lost = recognised or known.lost_near(candidate)
            needed = s.evidence if door or lost else s.evidence_inside
            steady = door and candidate.posed and candidate.hits >= s.steady_hits
            enough = (
                (candidate.evidence >= needed or steady)
                and candidate.hits >= s.least_hits
                and candidate.views >= (s.ghost_support if steady else s.support) * candidate.expected
                and (not near or candidate.apart >= min(s.beside_hits, candidate.near))
            )
            if not enough and not recognised:
                waiting.append(candidate)
            elif lost or (not door and (lost := known.suspected(candidate))):
                take_over(lost, candidate, s.body)
                if recognised:
                    lost.quality = lost.expected = lost.views
            else:
                candidate.track_id = f"t{self._next_id:04d}"
                self._next_id += 1
                self.people.append(candidate)
        self._candidates = waiting

    def _part_twins(self, seen: Sightings) -> None:
        """Two tracks in one place that no camera sees apart share one person's boxes: the one with less is lost."""
        s = self._settings
        close: dict[tuple[str, str], _Closeness] = {}
        active = [p for p in self.people if not p.lost_ns]
        xy = places_m(active)
        known = np.array([p.alone_s >= s.established_s for p in active], bool)
        reach_m = np.where(known[:, None] & known, s.twin_m, s.doubtful_twin_m)
        near = distances_m(xy, xy) < reach_m
        for i, k in zip(*np.nonzero(np.triu(near, 1)), strict=True):
            a, b = active[i], active[k]
            pair = (a.track_id, b.track_id)
            was = close[pair] = self._close.get(pair) or _Closeness(self._now_ns)
            was.looks += len(a.boxes.keys() | b.boxes.keys())
            was.apart += _seen_apart(a, b, seen)
            if self._now_ns - was.since_ns > s.twin_s * NS and was.apart < s.twin_apart * was.looks:
                self._lose(a if (a.alone_s, a.views) < (b.alone_s, b.views) else b)
        self._close = close
        nobody = self._nobody(active)
        for person in active:
            poor = person.boxes and person.expected > 8 and person.quality < s.doubtful_quality * person.expected
            if person is nobody or (poor and not self._own(person, active)):
                self._lose(person)

    def _own(self, person: Person, active: Sequence[Person]) -> bool:
        """Do the boxes that they had lately surely look like them?"""
        return self._upkeep.clothes.alike(person, person, active) >= self._settings.appearance.exchange_nats

    def _nobody(self, active: Sequence[Person]) -> Person | None:
        """Whom the last seconds' pictures speak against most, if enough. One at a time: of two tracks of one body
        either is nobody because the other is there."""
        worth = self._worlds.worth
        least = min(active, key=lambda p: worth.get(p.track_id, 0.0), default=None)
        if least is None or worth.get(least.track_id, 0.0) >= self._settings.least_worth:
            return None
        worth.clear()
        return least

    def _lose(self, person: Person) -> None:
        """Its boxes were others': where it went to with them says nothing."""
        person.lost_ns = self._now_ns
        person.mean = np.concatenate([person.mean[:4], [0.0, 0.0]])

    def _exchange(self) -> None:
        """Give people their names back where what they wear says that they were exchanged, in every world."""
        names = self._upkeep.clothes.exchanged([p for p in self.people if not p.lost_ns])
        if not names:
            return
        look = {p.track_id: p.look for p in self.people}
        for body in self.everybody():
            if body.track_id in names:
                body.track_id = names[body.track_id]
                body.look, body.alike = look[body.track_id], {}
        self._worlds.sort()

    def _note_alone(self) -> None:
        """Who is seen well, apart from everybody, is getting known."""
        xy = places_m(self.people)
        away = distances_m(xy, xy)
        np.fill_diagonal(away, np.inf)
        nearest = away.min(1, initial=np.inf)
        self._upkeep.clothes.learn(self.people, nearest)
        for person, away_m in zip(self.people, nearest.tolist(), strict=True):
            if len(person.boxes) >= 2 and away_m > self._settings.alone_m:
                person.alone_s += self._dt_s

    def _remove(self) -> None:
        s, zones = self._settings, self.scene.zones
        patience_ns = max(s.candidate_patience_s, 1.5 * self._dt_s) * NS
        self._candidates = [
            c for c in self._candidates
            if self._now_ns - c.seen_ns <= patience_ns and c.evidence > -2 and zones.on_floor(c.xy_m[None])[0]
        ]  # fmt: skip
        self.people = [p for p in self.people if not self._is_gone(p)]

    def _is_gone(self, person: Person) -> bool:
        s = self._settings
        unseen_s = (self._now_ns - person.seen_ns) / NS
        if person.alone_s < s.established_s:
            hardly = person.expected > 8 and person.views < s.ghost_support * person.expected
            if person.lost_ns or hardly or unseen_s > s.doubtful_s:
                return True
        # Who went out needs no box: what looks a little like them is left over from others.
        unsure_s = (self._now_ns - person.sure_ns) / NS
        if unsure_s <= s.gone_s:
            return False
        return unseen_s > s.coast_s or self.scene.zones.has_left(person.xy_m, person.mean[4:])

    def reported(self, person: Person, at_ns: int) -> bool:
        """Somebody lost for long is somewhere, but nobody knows where."""
        return not person.lost_ns or at_ns - person.lost_ns <= self._settings.report_lost_s * NS

    def _floor_track(self, person: Person) -> FloorTrack:
        return FloorTrack(
            track_id=person.track_id,
            at_ns=self._now_ns,
            floor_xy_m=person.mean[:2].copy(),
            covariance_m2=person.covariance[:2, :2].copy(),
            velocity_m_s=person.mean[4:].copy(),
            last_seen_ns=person.seen_ns,
            sources=dict(sorted(person.sources.items())),
            height_m=float(person.mean[2]),
        )


@dataclass
class _Closeness:
    """Two tracks in one place: since when, how many looks of cameras meanwhile, and how many showed two bodies."""

    since_ns: int
    looks: int = 0
    apart: int = 0


def _seen_apart(a: Person, b: Person, seen: Sightings) -> int:
    """How many cameras have a box for each of the two that are not the same body twice."""
    both = a.boxes.keys() & b.boxes.keys()
    i, k = (np.array([p.boxes[c] for c in both], int) for p in (a, b))
    apart = ~(seen.twin[i] | seen.twin[k]) & (overlap(seen.box_px[i], seen.box_px[k]) < DISTINCT)
    return int(np.count_nonzero(apart))
