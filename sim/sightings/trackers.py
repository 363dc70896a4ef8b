# SPDX-License-Identifier: AGPL-3.0-or-later
"""What `walkout run` follows people with, as the suite of detections drives it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from calibration.layout import load_layout
from pipeline.messages import CameraTracks, Event, FloorTrack
from pipeline.perception.identity.watch import IdentityWatch
from pipeline.perception.people import PeopleTracker


class PipelineTracker:
    """Cameras' trackers, floor tracker, and what is said of who is who (`events`); `folder`: of the recording."""

    def __init__(self, folder: Path) -> None:
        layout = load_layout(folder / "layout.yaml")
        self._people, self._who = PeopleTracker(layout), IdentityWatch(layout)
        self.events: list[Event] = []

    def update(self, looks: Sequence[CameraTracks], at_ns: int) -> list[FloorTrack]:
        found = {look.camera_id: (look.captured_at_ns, look.detections) for look in looks}
        cameras, tracks = self._people.update(found, at_ns)
        self.events += self._who.update(cameras.values(), tracks, at_ns)
        return tracks

    def finish(self) -> None:
        """The recording is over: what is still open is said now."""
        self.events += self._who.finish()
