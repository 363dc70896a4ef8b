# SPDX-License-Identifier: AGPL-3.0-or-later
"""Making people unrecognisable in a picture's planes, for good: what is left are a few colours a body, one a head."""

from __future__ import annotations

from collections.abc import Iterable

import cv2
import numpy as np

from pipeline.messages import Frame

Planes = list[np.ndarray]
"""Luma (H, W) and both chroma planes (H / 2, W / 2), uint8, H and W even: yuv420p."""
Box = tuple[float, float, float, float]

BODY_CELLS = 10
"""A body is left with so many cells along its longer side; each is the mean of its pixels."""
LEAST_CELL_PX = 12


def planes_of(frame: Frame, max_side_px: int) -> tuple[Planes, float]:
    """A frame's planes, made small enough, and the scale; its own pixels are left alone."""
    if frame.pixels.ndim == 3:
        height, width = (2 * (n // 2) for n in frame.pixels.shape[:2])
        flat = cv2.cvtColor(np.ascontiguousarray(frame.pixels[:height, :width]), cv2.COLOR_BGR2YUV_I420)
        frame = Frame(frame.camera_id, frame.captured_at_ns, flat)
    luma, *chroma = frame.planes
    height, width = luma.shape
    scale = min(1.0, max_side_px / max(width, height))
    if scale == 1.0:
        return [plane.copy() for plane in (luma, *chroma)], 1.0
    half = (round(width * scale / 2), round(height * scale / 2))
    small = [cv2.resize(luma, (2 * half[0], 2 * half[1]), interpolation=cv2.INTER_AREA)]
    small += [cv2.resize(plane, half, interpolation=cv2.INTER_AREA) for plane in chroma]
    return small, 2 * half[0] / width


def blur(planes: Planes, bodies: Iterable[Box], heads: Iterable[Box]) -> None:
    """In place. `bodies`, `heads`: x1, y1, x2, y2 in pixels of the luma plane; what lies outside the picture is cut."""
    for box in bodies:
        cell = max(LEAST_CELL_PX, max(box[2] - box[0], box[3] - box[1]) / BODY_CELLS)
        for plane, scale in zip(planes, (1.0, 0.5, 0.5), strict=True):
            _coarsen(plane, box, scale, cell)
    for box in heads:
        for plane, scale in zip(planes, (1.0, 0.5, 0.5), strict=True):
            cover(plane, box, scale)


def cover(plane: np.ndarray, box: Box, scale: float = 1.0) -> None:
    """In place: one colour, the mean of what it covers, where the box times `scale` lies in a plane (H, W) or picture
    (H, W, 3)."""
    _coarsen(plane, box, scale, 1e9)


def _coarsen(plane: np.ndarray, box: Box, scale: float, cell: float) -> None:
    height, width = plane.shape[:2]
    x1, y1 = max(int(np.floor(box[0] * scale)), 0), max(int(np.floor(box[1] * scale)), 0)
    x2, y2 = min(int(np.ceil(box[2] * scale)), width), min(int(np.ceil(box[3] * scale)), height)
    if x2 <= x1 or y2 <= y1:
        return
    part = plane[y1:y2, x1:x2]
    cells = (max(1, round((x2 - x1) / (cell * scale))), max(1, round((y2 - y1) / (cell * scale))))
    coarse = cv2.resize(part, cells, interpolation=cv2.INTER_AREA)
    part[:] = cv2.resize(coarse, (x2 - x1, y2 - y1), interpolation=cv2.INTER_LINEAR).reshape(part.shape)


def to_bgr(planes: Planes) -> np.ndarray:
    """uint8 (H, W, 3)."""
    flat = np.concatenate([np.ascontiguousarray(plane).reshape(-1) for plane in planes])
    height, width = planes[0].shape
    return cv2.cvtColor(flat.reshape(height * 3 // 2, width), cv2.COLOR_YUV2BGR_I420)


def to_i420(planes: Planes) -> np.ndarray:
    """uint8 (H * 3 / 2, W), as PyAV takes it."""
    height, width = planes[0].shape
    flat = np.concatenate([np.ascontiguousarray(plane).reshape(-1) for plane in planes])
    return flat.reshape(height * 3 // 2, width)
