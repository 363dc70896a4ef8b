# SPDX-License-Identifier: AGPL-3.0-or-later
"""A small shop with four cameras, and upright people seen in them without a picture."""

import numpy as np
import pytest

from calibration.layout import StoreLayout
from pipeline.messages import CameraTracks, Detections
from pipeline.perception.camera_tracker import CameraTracker

# share of stature and sideways offset in metres of each COCO key point, of somebody who stands upright
BODY = np.array(
    [
        (0.915, 0.0), (0.935, 0.03), (0.935, -0.03), (0.93, 0.07), (0.93, -0.07), (0.81, 0.18), (0.81, -0.18),
        (0.63, 0.22), (0.63, -0.22), (0.47, 0.22), (0.47, -0.22), (0.53, 0.1), (0.53, -0.1), (0.285, 0.1),
        (0.285, -0.1), (0.045, 0.1), (0.045, -0.1),
    ]
)  # fmt: skip


@pytest.fixture(scope="session")
def shop() -> StoreLayout:
    corners = {"a": (0.1, 0.1), "b": (5.9, 0.1), "c": (5.9, 3.9), "d": (0.1, 3.9)}
    return StoreLayout.model_validate(
        {
            "store_id": "test",
            "floor_m": [[0, 0], [6, 0], [6, 4], [0, 4]],
            "cameras": [
                {
                    "id": f"cam-{name}", "focal_px": [640, 640], "position_m": [x, y, 2.6], "look_at_m": [3, 2, 0.8],
                    "distortion": [-0.09, 0.02, 0, 0, 0],
                }
                for name, (x, y) in corners.items()
            ],
            "gondolas": [
                {
                    "id": "g1", "origin_m": [2.5, 3.4], "facing_deg": -90, "width_m": 2, "height_m": 1.6,
                    "depth_m": 0.5, "shelves": [{"id": "s", "height_m": 1, "depth_m": 0.5, "clearance_m": 0.3,
                                                 "slots": []}],
                }
            ],
            "gates": [{"id": "gate", "line_m": [[0.6, 1.2], [0.6, 2.8]], "inward": [1, 0], "tap_m": [0.3, 2],
                       "radius_m": 0.7}],
        }
    )  # fmt: skip


class World:
    """What the cameras report of people at given places."""

    def __init__(self, layout: StoreLayout, seed: int = 0, noise_px: float = 3.0) -> None:
        self.layout = layout
        self.random = np.random.default_rng(seed)
        self.noise_px = noise_px
        self.trackers = {c: CameraTracker(10) for c in layout.camera_by_id}

    def detect(self, camera_id, places_m, heights_m=1.7, hidden_below_m=0.0, score=0.9) -> Detections:
        """Upright people at (N, 2) metres; what is lower than `hidden_below_m` is behind something."""
        camera = self.layout.camera_by_id[camera_id]
        boxes, scores, keypoints = [], [], []
        for place, height in zip(places_m, np.broadcast_to(heights_m, len(places_m)), strict=True):
            towards = np.array([*place, 0]) - camera.position_m
            side = np.array([towards[1], -towards[0], 0]) / np.hypot(*towards[:2])
            points = np.array([*place, 0]) + BODY[:, :1] * [0, 0, height] + BODY[:, 1:] * side
            ends = np.array([[*place, height * 1.0], [*place, hidden_below_m]])
            pixels = camera.project(np.concatenate([points, ends]))
            if np.isnan(pixels).any():
                continue
            pixels += self.random.normal(0, self.noise_px, pixels.shape)
            low, high = pixels.min(0) - 6, pixels.max(0) + 6
            shown = np.ones(17, bool) if hidden_below_m == 0 else points[:, 2] > hidden_below_m
            inside = camera.in_view(points)
            if (inside & shown).sum() < 5:
                continue
            if hidden_below_m:
                low, high = pixels[:17][shown].min(0) - 6, pixels[:17][shown].max(0) + 6
            width, height_px = camera.size_px
            boxes.append([*np.clip(low, 0, (width, height_px)), *np.clip(high, 0, (width, height_px))])
            scores.append(score)
            keypoints.append(np.column_stack([pixels[:17], np.where(shown & inside, 0.9, 0.1)]))
        if not boxes:
            return Detections.empty()
        return Detections(np.array(boxes, np.float32), np.array(scores, np.float32), np.array(keypoints, np.float32))

    def look(self, at_ns, places_m, cameras=None, **kwargs) -> list[CameraTracks]:
        seen = []
        for camera_id in cameras if cameras is not None else sorted(self.trackers):
            people = self.detect(camera_id, places_m, **kwargs)
            seen.append(CameraTracks(camera_id, at_ns, people, self.trackers[camera_id].update(people, at_ns)))
        return seen


@pytest.fixture
def world(shop) -> World:
    return World(shop)
