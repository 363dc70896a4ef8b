# SPDX-License-Identifier: AGPL-3.0-or-later
"""`PeopleTracker`: what follows people, from what a network found in each camera on."""

from __future__ import annotations

from collections.abc import Mapping

from calibration.layout import StoreLayout
from pipeline.messages import CameraTracks, Detections, FloorTrack, Frame
from pipeline.perception.appearance import frame_looks
from pipeline.perception.camera_tracker import CameraTracker
from pipeline.perception.floor.settings import FloorSettings
from pipeline.perception.floor.tracker import FloorTracker


class PeopleTracker:
    """A tracker for each camera, and the floor tracker over them; `update` once a window, in order."""

    def __init__(self, layout: StoreLayout, floor: FloorSettings | None = None) -> None:
        self._cameras = {spec.id: CameraTracker(spec.fps) for spec in layout.cameras}
        self._floor = FloorTracker(layout, floor, records=False)

    def update(
        self, found: Mapping[str, tuple[int, Detections]], at_ns: int, frames: Mapping[str, Frame] | None = None
    ) -> tuple[dict[str, CameraTracks], list[FloorTrack]]:
        """Camera id -> (when it looked, whom it found) of this window; cameras that did not look are left out.
        `frames`: their pictures, where there are any, for what people wear."""
        # Whoever is alone in the shop can be taken for nobody.
        dress = frames is not None and len(self._floor.people) > 1
        tracks = {
            camera_id: CameraTracks(
                camera_id, looked_ns, people, self._cameras[camera_id].update(people, looked_ns),
                frame_looks(frames[camera_id], people) if dress else None,
            )
            for camera_id, (looked_ns, people) in found.items()
        }  # fmt: skip
        return tracks, self._floor.update(list(tracks.values()), at_ns)

    def reset(self) -> None:
        """Forget everybody, for another recording."""
        for tracker in self._cameras.values():
            tracker.reset()
        self._floor.reset()
