# SPDX-License-Identifier: AGPL-3.0-or-later
"""`Perception`: from one window of pictures to who is where."""

from __future__ import annotations

from dataclasses import dataclass

from calibration.layout import StoreLayout
from pipeline.messages import CameraTracks, FloorTrack, FrameSet
from pipeline.perception.detector import Network, PersonDetector, Refiner
from pipeline.perception.floor.settings import FloorSettings
from pipeline.perception.people import PeopleTracker


@dataclass(frozen=True)
class PerceptionResult:
    """`camera_tracks` lacks the cameras that were not looked at in this window: nothing is known of those."""

    frame_set: FrameSet
    camera_tracks: dict[str, CameraTracks]
    floor_tracks: list[FloorTrack]


class Perception:
    """Detector and trackers; `update` once a window, in order.

    `network`: a `models.backend.PoseNetwork`, or anything with its `infer`. `gated` false looks at every picture of
    every camera. `refiner`: a closer look at each person's key points, e.g. `models.keypoints.refiner.KeypointRefiner`.
    """

    def __init__(
        self,
        layout: StoreLayout,
        network: Network,
        floor: FloorSettings | None = None,
        gated: bool = True,
        refiner: Refiner | None = None,
    ) -> None:
        self._detector = PersonDetector(network, gated=gated, refiner=refiner)
        self._people = PeopleTracker(layout, floor)

    def update(self, frame_set: FrameSet) -> PerceptionResult:
        found = {
            camera_id: (frame_set.frames[camera_id].captured_at_ns, people)
            for camera_id, people in self._detector.update(frame_set).items()
        }
        return PerceptionResult(frame_set, *self._people.update(found, frame_set.mid_ns, frame_set.frames))

    def reset(self) -> None:
        """Forget everybody, for another recording."""
        self._detector.reset()
        self._people.reset()
