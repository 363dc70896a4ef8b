# SPDX-License-Identifier: AGPL-3.0-or-later
"""The floor tracker over a recording of boxes, frame by frame."""

from __future__ import annotations

from collections.abc import Iterator

from pipeline.messages import CameraTracks, FloorTrack
from pipeline.perception.camera_tracker import CameraTracker
from pipeline.perception.floor_tracker import FloorSettings, FloorTracker
from pipeline.perception.recorded import NS, RecordedBoxes, Room


def follow(room: Room, boxes: RecordedBoxes, lookahead_s: float) -> Iterator[tuple[int, list[FloorTrack]]]:
    """(frame, people in the room's region) of every frame, in order; each at most `lookahead_s` after its frame."""
    tracker = FloorTracker(room, FloorSettings(births="anywhere", sure_score=0.7, vanish_s=1.0, coast_s=3.0))
    cameras = {c: CameraTracker(room.fps) for c in room.camera_by_id}
    x0, y0, x1, y1 = room.region_m or room.extent_m
    for frame, seen in boxes:
        at_ns = NS + round(frame * NS / room.fps)
        looks = [CameraTracks(c, at_ns, d, cameras[c].update(d, at_ns)) for c, d in seen.items()]
        tracks = tracker.update(looks, at_ns)
        yield frame, [t for t in tracks if x0 <= t.floor_xy_m[0] <= x1 and y0 <= t.floor_xy_m[1] <= y1]
