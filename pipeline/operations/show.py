# SPDX-License-Identifier: AGPL-3.0-or-later
"""What a running shop shows of its floor: the feed, and of a live one the cameras' pictures."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pipeline.messages import CameraTracks, FloorTrack, FrameSet
from pipeline.operations.floor_feed import FOLDER, NOTHING_WAITS, FeedWriter, Waiting
from pipeline.operations.stills import StillWriter


class FloorShow:
    """`folder`: the store's, or for a recording the run's, whose earlier feed is dropped. As a context manager."""

    def __init__(self, folder: Path, *, live: bool) -> None:
        if not live:
            shutil.rmtree(folder / FOLDER, ignore_errors=True)
        self._feed = FeedWriter(folder)
        self._stills = StillWriter(folder) if live else None

    def __enter__(self) -> FloorShow:
        return self

    def __exit__(self, *_: object) -> None:
        self._feed.close()

    def add(
        self,
        frame_set: FrameSet,
        looks: Mapping[str, CameraTracks],
        tracks: Sequence[FloorTrack],
        cameras: Mapping[str, Mapping[str, Any]],
        waiting: Waiting = NOTHING_WAITS,
    ) -> None:
        """Once a window. `cameras`: camera id -> `state` and `reason`, as they are now. `waiting`: for a log or
        a database that is away."""
        people = [(t.track_id, float(t.floor_xy_m[0]), float(t.floor_xy_m[1])) for t in tracks]
        notes = {camera_id: (c["state"], c["reason"]) for camera_id, c in cameras.items()}
        self._feed.add(frame_set.mid_ns, people, notes, waiting)
        if self._stills is not None:
            self._stills.add(frame_set, looks)
