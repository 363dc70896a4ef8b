# SPDX-License-Identifier: AGPL-3.0-or-later
"""Where in a camera's picture somebody is who stands at a place on the floor, and where a body's head is in its box."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from calibration.camera import Camera
from calibration.sight import Shelves
from pipeline.messages import LEFT_WRIST, RIGHT_WRIST

TALL_M, WIDE_M = 1.9, 0.35
"""Somebody tall with an arm a little out: half a width to each side."""
_HEAD_M = (1.35, TALL_M)
_LEAST_KEYPOINT = 0.3
_HEAD_SHARE = 0.25
"""Of an upright body's box; used where no point of the head is sure."""


def body_on_floor(camera: Camera, xy_m: Sequence[float]) -> tuple[np.ndarray, np.ndarray] | None:
    """Boxes (4,) of the body and of its head, in pixels, cut at the picture's edge; None when it is not in view."""
    corners = np.array([(dx, dy) for dx in (-WIDE_M, WIDE_M) for dy in (-WIDE_M, WIDE_M)]) * 0.8
    body = _box(camera, xy_m, corners, np.linspace(0.0, TALL_M, 6))
    if body is None:
        return None
    head = _box(camera, xy_m, corners * 0.6, np.array(_HEAD_M))
    return body, body if head is None else head


def is_hidden(shelves: Shelves, camera: Camera, xy_m: Sequence[float]) -> bool:
    """Whether shelves hide the whole upper body, arms included."""
    points = np.array(
        [(xy_m[0] + dx, xy_m[1] + dy, z) for dx, dy in ((0, 0), (0.2, 0), (-0.2, 0), (0, 0.2), (0, -0.2))
         for z in (0.9, 1.3, 1.6, 1.8)]
    )  # fmt: skip
    return bool(shelves.hide(camera.position_m[None], points).all())


def head_box(xyxy_px: np.ndarray, keypoints_px: np.ndarray) -> np.ndarray:
    """(4,): around the head's points that are sure, generously; else the upper part of the box."""
    x1, y1, x2, y2 = (float(v) for v in xyxy_px)
    long_side = max(x2 - x1, y2 - y1)
    points = keypoints_px[:5][keypoints_px[:5, 2] >= _LEAST_KEYPOINT, :2]
    upper = np.array([x1, y1, x2, y1 + _HEAD_SHARE * (y2 - y1)])
    if not len(points):
        return upper
    low, high = points.min(0), points.max(0)
    around = max(0.09 * long_side, 0.9 * float((high - low).max()))
    return np.array([*(low - around), *(high + around)])


def wrists(keypoints_px: np.ndarray) -> np.ndarray:
    """(2, 2): left and right, NaN where it is not sure."""
    points = keypoints_px[[LEFT_WRIST, RIGHT_WRIST]]
    return np.where(points[:, 2:] >= _LEAST_KEYPOINT, points[:, :2], np.nan).astype(float)


def _box(camera: Camera, xy_m, corners: np.ndarray, heights: np.ndarray) -> np.ndarray | None:
    points = np.array([(xy_m[0] + dx, xy_m[1] + dy, z) for z in heights for dx, dy in corners])
    pixels = camera.project(points)
    pixels = pixels[~np.isnan(pixels).any(-1)]
    if not len(pixels):
        return None
    width, height = camera.size_px
    x1, y1 = np.clip(pixels.min(0), 0, (width, height))
    x2, y2 = np.clip(pixels.max(0), 0, (width, height))
    return np.array([x1, y1, x2, y2]) if x2 - x1 >= 2 and y2 - y1 >= 2 else None
