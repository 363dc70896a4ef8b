# SPDX-License-Identifier: AGPL-3.0-or-later
"""Soft shadows of people on the floor: their vertices, thrown down from the lamps and blurred by how high they were."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from sim.render.mesh import Light

_CELLS, _CELL_M = 40, 0.05
_LAMPS, _REACH_M = 2, 1.5
_POINTS = 1200


@dataclass(frozen=True)
class Shadow:
    """How much light is left on a grid of the floor.

    `kept`: uint8 (N, N), 255 = all; rows along y. `corner_m`: (2,) where its first cell's centre is. `outline_m`:
    points (P, 3) on the floor all over the part that is darkened.
    """

    kept: np.ndarray
    corner_m: np.ndarray
    cell_m: float
    outline_m: np.ndarray


def cast_shadow(points: np.ndarray, light: Light) -> Shadow | None:
    """The shadow of a body given by points (P, 3) of its surface, metres; None for what is small or high up."""
    heights = points[:, 2]
    low, high = float(heights.min()), float(heights.max())
    if low > 0.6 or high - low < 0.5:
        return None
    # A row a dimension: NumPy goes along long rows several times as fast as down short columns.
    floor = np.ascontiguousarray(points[:: max(1, len(points) // _POINTS)].T)
    floor, height = floor[:2], np.maximum(floor[2], 0)
    centre = floor.mean(axis=1)
    corner = (centre - _CELLS * _CELL_M / 2).astype(np.float32)
    lamps = np.asarray(light.lamps_m, np.float32).reshape(-1, 3)
    lamps = lamps[np.argsort(((lamps[:, :2] - centre) ** 2).sum(axis=1))[:_LAMPS]]
    # Close to the floor a shadow is sharp and lies below; from higher up each lamp throws its own, large and weak.
    thrown = [floor]
    for lamp in lamps:
        rise = np.minimum(height, 0.85 * lamp[2])
        way = (floor - lamp[:2, None]) * (rise / (lamp[2] - rise))
        thrown.append(floor + np.clip(way, -_REACH_M, _REACH_M))
    light_left = np.ones((_CELLS + 1, _CELLS + 1), np.float32)
    for low, high, blur_m, strength, ways in (
        (-1.0, 0.25, 0.05, 0.55, thrown[:1]),
        (0.1, 1.0, 0.14, 0.30, thrown[1:] or thrown),
        (0.7, 3.0, 0.28, 0.28, thrown[1:] or thrown),
    ):
        chosen = (height >= low) & (height < high)
        layer = sum(_covered(way[:, chosen], corner) for way in ways)
        layer = cv2.GaussianBlur(layer, (0, 0), blur_m / _CELL_M, borderType=cv2.BORDER_CONSTANT)
        peak = float(layer.max())
        if peak > 0:
            light_left *= 1 - strength / peak * layer
    dark = 1 - light_left
    fade = np.minimum(1, 4 * (1 - np.abs(np.linspace(-1, 1, _CELLS + 1))))
    dark *= fade[:, None] * fade[None]
    kept = np.round(255 * (1 - dark)).astype(np.uint8)
    used = [np.flatnonzero((kept < 254).any(axis=axis)) for axis in (0, 1)]
    if not len(used[0]):
        return None
    x, y = np.meshgrid(*[np.linspace(u[0] - 1, u[-1] + 1, 7) * _CELL_M for u in used])
    outline = np.stack([x + corner[0], y + corner[1], np.zeros_like(x)], axis=-1).reshape(-1, 3)
    return Shadow(kept, corner, _CELL_M, outline)


def _covered(floor: np.ndarray, corner: np.ndarray) -> np.ndarray:
    """float32 (N, N): 1 in the cells where there is a point, of points (2, P)."""
    x, y = np.rint((floor - corner[:, None]) * np.float32(1 / _CELL_M)).astype(np.int64)
    inside = (x >= 0) & (x <= _CELLS) & (y >= 0) & (y <= _CELLS)
    out = np.zeros((_CELLS + 1) ** 2, np.float32)
    out[(y * (_CELLS + 1) + x)[inside]] = 1
    return out.reshape(_CELLS + 1, _CELLS + 1)
