# SPDX-License-Identifier: AGPL-3.0-or-later
"""Soft shadows of people on the floor: their vertices, thrown down from the lamps and blurred by how high they were."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from sim.render.mesh import Light

_CELLS, _CELL_M = 40, 0.05
_LAMPS, _REACH_M = 3, 1.5


@dataclass(frozen=True)
class Shadow:
    """How much light is left on a grid of the floor.

    `kept`: uint8 (N, N), 255 = all; rows along y. `corner_m`: (2,) where its first cell's centre is. `outline_m`: points
    (P, 3) on the floor all over the part that is darkened.
    """

    kept: np.ndarray
    corner_m: np.ndarray
    cell_m: float
    outline_m: np.ndarray


def cast_shadow(points: np.ndarray, light: Light) -> Shadow | None:
    """The shadow of a body given by points (P, 3) of its surface, metres; None for what is small or high up."""
    height = np.clip(points[:, 2], 0, None)
    if height.min() > 0.6 or np.ptp(height) < 0.5:
        return None
    points = points[:: max(1, len(points) // 2000)]
    height = np.clip(points[:, 2], 0, None)
    centre = points[:, :2].mean(axis=0)
    lamps = np.asarray(light.lamps_m, np.float32).reshape(-1, 3)
    near = lamps[np.argsort(((lamps[:, :2] - centre) ** 2).sum(axis=1))[:_LAMPS]]
    dark = np.zeros((_CELLS + 1, _CELLS + 1), np.float32)
    corner = centre - _CELLS * _CELL_M / 2
    # Close to the floor a shadow is sharp and lies below; from higher up each lamp throws its own, large and weak.
    for upto, blur_m, strength in ((0.25, 0.05, 0.55), (1.0, 0.14, 0.30), (3.0, 0.28, 0.28)):
        share = points[(height < upto) & (height >= {0.25: -1, 1.0: 0.1, 3.0: 0.7}[upto])]
        if not len(share):
            continue
        layer = np.zeros_like(dark)
        for lamp in near if upto > 0.3 and len(near) else [None]:
            xy = share[:, :2]
            if lamp is not None:
                rise = np.clip(share[:, 2:], 0, lamp[2] * 0.85)
                xy = xy + np.clip((xy - lamp[:2]) * (rise / (lamp[2] - rise)), -_REACH_M, _REACH_M)
            cell = np.round((xy - corner) / _CELL_M).astype(int)
            cell = cell[((cell >= 0) & (cell <= _CELLS)).all(axis=1)]
            hits = np.bincount(cell[:, 1] * (_CELLS + 1) + cell[:, 0], minlength=dark.size).reshape(dark.shape)
            layer += np.minimum(hits, 1).astype(np.float32)
        layer = cv2.GaussianBlur(layer, (0, 0), blur_m / _CELL_M, borderType=cv2.BORDER_CONSTANT)
        peak = layer.max()
        if peak > 0:
            dark = 1 - (1 - dark) * (1 - strength * layer / peak)
    fade = np.minimum(1, 4 * (1 - np.abs(np.linspace(-1, 1, _CELLS + 1))))
    dark *= fade[:, None] * fade[None]
    kept = np.round(255 * (1 - dark)).astype(np.uint8)
    used = [np.flatnonzero((kept < 254).any(axis=axis)) for axis in (0, 1)]
    if not len(used[0]):
        return None
    x, y = np.meshgrid(*[np.linspace(u[0] - 1, u[-1] + 1, 7) * _CELL_M for u in used])
    outline = np.stack([x + corner[0], y + corner[1], np.zeros_like(x)], axis=-1).reshape(-1, 3)
    return Shadow(kept, corner.astype(np.float32), _CELL_M, outline)
