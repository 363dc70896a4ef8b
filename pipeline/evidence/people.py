# SPDX-License-Identifier: AGPL-3.0-or-later
"""Who was seen where, for as long as clips may need it: boxes in the cameras and tracks on the floor."""

from __future__ import annotations

import threading
from bisect import bisect_left, bisect_right
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from pipeline.messages import CameraTracks, FloorTrack


@dataclass(frozen=True)
class Look:
    """One picture of one camera that was looked at. `xyxy_px`: (N, 4). `score`: (N,). `keypoints_px`: (N, 17, 3).
    `camera_track`: (N,), -1 for none. `label`: for each row the floor track that it is known to be, or None."""

    at_ns: int
    xyxy_px: np.ndarray
    score: np.ndarray
    keypoints_px: np.ndarray
    camera_track: np.ndarray
    label: tuple[str | None, ...]


@dataclass(frozen=True)
class Floor:
    """Where everybody was at one moment: floor track -> (x, y) metres."""

    at_ns: int
    xy_m: Mapping[str, tuple[float, float]]


class People:
    """Filled window by window; may be read from another thread. `keep_ns`: None keeps everything (a recording)."""

    def __init__(self, keep_ns: int | None = None) -> None:
        self._keep_ns = keep_ns
        self._looks: dict[str, deque[Look]] = {}
        self._floor: deque[Floor] = deque()
        self._lock = threading.Lock()

    def note(self, at_ns: int, cameras: Mapping[str, CameraTracks], tracks: Iterable[FloorTrack]) -> None:
        """One window: `tracks` with the names under which events speak of them."""
        tracks = list(tracks)
        owner = {(camera_id, row): t.track_id for t in tracks for camera_id, row in t.sources.items()}
        with self._lock:
            for camera_id, seen in cameras.items():
                people = seen.detections
                labels = tuple(owner.get((camera_id, row)) for row in range(len(people)))
                look = Look(
                    seen.captured_at_ns, people.xyxy_px, people.score, people.keypoints_px, seen.track_id, labels
                )
                self._looks.setdefault(camera_id, deque()).append(look)
            self._floor.append(
                Floor(at_ns, {t.track_id: (float(t.floor_xy_m[0]), float(t.floor_xy_m[1])) for t in tracks})
            )
            if self._keep_ns is not None:
                for rows in (self._floor, *self._looks.values()):
                    while rows and rows[0].at_ns < at_ns - self._keep_ns:
                        rows.popleft()

    def looks(self, camera_id: str, t0_ns: int, t1_ns: int) -> list[Look]:
        with self._lock:
            return _between(list(self._looks.get(camera_id, ())), t0_ns, t1_ns)

    def floor(self, t0_ns: int, t1_ns: int) -> list[Floor]:
        with self._lock:
            return _between(list(self._floor), t0_ns, t1_ns)


def _between(rows: list, t0_ns: int, t1_ns: int) -> list:
    return rows[bisect_left(rows, t0_ns, key=_at) : bisect_right(rows, t1_ns, key=_at)]


def _at(row: Look | Floor) -> int:
    return row.at_ns
