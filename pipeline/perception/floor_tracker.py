# SPDX-License-Identifier: AGPL-3.0-or-later
"""`FloorTracker`: one identity a person over all cameras.

Every window: predict; give each camera's detections to people, camera by camera, the sharpest first, sure detections
before weak ones (ByteTrack's two passes, on the floor instead of in the picture); what nobody claims is clustered over
the cameras into candidates; candidates become people when they were seen often enough, easily at a gate and with much
more evidence elsewhere; people who are not seen coast, and end only where one can leave.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from scipy.optimize import linear_sum_assignment

from calibration.layout import StoreLayout
from pipeline.messages import CameraTracks, Detections, FloorTrack
from pipeline.perception.body import FloorPoints, floor_points
from pipeline.perception.floor_filter import FloorFilter, MotionSettings, distances
from pipeline.perception.zones import Zones

NS = 1_000_000_000
FADING = 0.98
"""Memory of support: half of it is the last 3.5 s at 10 windows a second."""


@dataclass(frozen=True)
class FloorSettings:
    """Distances are Mahalanobis squared with 3 degrees of freedom unless a unit says otherwise."""

    motion: MotionSettings = field(default_factory=MotionSettings)
    sure_score: float = 0.4
    least_score: float = 0.1
    gate_d2: float = 20.0
    weak_gate_d2: float = 9.0
    weak_s: float = 2.0
    """Weak detections are believed so long after a sure one: a coat on a hook is a weak person for ever."""
    same_track_bonus: float = 4.0
    """Taken off (or added to) the cost when the camera's own tracker says the same person (or another)."""
    camera_memory_s: float = 2.0
    vague_m: float = 1.5
    """A sure detection whose place is known less well than this starts nobody."""
    outside_m: float = 0.3
    """Detections this far beyond floor, margin and gates are of people outside, or reflections."""
    twin_m: float = 0.3
    twin_overlap: float = 0.7
    cluster_d2: float = 11.0
    births: str = "gate"
    """`gate`: elsewhere only with much evidence. `anywhere`: for a shop without a gate in view."""
    start_s: float = 1.0
    """People may be inside when it begins: until then births are easy everywhere."""
    confirm_hits: int = 3
    enter_s: float = 2.0
    """Who came in by a gate and is no more than a candidate after this long needs the evidence of elsewhere."""
    confirm_hits_elsewhere: int = 15
    confirm_hits_beside: int = 6
    """For somebody who appears within `beside_m` of somebody known: both must be seen at once by some camera."""
    beside_m: float = 0.8
    distinct_overlap: float = 0.5
    candidate_patience_s: float = 0.5
    reattach_speed_m_s: float = 1.8
    reattach_least_unseen_s: float = 0.4
    gone_s: float = 0.7
    """Unseen for so long at a place where people leave: gone."""
    coast_s: float = 60.0
    support: float = 0.5
    """Share of the cameras which should see a candidate that must do so; a reflection or a poster is in one."""
    ghost_support: float = 0.4
    """Somebody who did not come in by a gate and whom fewer of those cameras see, over many looks, is none."""
    vanish_s: float = 10.0
    vanish_cameras: float = 2.5
    """Somebody whom that many cameras (on average) should see and none has seen for so long is not there."""
    doubtful_hits: int = 12
    doubtful_coast_s: float = 3.0
    """A track that was hardly ever seen does not coast for long."""
    merge_m: float = 0.35
    merge_s: float = 1.5


@dataclass
class _Person:
    """A candidate or a person; `track_id` is empty until confirmed."""

    filter: FloorFilter
    born_ns: int
    seen_ns: int
    sure_ns: int
    """Last seen by a sure detection."""
    at_gate: bool
    track_id: str = ""
    hits: int = 0
    """Windows with a sure detection."""
    views: float = 0.0
    """Detections, over all cameras, fading over some seconds ..."""
    expected: float = 0.0
    """... and how many cameras should have seen it meanwhile."""
    overlooked: int = 0
    """Looks of cameras that should have seen it since it was last seen, none of which did; windows: `unseen`."""
    unseen: int = 0
    near: int = 0
    """Windows with a sure detection beside somebody known, and of those ..."""
    beside: int = 0
    """... the ones in which some camera saw it apart from each of them."""
    sources: dict[str, int] = field(default_factory=dict)

    @property
    def xy_m(self) -> np.ndarray:
        return self.filter.mean[:2]


@dataclass(frozen=True)
class _View:
    """One camera's window, measured."""

    tracks: CameraTracks
    points: FloorPoints
    offset_s: float
    allowed: np.ndarray
    """bool (N,): inside the shop and of some use."""


class FloorTracker:
    """`update` once a window with what the cameras saw; a camera that was not looked at is simply absent."""

    def __init__(self, layout: StoreLayout, settings: FloorSettings | None = None) -> None:
        self._settings = settings or FloorSettings()
        self._cameras = layout.camera_by_id
        self._zones = Zones(layout)
        self.reset()

    def reset(self) -> None:
        """Forget everybody; ids begin at t0001 again."""
        self._people: list[_Person] = []
        self._candidates: list[_Person] = []
        self._memory: dict[tuple[str, int], tuple[_Person, int]] = {}
        self._close_since: dict[tuple[str, str], int] = {}
        self._next_id = 1
        self._first_ns: int | None = None
        self._now_ns = 0

    def update(self, camera_tracks: Sequence[CameraTracks], at_ns: int) -> list[FloorTrack]:
        """Everybody in the shop at `at_ns`, by track id; `sources` is empty for somebody nobody sees."""
        self._predict(at_ns)
        views = [self._measure(tracks) for tracks in camera_tracks if tracks.camera_id in self._cameras]
        views.sort(key=lambda v: (_sharpness(v), v.tracks.camera_id))
        free = {v.tracks.camera_id: v.allowed.copy() for v in views}
        for people in (self._people, self._candidates):
            for view in views:
                self._associate(people, view, free[view.tracks.camera_id])
        self._note_seen(views)
        self._candidates += self._births(views, free)
        self._confirm(views)
        self._merge()
        self._remove()
        return [self._floor_track(p) for p in sorted(self._people, key=lambda p: p.track_id)]

    # --- the steps of update ---

    def _predict(self, at_ns: int) -> None:
        if self._first_ns is None:
            self._first_ns = at_ns
        dt_s = max(0.0, (at_ns - self._now_ns) / NS) if self._now_ns else 0.0
        self._now_ns = at_ns
        for person in self._people + self._candidates:
            unseen_s = (at_ns - person.seen_ns) / NS
            leaving = self._zones.has_left(person.xy_m, person.filter.mean[3:])
            person.filter.predict(dt_s, unseen_s, damp=not leaving)
            if not person.sources:
                continue
            person.filter.learn_stature(dt_s)
            person.sources = {}

    def _measure(self, tracks: CameraTracks) -> _View:
        points = floor_points(self._cameras[tracks.camera_id], tracks.detections)
        allowed = points.usable & (tracks.detections.score >= self._settings.least_score)
        if allowed.any():
            rows = np.flatnonzero(allowed)
            sigma_m = np.minimum(points.floor_sigma_m[rows], 0.5)
            beyond_m = self._zones.outside_m(points.theta[rows, :2])
            allowed[rows] = beyond_m <= np.maximum(self._settings.outside_m, 1.5 * sigma_m)
            self._drop_twins(tracks.detections, points, allowed)
        return _View(tracks, points, (tracks.captured_at_ns - self._now_ns) / NS, allowed)

    def _drop_twins(self, people: Detections, points: FloorPoints, allowed: np.ndarray) -> None:
        """Of two boxes over each other at one place on the floor, one person found twice, the surer stays."""
        s = self._settings
        kept: list[int] = []
        for row in np.argsort(-people.score, kind="stable"):
            if not allowed[row]:
                continue
            twin = any(
                np.linalg.norm(points.theta[row, :2] - points.theta[other, :2]) < s.twin_m
                and _overlap(people.xyxy_px[row], people.xyxy_px[other]) > s.twin_overlap
                for other in kept
            )
            allowed[row] = not twin
            if not twin:
                kept.append(int(row))

    def _associate(self, people: list[_Person], view: _View, free: np.ndarray) -> None:
        """Give this camera's free detections to people, sure ones first, and clear them in `free`."""
        s = self._settings
        score = view.tracks.detections.score
        camera_id = view.tracks.camera_id
        fresh_ns = self._now_ns - round(s.weak_s * NS)
        for rows, gate, since_ns in (
            (np.flatnonzero(free & (score >= s.sure_score)), s.gate_d2, 0),
            (np.flatnonzero(free & (score < s.sure_score)), s.weak_gate_d2, fresh_ns),
        ):
            waiting = [p for p in people if camera_id not in p.sources and p.sure_ns >= since_ns]
            if not waiting or not len(rows):
                continue
            points = view.points
            d2, spread = distances(
                [p.filter for p in waiting], points.theta[rows], points.covariance[rows], view.offset_s
            )
            cost = d2 + spread + self._continuity(waiting, view, rows)
            forbidden = d2 > gate
            for i, k in zip(*linear_sum_assignment(np.where(forbidden, 1e6, cost)), strict=True):
                if forbidden[i, k]:
                    continue
                row = int(rows[k])
                waiting[i].filter.update(points.information[row], points.vector[row], d2[i, k], view.offset_s)
                waiting[i].sources[camera_id] = row
                if since_ns == 0:
                    waiting[i].sure_ns = self._now_ns
                free[row] = False
                track = int(view.tracks.track_id[row])
                if track >= 0:
                    self._memory[camera_id, track] = (waiting[i], self._now_ns)

    def _continuity(self, people: list[_Person], view: _View, rows: np.ndarray) -> np.ndarray:
        """Cost (T, N) from the camera's own tracker."""
        s = self._settings
        cost = np.zeros((len(people), len(rows)))
        for k, row in enumerate(rows):
            known, when_ns = self._memory.get((view.tracks.camera_id, int(view.tracks.track_id[row])), (None, 0))
            if known is None or self._now_ns - when_ns > s.camera_memory_s * NS:
                continue
            cost[:, k] = [-s.same_track_bonus if p is known else s.same_track_bonus for p in people]
        return cost

    def _note_seen(self, views: list[_View]) -> None:
        everybody = self._people + self._candidates
        looking = {v.tracks.camera_id for v in views}
        seeing = self._zones.cameras_that_see(np.reshape([p.xy_m for p in everybody], (-1, 2)))
        for k, person in enumerate(everybody):
            expected = {c for c in looking if seeing[c][k]} | person.sources.keys()
            person.views *= FADING
            person.expected *= FADING
            if person.sources:
                person.seen_ns = self._now_ns
                person.hits += person.sure_ns == self._now_ns
                person.views += len(person.sources)
                person.expected += len(expected)
                person.overlooked = person.unseen = 0
            elif not person.track_id:
                person.expected += len(expected)
            else:
                person.overlooked += len(expected)
                person.unseen += 1
        horizon_ns = self._now_ns - round(self._settings.camera_memory_s * NS)
        self._memory = {k: v for k, v in self._memory.items() if v[1] >= horizon_ns}

    def _births(self, views: list[_View], free: dict[str, np.ndarray]) -> list[_Person]:
        """Candidates from what nobody claimed: the sharpest detection, and at most one of each other camera to it."""
        s = self._settings
        left = []
        for view in views:
            sure = free[view.tracks.camera_id] & (view.tracks.detections.score >= s.sure_score)
            sigma_m = view.points.floor_sigma_m
            left += [(sigma_m[row], view, row) for row in np.flatnonzero(sure) if sigma_m[row] < s.vague_m]
        left.sort(key=lambda item: (item[0], item[1].tracks.camera_id, item[2]))
        born = []
        for _, view, row in left:
            mine = free[view.tracks.camera_id]
            if not mine[row]:
                continue
            points = view.points
            person = _Person(
                FloorFilter(points.theta[row], points.covariance[row], s.motion),
                born_ns=self._now_ns,
                seen_ns=self._now_ns,
                sure_ns=self._now_ns,
                at_gate=False,
                hits=1,
                sources={view.tracks.camera_id: int(row)},
            )
            mine[row] = False
            for other in views:
                self._join(person, other, free[other.tracks.camera_id])
            if not self._zones.on_floor(person.xy_m[None])[0]:
                continue
            person.at_gate = self._zones.entering(person.xy_m)
            born.append(person)
        return born

    def _join(self, person: _Person, view: _View, free: np.ndarray) -> None:
        """The nearest free detection of another camera, if it can be the same person."""
        s = self._settings
        camera_id = view.tracks.camera_id
        rows = np.flatnonzero(free)
        if camera_id in person.sources or not len(rows):
            return
        points = view.points
        d2, _ = distances([person.filter], points.theta[rows], points.covariance[rows], view.offset_s)
        best = int(d2[0].argmin())
        if d2[0, best] <= s.cluster_d2:
            row = int(rows[best])
            person.filter.update(points.information[row], points.vector[row], d2[0, best], view.offset_s)
            person.sources[camera_id] = row
            free[row] = False

    def _confirm(self, views: list[_View]) -> None:
        """Candidates with enough evidence become people; one that a lost person can have walked to is that person."""
        s = self._settings
        boxes = {v.tracks.camera_id: v.tracks.detections.xyxy_px for v in views}
        easy = s.births == "anywhere" or self._now_ns - (self._first_ns or 0) <= s.start_s * NS
        waiting = []
        for candidate in self._candidates:
            near = [p for p in self._people if np.linalg.norm(p.xy_m - candidate.xy_m) < s.beside_m]
            if near and candidate.sure_ns == self._now_ns:
                candidate.near += 1
                candidate.beside += all(self._seen_apart(candidate, p, boxes) for p in near)
            entering = candidate.at_gate and self._now_ns - candidate.born_ns <= s.enter_s * NS
            needed = s.confirm_hits if entering or easy else s.confirm_hits_elsewhere
            if candidate.views < s.support * candidate.expected:
                needed = max(needed, s.confirm_hits_elsewhere)
            if candidate.hits < needed or (
                near and candidate.beside < max(s.confirm_hits_beside, 0.5 * candidate.near)
            ):
                waiting.append(candidate)
                continue
            lost = self._lost_near(candidate)
            if lost is not None:
                self._take_over(lost, candidate)
                continue
            if candidate.views < 0.5 * s.support * candidate.expected:
                waiting.append(candidate)
                continue
            candidate.track_id = f"t{self._next_id:04d}"
            self._next_id += 1
            self._people.append(candidate)
        self._candidates = waiting

    def _seen_apart(self, a: _Person, b: _Person, boxes: dict[str, np.ndarray]) -> bool:
        return any(
            _overlap(boxes[c][a.sources[c]], boxes[c][b.sources[c]]) < self._settings.distinct_overlap
            for c in a.sources.keys() & b.sources.keys()
        )

    def _lost_near(self, candidate: _Person) -> _Person | None:
        """Of the people unseen since before the candidate appeared, the one who had the shortest way for their time."""
        s = self._settings
        best, best_ratio = None, 1.0
        for person in self._people:
            unseen_s = (candidate.born_ns - person.seen_ns) / NS
            if unseen_s < s.reattach_least_unseen_s:
                continue
            way_m = float(np.linalg.norm(person.xy_m - candidate.xy_m))
            ratio = way_m / (s.beside_m + s.reattach_speed_m_s * unseen_s)
            if ratio < best_ratio:
                best, best_ratio = person, ratio
        return best

    def _take_over(self, lost: _Person, found: _Person) -> None:
        found.filter.stature_m = lost.filter.stature_m
        lost.filter = found.filter
        lost.seen_ns, lost.sure_ns, lost.sources = found.seen_ns, found.sure_ns, found.sources
        lost.hits += found.hits
        lost.views += found.views
        for key, (person, when_ns) in list(self._memory.items()):
            if person is found:
                self._memory[key] = (lost, when_ns)

    def _merge(self) -> None:
        """Two tracks in one place that no camera ever sees apart are one person; the younger goes."""
        s = self._settings
        close: dict[tuple[str, str], int] = {}
        drop: set[str] = set()
        for i, a in enumerate(self._people):
            for b in self._people[i + 1 :]:
                apart = np.linalg.norm(a.xy_m - b.xy_m) > s.merge_m or a.sources.keys() & b.sources.keys()
                if apart or not (a.sources or b.sources):
                    continue
                pair = (a.track_id, b.track_id)
                close[pair] = self._close_since.get(pair, self._now_ns)
                young_ns = self._now_ns - max(a.born_ns, b.born_ns)
                if self._now_ns - close[pair] > s.merge_s * NS and (not b.at_gate or young_ns < 4 * NS):
                    drop.add(b.track_id)
                    a.sources = {**b.sources, **a.sources}
        self._close_since = close
        self._people = [p for p in self._people if p.track_id not in drop]

    def _remove(self) -> None:
        s = self._settings
        self._candidates = [c for c in self._candidates if self._now_ns - c.seen_ns <= s.candidate_patience_s * NS]
        self._people = [p for p in self._people if not self._is_gone(p)]

    def _is_gone(self, person: _Person) -> bool:
        s = self._settings
        unseen_s = (self._now_ns - person.seen_ns) / NS
        if not person.at_gate and person.expected > 40 and person.views < s.ghost_support * person.expected:
            return True
        if unseen_s <= s.gone_s:
            return False
        if person.hits < s.doubtful_hits and unseen_s > s.doubtful_coast_s:
            return True
        if unseen_s > s.vanish_s and person.overlooked > s.vanish_cameras * person.unseen:
            return True
        return unseen_s > s.coast_s or self._zones.has_left(person.xy_m, person.filter.mean[3:])

    def _floor_track(self, person: _Person) -> FloorTrack:
        return FloorTrack(
            track_id=person.track_id,
            at_ns=self._now_ns,
            floor_xy_m=person.filter.mean[:2].copy(),
            covariance_m2=person.filter.covariance[:2, :2].copy(),
            velocity_m_s=person.filter.mean[3:].copy(),
            last_seen_ns=person.seen_ns,
            sources=dict(sorted(person.sources.items())),
            height_m=float(person.filter.mean[2]),
        )


def _sharpness(view: _View) -> float:
    sigma_m = view.points.floor_sigma_m[view.allowed]
    return float(np.median(sigma_m)) if len(sigma_m) else float("inf")


def _overlap(a: np.ndarray, b: np.ndarray) -> float:
    """Intersection over the smaller box: near 1 also for a part of a body within the box of the whole."""
    low, high = np.maximum(a[:2], b[:2]), np.minimum(a[2:], b[2:])
    smaller = min(np.prod(a[2:] - a[:2]), np.prod(b[2:] - b[:2]))
    return float(np.prod(np.maximum(high - low, 0)) / smaller) if smaller > 0 else 1.0
