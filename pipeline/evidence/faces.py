# SPDX-License-Identifier: AGPL-3.0-or-later
"""The shelf's face around a slot: which cameras see it best, and cutting it out of their pictures, straightened."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from calibration.camera import Camera
from calibration.layout import Gondola, StoreLayout

AROUND_M = 0.25
"""Shown to each side of the slot."""
_PX_PER_M = 600.0
_MAX_SIDE_PX = 900
_LIP_M = 0.05


@dataclass(frozen=True)
class Face:
    """Part of a gondola's front: `along_m` and `up_m` from, to, and where the slot is in it."""

    gondola: Gondola
    along_m: tuple[float, float]
    up_m: tuple[float, float]

    @property
    def corners_m(self) -> np.ndarray:
        """World corners (4, 3): bottom left, bottom right, top right, top left."""
        (a, b), (low, high) = self.along_m, self.up_m
        return self.gondola.to_world(np.array([a, b, b, a]), np.zeros(4), np.array([low, low, high, high]))


def face_of(layout: StoreLayout, gondola_id: str, slot_id: str | None, around_m: float = AROUND_M) -> Face:
    """Around the slot; the whole front where it is not known."""
    gondola = layout.gondola_by_id[gondola_id]
    if slot_id is None or slot_id not in layout.slot_by_id:
        return Face(gondola, (0.0, gondola.width_m), (0.0, gondola.height_m))
    _, shelf, slot = layout.slot_by_id[slot_id]
    along = max(0.0, slot.start_m - around_m), min(gondola.width_m, slot.end_m + around_m)
    up = max(0.0, shelf.height_m - _LIP_M), min(gondola.height_m, shelf.height_m + shelf.clearance_m + _LIP_M)
    return Face(gondola, along, up)


def cameras_for(layout: StoreLayout, gondola_id: str, slot_id: str | None) -> list[str]:
    """Cameras that see the slot's front, largest in the picture first; those that see some of it come last."""
    face = face_of(layout, gondola_id, slot_id, around_m=0.0)
    scored = []
    for camera_id, camera in layout.camera_by_id.items():
        area, whole = _seen_area(layout, camera, face)
        if area > 0:
            scored.append((not whole, -area, camera_id))
    return [camera_id for *_, camera_id in sorted(scored)]


def cut_face(image: np.ndarray, camera: Camera, face: Face) -> np.ndarray:
    """uint8 (h, w, 3) BGR, the face seen from the front. `image`: uint8 (H, W, 3), the whole picture of the camera, at
    its size or smaller. What the picture does not show is grey."""
    width_m, height_m = face.along_m[1] - face.along_m[0], face.up_m[1] - face.up_m[0]
    scale = min(_PX_PER_M, _MAX_SIDE_PX / max(width_m, height_m))
    width, height = max(16, round(width_m * scale)), max(16, round(height_m * scale))
    # A mesh of the face through the camera's lens: straight in the world is straight in the picture.
    along = np.linspace(*face.along_m, width)
    up = np.linspace(*face.up_m[::-1], height)
    grid_along, grid_up = np.meshgrid(along, up)
    points = face.gondola.to_world(grid_along, np.zeros_like(grid_along), grid_up)
    pixels = camera.project(points).astype(np.float32) * (image.shape[1] / camera.size_px[0])
    pixels = np.where(np.isnan(pixels), -1e6, pixels).astype(np.float32)
    return cv2.remap(
        image, pixels[..., 0], pixels[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT,
        borderValue=(128, 128, 128),
    )  # fmt: skip


def _seen_area(layout: StoreLayout, camera: Camera, face: Face) -> tuple[float, bool]:
    """Pixels that the face takes in a picture, 0 when it is turned away, hidden or outside; and whether all of it is
    inside."""
    corners = face.corners_m
    middle = corners.mean(0)
    if (camera.position_m - middle) @ face.gondola.normal <= 0.05:
        return 0.0, False
    if layout.shelves.hide(camera.position_m[None], middle[None])[0, 0]:
        return 0.0, False
    pixels = camera.project(corners)
    if np.isnan(pixels).any() or not camera.in_view(middle[None])[0]:
        return 0.0, False
    return float(cv2.contourArea(pixels.astype(np.float32))), bool(camera.in_view(corners).all())
