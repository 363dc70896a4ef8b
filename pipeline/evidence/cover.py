# SPDX-License-Identifier: AGPL-3.0-or-later
"""Who is in a camera's picture at each moment, whether it is the shopper concerned, and what must be made
unrecognisable.

Built from what perception has found. Somebody is followed between the pictures in which they were found (straight
lines), and stays where they were last found for `lost_s`; where the floor tracker knows somebody whom this camera does
not find, a body is assumed at their place on the floor. What is not known to be the shopper concerned is somebody else.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from calibration.camera import Camera
from calibration.sight import Shelves
from pipeline.evidence.body import body_on_floor, is_hidden
from pipeline.evidence.path import NS, Path, Somebody, grown
from pipeline.evidence.people import Floor, Look

_SAME_TRACK_NS = 2 * NS
"""A camera's track is the floor track that it was, or will be, at most so far away in time."""
_DOUBLE_SHARE, _DOUBLE_SCORE, _NEAR = 0.6, 0.5, 0.15
"""A box that nobody claims may be the shopper concerned when so much of it lies where they are, `_NEAR` around them
included. A second one on the same body is weak, too."""
_SOMEBODY_ELSE = 0.2
"""... unless so much of it lies where somebody else is."""
_ALL_SHARE = 0.8
"""A weak box of which so much lies on somebody else who is found needs no cover of its own."""
_CONTESTED_NS = 6 * NS // 10
"""A camera's track that means two people within this time of each other means neither: near the shopper concerned the
floor tracker may give one's box to the other for a moment."""
_FLEETING_NS, _HANDED_OVER_NS = 3 * NS // 10, NS // 2
"""How long a place stays blurred after a weak box that nobody claims, and after somebody whom the floor tracker sees
somewhere else now."""

IsMine = Callable[[str, int], bool]
"""Does this floor track mean the shopper concerned at this time?"""


@dataclass(frozen=True)
class _Body:
    """Somebody on the floor, as this camera would see them. Boxes (4,)."""

    label: str
    mine: bool
    xyxy_px: np.ndarray
    head_px: np.ndarray

    @property
    def whole(self) -> Somebody:
        return Somebody(self.xyxy_px, self.head_px, np.full((2, 2), np.nan), self.mine, seen=False, known=False)

    @property
    def head(self) -> Somebody:
        return Somebody(self.head_px, self.head_px, np.full((2, 2), np.nan), self.mine, seen=False, known=False)


class Cover:
    """One camera between two moments. `looks`, `floor`: from `lost_s` before to `lost_s` after, as far as there are."""

    def __init__(
        self, camera: Camera, shelves: Shelves, looks: Sequence[Look], floor: Sequence[Floor],
        is_mine: IsMine, lost_s: float,
    ) -> None:  # fmt: skip
        self._camera, self._shelves, self._floor, self._is_mine = camera, shelves, floor, is_mine
        self._floor_ns = np.array([f.at_ns for f in floor], np.int64)
        self._lost_ns = round(lost_s * NS)
        self._bodies_at: dict[int, list[_Body]] = {}
        self._paths: dict[object, Path] = {}
        names = _names(looks)
        self._contested = _contested(looks)
        for look, labels in zip(looks, names, strict=True):
            for row, label in enumerate(labels):
                if label is not None:
                    self._add(look, row, label)
        claims = [self._unclaimed(look, labels) for look, labels in zip(looks, names, strict=True)]
        for look, claimed in zip(looks, claims, strict=True):
            for row, label in claimed.items():
                self._add(look, row, label)

    def at(self, at_ns: int) -> list[Somebody]:
        """Everybody in the picture captured at `at_ns`: the shopper concerned only where found, others also where they
        are only assumed."""
        on_floor = self._on_floor(at_ns)
        found: list[Somebody] = []
        followed: dict[str, float] = {}
        for path in self._paths.values():
            somebody = path.at(at_ns, self._lost_ns, self._hold_ns(path, on_floor))
            if somebody is not None and (somebody.known or not somebody.mine):
                found.append(somebody)
                if somebody.known and path.label is not None:
                    followed[path.label] = max(somebody.score, followed.get(path.label, 0.0))
        return found + self._assumed(at_ns, followed)

    def _hold_ns(self, path: Path, on_floor: set[str]) -> int:
        if path.contested or (path.label is None and path.score < _DOUBLE_SCORE):
            return min(_FLEETING_NS, self._lost_ns)
        return min(_HANDED_OVER_NS, self._lost_ns) if path.label in on_floor else self._lost_ns

    def _add(self, look: Look, row: int, label: str | None) -> None:
        track = int(look.camera_track[row])
        mine = label is not None and self._is_mine(label, look.at_ns)
        contested = mine and (track, look.at_ns) in self._contested
        # Boxes without any name are each somebody of their own.
        key = (label, mine, contested) if label is not None else track if track >= 0 else (look.at_ns, row)
        path = self._paths.setdefault(key, Path(label, mine and not contested, contested))
        path.add(look.at_ns, np.asarray(look.xyxy_px[row], float), look.keypoints_px[row], float(look.score[row]))

    def _unclaimed(self, look: Look, labels: Sequence[str | None]) -> dict[int, str | None]:
        """The boxes that no floor track claims: row -> label of the shopper concerned, or None for somebody else. Weak
        second boxes on people who are found anyway are left out."""
        free = [int(row) for row in np.argsort(-look.score) if labels[row] is None]
        if not free:
            return {}
        bodies = self._bodies(look.at_ns)
        found = [
            (path, somebody)
            for path in self._paths.values()
            if path.label is not None
            and (somebody := path.at(look.at_ns, self._lost_ns, self._lost_ns)) is not None
            and (somebody.known or somebody.mine)
        ]
        names = {path.label for path, somebody in found if somebody.known}
        others = [grown(somebody.xyxy_px, _NEAR) for path, somebody in found if not path.mine]
        mine = [(path.label, grown(somebody.xyxy_px, _NEAR)) for path, somebody in found if path.mine]
        mine += [(body.label, grown(body.xyxy_px, _NEAR)) for body in bodies if body.mine]
        missed = [body.xyxy_px for body in bodies if not body.mine and body.label not in names]
        seen = {label for label in labels if label is not None}
        out: dict[int, str | None] = {}
        for row in free:
            box, weak = look.xyxy_px[row], look.score[row] < _DOUBLE_SCORE
            on_other = max((_share_within(box, other) for other in others), default=0.0)
            label, on_mine = max(((n, _share_within(box, b)) for n, b in mine), key=lambda e: e[1], default=(None, 0.0))
            if any(_share_within(box, body) > _SOMEBODY_ELSE for body in missed):
                out[row] = None
            elif weak and on_other >= _ALL_SHARE:
                continue
            elif on_mine >= _DOUBLE_SHARE and label not in seen and on_other < _SOMEBODY_ELSE:
                out[row] = label
                seen.add(label)
            elif not (weak and on_mine >= _DOUBLE_SHARE):
                out[row] = None
        return out

    def _assumed(self, at_ns: int, followed: Mapping[str, float]) -> list[Somebody]:
        """Bodies of people who are on the floor, but whom this camera does not find. Of those whom it finds weakly,
        which is often only a part of them, the head. `followed`: who is found, and how surely."""
        others = [body for body in self._bodies(at_ns) if not body.mine]
        return [body.whole for body in others if body.label not in followed] + [
            body.head for body in others if followed.get(body.label, 1.0) < _DOUBLE_SCORE
        ]

    def _on_floor(self, at_ns: int) -> set[str]:
        """The floor tracks at this time."""
        nearest = self._nearest(at_ns)
        return set() if nearest is None else set(self._floor[nearest].xy_m)

    def _nearest(self, at_ns: int) -> int | None:
        if not len(self._floor_ns):
            return None
        nearest = int(np.argmin(np.abs(self._floor_ns - at_ns)))
        return nearest if abs(int(self._floor_ns[nearest]) - at_ns) <= self._lost_ns else None

    def _bodies(self, at_ns: int) -> list[_Body]:
        """Everybody on the floor whom shelves do not hide from this camera, as they stood nearest to this time."""
        nearest = self._nearest(at_ns)
        if nearest is None:
            return []
        if nearest not in self._bodies_at:
            self._bodies_at[nearest] = self._project(self._floor[nearest])
        return self._bodies_at[nearest]

    def _project(self, floor: Floor) -> list[_Body]:
        bodies = []
        for label, xy_m in floor.xy_m.items():
            boxes = body_on_floor(self._camera, xy_m)
            if boxes is not None and not is_hidden(self._shelves, self._camera, xy_m):
                bodies.append(_Body(label, self._is_mine(label, floor.at_ns), *boxes))
        return bodies


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


def _contested(looks: Sequence[Look]) -> set[tuple[int, int]]:
    """(camera track, time) at which more than one floor track claims a camera's track, or did a moment before or will
    in a moment."""
    claims: dict[int, list[tuple[int, str]]] = {}
    times: dict[int, list[int]] = {}
    for look in looks:
        for track, label in zip(look.camera_track.tolist(), look.label, strict=True):
            if track >= 0:
                times.setdefault(track, []).append(look.at_ns)
                if label is not None:
                    claims.setdefault(track, []).append((look.at_ns, label))
    changes = [
        (track, (before[0], after[0]))
        for track, rows in claims.items()
        for before, after in pairwise(rows)
        if before[1] != after[1]
    ]
    return {
        (track, at_ns)
        for track, (before_ns, after_ns) in changes
        for at_ns in times[track]
        if before_ns - _CONTESTED_NS <= at_ns <= after_ns + _CONTESTED_NS
    }


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
