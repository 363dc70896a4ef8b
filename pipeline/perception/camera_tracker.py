# SPDX-License-Identifier: AGPL-3.0-or-later
"""Who is who from picture to picture within one camera: Ultralytics' ByteTrack (Zhang et al., ECCV 2022)."""

from __future__ import annotations

from dataclasses import dataclass
from types import SimpleNamespace

import numpy as np

from pipeline.messages import Detections


@dataclass(frozen=True)
class ByteTrackSettings:
    """As in Ultralytics' bytetrack.yaml. Times in seconds here: a camera's rate varies with what happens in it."""

    high_score: float = 0.3
    low_score: float = 0.1
    new_track_score: float = 0.4
    lost_s: float = 2.0
    match_threshold: float = 0.85


class CameraTracker:
    """One camera. Ids count from 1 for each camera and are not used again before `reset`."""

    def __init__(self, fps: float = 10.0, settings: ByteTrackSettings | None = None) -> None:
        self._settings = settings or ByteTrackSettings()
        self._fps = fps
        self.reset()

    def reset(self) -> None:
        """Forget everybody; ids begin at 1 again."""
        self._last_ns: int | None = None
        self._next_id = 1
        self._start()

    def _start(self) -> None:
        from ultralytics.trackers.byte_tracker import BYTETracker

        s = self._settings
        self._tracker = BYTETracker(
            SimpleNamespace(
                track_high_thresh=s.high_score,
                track_low_thresh=s.low_score,
                new_track_thresh=s.new_track_score,
                track_buffer=round(s.lost_s * self._fps),
                match_thresh=s.match_threshold,
                fuse_score=True,
            )
        )
        # Some versions of ByteTrack count over all trackers of the process: its numbers are not used outside.
        self._ids: dict[int, int] = {}

    def update(self, detections: Detections, at_ns: int) -> np.ndarray:
        """Track of each detection: int64 (N,), -1 where it belongs to none (yet).

        Nobody is followed over a pause longer than `lost_s`: ids after it are new ones.
        """
        if self._last_ns is not None and at_ns - self._last_ns > self._settings.lost_s * 1e9:
            self._start()
        self._last_ns = at_ns
        track_id = np.full(len(detections), -1, np.int64)
        for row in self._tracker.update(_Boxes(detections.xyxy_px, detections.score)):
            track_id[int(row[7])] = self._own_id(int(row[4]))
        return track_id

    def _own_id(self, byte_track_id: int) -> int:
        if byte_track_id not in self._ids:
            self._ids[byte_track_id] = self._next_id
            self._next_id += 1
        return self._ids[byte_track_id]


@dataclass(frozen=True)
class _Boxes:
    """What ByteTrack reads of Ultralytics' `Boxes`."""

    xyxy: np.ndarray
    conf: np.ndarray

    @property
    def xywh(self) -> np.ndarray:
        corner, size = self.xyxy[:, :2], self.xyxy[:, 2:] - self.xyxy[:, :2]
        return np.concatenate([corner + size / 2, size], 1)

    @property
    def cls(self) -> np.ndarray:
        return np.zeros(len(self.conf), np.float32)

    def __len__(self) -> int:
        return len(self.conf)

    def __getitem__(self, keep: np.ndarray) -> _Boxes:
        return _Boxes(self.xyxy[keep], self.conf[keep])
