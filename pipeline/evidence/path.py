# SPDX-License-Identifier: AGPL-3.0-or-later
"""One person in one camera through time: where they were found, and where they were in between."""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass, field

import numpy as np

from pipeline.evidence.body import head_box, wrists

NS = 1_000_000_000
_GROWS = 0.3
"""A box that is only held grows by this share of itself until it is given up: people move."""


@dataclass(frozen=True)
class Somebody:
    """One person in one picture. `xyxy_px`, `head_px`: (4,). `wrists_px`: (2, 2), NaN where unknown. `seen`: found in
    this very picture, not between two or by assumption. `known`: found here or between two such pictures.
    `score`: how sure the network was."""

    xyxy_px: np.ndarray
    head_px: np.ndarray
    wrists_px: np.ndarray
    mine: bool
    seen: bool
    known: bool
    score: float = 0.0


@dataclass
class Path:
    """Finds of one person, in the order of time. `label`: their floor track, None where nobody knows. `contested`:
    they may be the shopper concerned. `score`: of the surest."""

    label: str | None
    mine: bool
    contested: bool = False
    score: float = 0.0
    at_ns: list[int] = field(default_factory=list)
    rows: list[np.ndarray] = field(default_factory=list)  # (13,): box, head, wrists, score

    def add(self, at_ns: int, xyxy_px: np.ndarray, keypoints_px: np.ndarray, score: float) -> None:
        row = np.concatenate([xyxy_px, head_box(xyxy_px, keypoints_px), wrists(keypoints_px).ravel(), [score]])
        self.score = max(self.score, score)
        place = bisect_left(self.at_ns, at_ns)
        if place < len(self.at_ns) and self.at_ns[place] == at_ns:  # two boxes under one name: both count
            before = self.rows[place]
            for part in (slice(0, 4), slice(4, 8)):
                a, b = before[part], row[part]
                before[part] = [min(a[0], b[0]), min(a[1], b[1]), max(a[2], b[2]), max(a[3], b[3])]
            before[12] = max(before[12], score)
            return
        self.at_ns.insert(place, at_ns)
        self.rows.insert(place, row)

    def at(self, at_ns: int, lost_ns: int, hold_ns: int) -> Somebody | None:
        """Between two finds at most 2 `lost_ns` apart: on the way from one to the other. Else where they were found
        last or will be next, for `hold_ns`. None further away."""
        times = self.at_ns
        after = bisect_left(times, at_ns)
        if after < len(times) and times[after] == at_ns:
            return self._somebody(self.rows[after], seen=True, known=True)
        if 0 < after < len(times) and times[after] - times[after - 1] <= 2 * lost_ns:
            before = after - 1
            share = (at_ns - times[before]) / (times[after] - times[before])
            row = (1 - share) * self.rows[before] + share * self.rows[after]
            return self._somebody(row, seen=False, known=True)
        near = min((k for k in (after - 1, after) if 0 <= k < len(times)), key=lambda k: abs(times[k] - at_ns))
        away_ns = abs(times[near] - at_ns)
        if away_ns > hold_ns:
            return None
        row = self.rows[near].copy()
        row[:8] = np.concatenate([grown(part, _GROWS * away_ns / max(lost_ns, 1)) for part in (row[:4], row[4:8])])
        row[8:12] = np.nan
        return self._somebody(row, seen=False, known=False)

    def _somebody(self, row: np.ndarray, seen: bool, known: bool) -> Somebody:
        return Somebody(row[:4], row[4:8], row[8:12].reshape(2, 2), self.mine, seen, known, float(row[12]))


def grown(xyxy_px: np.ndarray, share: float) -> np.ndarray:
    """A box with a margin of `share` of its width and height on each side."""
    x1, y1, x2, y2 = xyxy_px
    dx, dy = share * (x2 - x1), share * (y2 - y1)
    return np.array([x1 - dx, y1 - dy, x2 + dx, y2 + dy])
