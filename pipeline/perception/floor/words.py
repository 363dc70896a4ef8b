# SPDX-License-Identifier: AGPL-3.0-or-later
"""What the cameras' own trackers say: "this box is whom that one was". How far is each of them to be believed?

A camera's track changes its person seldom, but when it does it stays with the other one. So its word is not evidence
anew in every picture: going on costs nothing, and changing costs once, the log odds of a change since its last box.
Those grow where another box lies over its own, and where it was not there for a while.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from calibration.boxes import box_iou
from pipeline.perception.floor.settings import AssociationSettings
from pipeline.perception.floor.sightings import Sightings


@dataclass
class _Known:
    """A camera's track: when it had its last box, and how much another box lay over it."""

    seen_ns: int
    covered: float


class CameraWords:
    """`update` once a window."""

    def __init__(self, settings: AssociationSettings) -> None:
        self._s = settings
        self._known: dict[tuple[int, int], _Known] = {}
        self._looked_ns: dict[int, int] = {}

    def update(self, seen: Sightings, now_ns: int) -> tuple[np.ndarray, np.ndarray]:
        """float64 (N,): nats for each box being whom its camera's track was when that had its last box; int64 (N,):
        when that was, ns; 0 and 0 for a box of a new track or of none."""
        nats, last_ns = np.zeros(len(seen)), np.zeros(len(seen), np.int64)
        s = self._s
        for c in np.flatnonzero(seen.looked):
            before_ns = self._looked_ns.get(c, 0)
            self._looked_ns[c] = now_ns
            part = seen.slices[c]
            rows = np.arange(part.start, part.stop)
            if not (seen.track[rows] >= 0).any():
                continue
            covered = _covered(seen.box_px[rows].astype(float))
            for n, over in zip(rows, covered, strict=True):
                if seen.track[n] < 0:
                    continue
                key = (int(c), int(seen.track[n]))
                known = self._known.get(key)
                if known is not None:
                    gap_s = (before_ns - known.seen_ns) / 1e9
                    change = s.change + s.change_covered * max(over, known.covered) ** 4 + s.change_hz * gap_s
                    nats[n] = s.camera_word * np.log(1 / min(change, 0.5) - 1)
                    last_ns[n] = known.seen_ns
                self._known[key] = _Known(now_ns, float(over))
        horizon_ns = now_ns - round(s.camera_memory_s * 1e9)
        self._known = {k: v for k, v in self._known.items() if v.seen_ns >= horizon_ns}
        return nats, last_ns


def _covered(box: np.ndarray) -> np.ndarray:
    """float64 (N,): the greatest intersection over union of each box with another one."""
    share = box_iou(box, box)
    np.fill_diagonal(share, 0.0)
    return share.max(1, initial=0.0)
