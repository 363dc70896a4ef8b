# SPDX-License-Identifier: AGPL-3.0-or-later
"""Motion blur of what moves, in the picture: each limb is smeared along its own way while the shutter is open."""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np

_CELL_PX = 12
_LEAST_PX, _MOST_PX = 0.8, 40.0
_STEP_PX = 4.0


def smeared(layer: np.ndarray, at_px: np.ndarray, way_px: np.ndarray) -> np.ndarray:
    """Mean of uint8 (h, w, 4) premultiplied BGRA, moved back and forth along the way.

    `at_px`: (P, 2) points of the layer that are known to move by `way_px` (P, 2) altogether, or NaN. In between it is
    interpolated.
    """
    way_px = np.clip(way_px, -_MOST_PX, _MOST_PX)
    length = np.hypot(*way_px.T)
    with np.errstate(invalid="ignore"):
        moving = at_px[length > _LEAST_PX]  # what is NaN is behind the camera
    if not len(moving):
        return layer
    # Only the part around what moves is worked on.
    low = np.maximum((moving.min(axis=0) - _MOST_PX) // _CELL_PX * _CELL_PX, 0).astype(int)
    high = np.minimum(moving.max(axis=0) + _MOST_PX, layer.shape[1::-1]).astype(int)
    if (high <= low).any():
        return layer
    inside = np.isfinite(length) & (at_px >= low).all(axis=1) & (at_px < high).all(axis=1)
    part = layer[low[1] : high[1], low[0] : high[0]]
    flow = _spread(at_px[inside] - low, way_px[inside], *part.shape[1::-1])
    here = _positions(*(-(-v // 256) * 256 for v in part.shape[1::-1]))[: part.shape[0], : part.shape[1]]
    taps = int(np.clip(np.ceil(np.nanpercentile(length, 97) / _STEP_PX), 2, 4))
    total: np.ndarray | None = None
    for done, share in enumerate((np.arange(taps) + 0.5) / taps - 0.5):
        there = cv2.scaleAdd(flow, -float(share), here)
        moved = cv2.remap(part, there, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        total = moved if total is None else cv2.addWeighted(total, done / (done + 1), moved, 1 / (done + 1), 0)
    out = layer.copy()
    out[low[1] : high[1], low[0] : high[0]] = total
    return out


def _spread(at_px: np.ndarray, way_px: np.ndarray, width: int, height: int) -> np.ndarray:
    """float32 (height, width, 2): the way known at some points, everywhere."""
    columns, rows = -(-width // _CELL_PX), -(-height // _CELL_PX)
    cell = (at_px[:, 1] // _CELL_PX).astype(int) * columns + (at_px[:, 0] // _CELL_PX).astype(int)
    sums = [np.bincount(cell, w, rows * columns) for w in (way_px[:, 0], way_px[:, 1], np.ones(len(cell)))]
    grid = cv2.GaussianBlur(np.stack(sums, axis=-1).reshape(rows, columns, 3).astype(np.float32), (0, 0), 0.9)
    flow = grid[..., :2] / np.maximum(grid[..., 2:], 1e-3)
    return cv2.resize(flow, (columns * _CELL_PX, rows * _CELL_PX), interpolation=cv2.INTER_LINEAR)[:height, :width]


@lru_cache(maxsize=32)
def _positions(width: int, height: int) -> np.ndarray:
    return np.stack(np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32)), axis=-1)
