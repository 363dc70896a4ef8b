# SPDX-License-Identifier: AGPL-3.0-or-later
"""The floor tracker over a recording of boxes, frame by frame."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from pipeline.messages import CameraTracks, Event, FloorTrack
from pipeline.perception.floor.lag import LaggedTracker
from pipeline.perception.floor.tracker import FloorTracker
from pipeline.perception.identity.watch import IdentityWatch
from pipeline.perception.recorded import NS, RecordedBoxes, Room


class WatchedTracker(FloorTracker):
    """A floor tracker of whose labels is told, as `walkout run` tells it, when they may have been exchanged."""

    def __init__(self, room: Room) -> None:
        super().__init__(room)
        self._watch = IdentityWatch(room)
        self._events: list[Event] = []

    def update(self, camera_tracks: Sequence[CameraTracks], at_ns: int) -> list[FloorTrack]:
        tracks = super().update(camera_tracks, at_ns)
        self._events += self._watch.update(camera_tracks, tracks, at_ns)
        return tracks

    def finish(self) -> list[Event]:
        """All that was told; what is still open is judged now."""
        self._events += self._watch.finish()
        return self._events


def follow(
    room: Room, boxes: RecordedBoxes, lookahead_s: float, floor: FloorTracker | None = None
) -> Iterator[tuple[int, list[FloorTrack]]]:
    """(frame, people in the room's region) of every frame, in order; each at most `lookahead_s` after its frame.

    `floor`: the tracker to use, for who wants to ask it more than that.
    """
    tracker = LaggedTracker(floor or FloorTracker(room), lookahead_s, room.region)
    frame_at: dict[int, int] = {}
    for frame, seen in boxes:
        at_ns = time_of(frame, room)
        frame_at[at_ns] = frame
        looks = [CameraTracks(c, at_ns, d, np.full(len(d), -1)) for c, d in seen.items()]
        for then_ns, tracks in tracker.update(looks, at_ns):
            yield frame_at.pop(then_ns), tracks
    for then_ns, tracks in tracker.finish():
        yield frame_at.pop(then_ns), tracks


def time_of(frame: int, room: Room) -> int:
    """The time that a frame is given, ns."""
    return NS + round(frame * NS / room.fps)


def frame_of(at_ns: int, room: Room) -> int:
    """The frame at a time that `time_of` gave."""
    return round((at_ns - NS) * room.fps / NS)
