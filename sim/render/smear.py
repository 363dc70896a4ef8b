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

    `at_px`: (P, 2) points of the layer that are known to move by `way_px` (P, 2) altogether; in between it is interpolated.
    """
    usable = np.isfinite(at_px).all(axis=1) & np.isfinite(way_px).all(axis=1)
    at_px, way_px = at_px[usable], way_px[usable]
    length = np.hypot(*way_px.T)
    if not len(length) or length.max() < _LEAST_PX:
        return layer
    height, width = layer.shape[:2]
    columns, rows = -(-width // _CELL_PX), -(-height // _CELL_PX)
    x = np.clip(at_px[:, 0] // _CELL_PX, 0, columns - 1).astype(int)
    y = np.clip(at_px[:, 1] // _CELL_PX, 0, rows - 1).astype(int)
    way_px = np.clip(way_px, -_MOST_PX, _MOST_PX)
    sums = [np.bincount(y * columns + x, w, rows * columns) for w in (way_px[:, 0], way_px[:, 1], np.ones(len(x)))]
    grid = cv2.GaussianBlur(np.stack(sums, axis=-1).reshape(rows, columns, 3).astype(np.float32), (0, 0), 0.8)
    flow = grid[..., :2] / np.maximum(grid[..., 2:], 1e-3)
    flow = cv2.resize(flow, (columns * _CELL_PX, rows * _CELL_PX), interpolation=cv2.INTER_LINEAR)[:height, :width]
    here = _positions(*(-(-v // 256) * 256 for v in (width, height)))[:height, :width]
    taps = int(np.clip(np.ceil(np.percentile(length, 90) / _STEP_PX), 2, 6))
    total: np.ndarray | None = None
    for done, share in enumerate((np.arange(taps) + 0.5) / taps - 0.5):
        there = cv2.scaleAdd(flow, -float(share), here)
        moved = cv2.remap(layer, there, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT)
        total = moved if total is None else cv2.addWeighted(total, done / (done + 1), moved, 1 / (done + 1), 0)
    return total


@lru_cache(maxsize=32)
def _positions(width: int, height: int) -> np.ndarray:
    return np.stack(np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32)), axis=-1)
