# SPDX-License-Identifier: AGPL-3.0-or-later
"""Who is in a camera's picture at each moment, whether it is the shopper concerned, and what must be made
unrecognisable.

Built from what perception has found. Somebody is followed between the pictures in which they were found (straight
lines), and stays where they were last found for `lost_s`; where the floor tracker knows somebody whom this camera does
not find, a body is assumed at their place on the floor. What is not known to be the shopper concerned is somebody else.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from calibration.camera import Camera
from calibration.layout import Gondola
from pipeline.evidence.body import body_on_floor, head_box, is_hidden, wrists
from pipeline.evidence.people import Floor, Look

NS = 1_000_000_000
_SAME_TRACK_NS = 2 * NS
"""A camera's track is the floor track that it was, or will be, at most so far away in time."""
_DOUBLE_SHARE, _DOUBLE_SCORE, _NEAR = 0.6, 0.5, 0.15
"""A box that nobody claims may be the shopper concerned when so much of it lies where they are, `_NEAR` around them
included. A second one on the same body is weak, too."""
_SOMEBODY_ELSE = 0.2
"""... unless so much of it lies where somebody else is."""
_DOUBLE = "\0double"
_GROWS = 0.3
"""A box that is only assumed grows by this share of itself until `lost_s` is over: people move."""

IsMine = Callable[[str, int], bool]
"""Does this floor track mean the shopper concerned at this time?"""


@dataclass(frozen=True)
class Somebody:
    """One person in one picture. `xyxy_px`, `head_px`: (4,). `wrists_px`: (2, 2), NaN where unknown. `seen`: found in
    this very picture, not between two or by assumption. `known`: found here or between two such pictures."""

    xyxy_px: np.ndarray
    head_px: np.ndarray
    wrists_px: np.ndarray
    mine: bool
    seen: bool
    known: bool


@dataclass
class _Path:
    """One person in one camera: rows in the order of time."""

    label: str | None
    mine: bool
    at_ns: list[int] = field(default_factory=list)
    rows: list[np.ndarray] = field(default_factory=list)  # (12,): box, head, wrists

    def add(self, at_ns: int, xyxy_px: np.ndarray, keypoints_px: np.ndarray) -> None:
        row = np.concatenate([xyxy_px, head_box(xyxy_px, keypoints_px), wrists(keypoints_px).ravel()])
        if self.at_ns and self.at_ns[-1] == at_ns:  # two boxes under one name: both are covered
            before = self.rows[-1]
            for part in (slice(0, 4), slice(4, 8)):
                a, b = before[part], row[part]
                before[part] = [min(a[0], b[0]), min(a[1], b[1]), max(a[2], b[2]), max(a[3], b[3])]
            return
        self.at_ns.append(at_ns)
        self.rows.append(row)

    def at(self, at_ns: int, lost_ns: int) -> Somebody | None:
        times = self.at_ns
        if not times[0] - lost_ns <= at_ns <= times[-1] + lost_ns:
            return None
        after = int(np.searchsorted(times, at_ns))
        if after < len(times) and times[after] == at_ns:
            return self._somebody(self.rows[after], seen=True, known=True)
        if 0 < after < len(times) and times[after] - times[after - 1] <= 2 * lost_ns:
            before = after - 1
            share = (at_ns - times[before]) / (times[after] - times[before])
            row = (1 - share) * self.rows[before] + share * self.rows[after]
            return self._somebody(row, seen=False, known=True)
        near = min((k for k in (after - 1, after) if 0 <= k < len(times)), key=lambda k: abs(times[k] - at_ns))
        away_ns = abs(times[near] - at_ns)
        if away_ns > lost_ns:
            return None
        row = self.rows[near].copy()
        row[:8] = np.concatenate([grown(part, _GROWS * away_ns / max(lost_ns, 1)) for part in (row[:4], row[4:8])])
        row[8:] = np.nan
        return self._somebody(row, seen=False, known=False)

    def _somebody(self, row: np.ndarray, seen: bool, known: bool) -> Somebody:
        return Somebody(row[:4], row[4:8], row[8:].reshape(2, 2), self.mine, seen, known)


@dataclass(frozen=True)
class _Body:
    """Somebody on the floor, as this camera would see them. Boxes (4,)."""

    label: str
    mine: bool
    xyxy_px: np.ndarray
    head_px: np.ndarray

    @property
    def somebody(self) -> Somebody:
        return Somebody(self.xyxy_px, self.head_px, np.full((2, 2), np.nan), self.mine, seen=False, known=False)


class Cover:
    """One camera between two moments. `looks`, `floor`: from `lost_s` before to `lost_s` after, as far as there are."""

    def __init__(
        self, camera: Camera, gondolas: Sequence[Gondola], looks: Sequence[Look], floor: Sequence[Floor],
        is_mine: IsMine, lost_s: float,
    ) -> None:  # fmt: skip
        self._camera, self._gondolas, self._floor, self._is_mine = camera, gondolas, floor, is_mine
        self._floor_ns = np.array([f.at_ns for f in floor], np.int64)
        self._lost_ns = round(lost_s * NS)
        self._bodies_at: dict[int, list[_Body]] = {}
        self._paths: dict[object, _Path] = {}
        names = _names(looks)
        for look, labels in zip(looks, names, strict=True):
            for row, label in enumerate(labels):
                if label is not None:
                    self._add(look, row, label)
        self._mine = [path for path in self._paths.values() if path.mine]
        claims = [self._claimed_by_mine(look, labels) for look, labels in zip(looks, names, strict=True)]
        for look, labels, mine in zip(looks, names, claims, strict=True):
            for row, label in enumerate(labels):
                if label is None and mine.get(row) != _DOUBLE:
                    self._add(look, row, mine.get(row))

    def at(self, at_ns: int) -> list[Somebody]:
        """Everybody in the picture captured at `at_ns`: the shopper concerned only where found, others also where they
        are only assumed."""
        found, followed = [], set()
        for path in self._paths.values():
            somebody = path.at(at_ns, self._lost_ns)
            if somebody is not None and (somebody.known or not somebody.mine):
                found.append(somebody)
                if somebody.known and path.label is not None:
                    followed.add(path.label)
        return found + self._assumed(at_ns, followed)

    def _add(self, look: Look, row: int, label: str | None) -> None:
        track = int(look.camera_track[row])
        mine = label is not None and self._is_mine(label, look.at_ns)
        # Boxes without any name are each somebody of their own.
        key = (label, mine) if label is not None else track if track >= 0 else (look.at_ns, row)
        path = self._paths.setdefault(key, _Path(label, mine))
        path.add(look.at_ns, np.asarray(look.xyxy_px[row], float), look.keypoints_px[row])

    def _claimed_by_mine(self, look: Look, labels: Sequence[str | None]) -> dict[int, str]:
        """Which of the boxes that nobody claims are the shopper concerned: row -> label, or `_DOUBLE` for a weak second
        box on the same body. Only where nobody else is known to be."""
        free = [int(row) for row in np.argsort(-look.score) if labels[row] is None]
        if not free:
            return {}
        bodies = self._bodies(look.at_ns)
        expected = [(b.label, grown(b.xyxy_px, _NEAR)) for b in bodies if b.mine]
        expected += [
            (path.label, grown(s.xyxy_px, _NEAR))
            for path in self._mine
            if (s := path.at(look.at_ns, self._lost_ns)) is not None
        ]
        found = {label for label in labels if label is not None and self._is_mine(label, look.at_ns)}
        mine: dict[int, str] = {}
        for row in free:
            box = look.xyxy_px[row]
            label, inside = max(
                ((label, _share_within(box, body)) for label, body in expected), key=lambda e: e[1], default=("", 0.0)
            )
            elsewhere = not any(_share_within(box, b.xyxy_px) > _SOMEBODY_ELSE for b in bodies if not b.mine)
            if inside < _DOUBLE_SHARE or not elsewhere:
                continue
            if label not in found:
                mine[row] = label
                found.add(label)
            elif look.score[row] < _DOUBLE_SCORE:
                mine[row] = _DOUBLE
        return mine

    def _assumed(self, at_ns: int, followed: set[str]) -> list[Somebody]:
        """Bodies of people who are on the floor, but whom this camera does not find."""
        return [body.somebody for body in self._bodies(at_ns) if not body.mine and body.label not in followed]

    def _bodies(self, at_ns: int) -> list[_Body]:
        """Everybody on the floor whom shelves do not hide from this camera, as they stood nearest to this time."""
        if not len(self._floor_ns):
            return []
        nearest = int(np.argmin(np.abs(self._floor_ns - at_ns)))
        if abs(int(self._floor_ns[nearest]) - at_ns) > self._lost_ns:
            return []
        if nearest not in self._bodies_at:
            self._bodies_at[nearest] = self._project(self._floor[nearest])
        return self._bodies_at[nearest]

    def _project(self, floor: Floor) -> list[_Body]:
        bodies = []
        for label, xy_m in floor.xy_m.items():
            boxes = body_on_floor(self._camera, xy_m)
            if boxes is not None and not is_hidden(self._gondolas, self._camera, xy_m):
                bodies.append(_Body(label, self._is_mine(label, floor.at_ns), *boxes))
        return bodies


def grown(xyxy_px: np.ndarray, share: float) -> np.ndarray:
    """A box with a margin of `share` of its width and height on each side."""
    x1, y1, x2, y2 = xyxy_px
    dx, dy = share * (x2 - x1), share * (y2 - y1)
    return np.array([x1 - dx, y1 - dy, x2 + dx, y2 + dy])


def _names(looks: Sequence[Look]) -> list[list[str | None]]:
    """For each row of each look its floor track: the one it was used for, else the one that its camera track was before
    and will be after, where these agree."""
    claimed: dict[int, list[tuple[int, str]]] = {}
    for look in looks:
        for track, label in zip(look.camera_track, look.label, strict=True):
            if label is not None and track >= 0:
                claimed.setdefault(int(track), []).append((look.at_ns, label))
    return [
        [
            label if label is not None else _by_camera_track(claimed.get(int(track), ()), look.at_ns)
            for track, label in zip(look.camera_track, look.label, strict=True)
        ]
        for look in looks
    ]


def _by_camera_track(claims: Sequence[tuple[int, str]], at_ns: int) -> str | None:
    before = [label for t, label in claims if at_ns - _SAME_TRACK_NS <= t < at_ns]
    after = [label for t, label in claims if at_ns < t <= at_ns + _SAME_TRACK_NS]
    names = {*before[-1:], *after[:1]}
    return names.pop() if len(names) == 1 else None


def _share_within(box: np.ndarray, other: np.ndarray) -> float:
    """Share of `box` that lies in `other`."""
    width = min(box[2], other[2]) - max(box[0], other[0])
    height = min(box[3], other[3]) - max(box[1], other[1])
    area = float((box[2] - box[0]) * (box[3] - box[1]))
    return float(width * height) / area if width > 0 and height > 0 and area > 0 else 0.0
