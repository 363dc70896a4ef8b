# SPDX-License-Identifier: AGPL-3.0-or-later
"""Soft shadows of people on the floor: their vertices, thrown down from the lamps and blurred by how high they were."""

from __future__ import annotations

import cv2
import numpy as np

from sim.render.mesh import Light, Mesh

_CELLS, _CELL_M = 40, 0.05
_LAMPS, _REACH_M = 3, 1.5


def shadow_mesh(mesh: Mesh, light: Light) -> tuple[Mesh, np.ndarray] | None:
    """A grid on the floor around somebody and how dark it is there, float32 (V,); None for what is small or high up."""
    low, high = mesh.vertices_m.min(axis=0), mesh.vertices_m.max(axis=0)
    if low[2] > 0.6 or high[2] - low[2] < 0.5:
        return None
    points = mesh.vertices_m[:: max(1, len(mesh.vertices_m) // 2500)]
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
    used = np.flatnonzero((dark > 0.004).any(axis=0)), np.flatnonzero((dark > 0.004).any(axis=1))
    if not len(used[0]):
        return None
    x0, x1, y0, y1 = used[0][0], used[0][-1], used[1][0], used[1][-1]
    x0, y0, x1, y1 = max(x0 - 1, 0), max(y0 - 1, 0), min(x1 + 1, _CELLS), min(y1 + 1, _CELLS)
    y, x = np.mgrid[y0 : y1 + 1, x0 : x1 + 1]
    vertices = np.column_stack([corner[0] + x.ravel() * _CELL_M, corner[1] + y.ravel() * _CELL_M, np.full(x.size, 0.003)])
    index = np.arange(x.size).reshape(x.shape)
    a, b, c, d = index[:-1, :-1].ravel(), index[:-1, 1:].ravel(), index[1:, 1:].ravel(), index[1:, :-1].ravel()
    faces = np.concatenate([np.column_stack([a, b, c]), np.column_stack([a, c, d])]).astype(np.int32)
    normals = np.tile(np.array([0, 0, 1], np.float32), (x.size, 1))
    grid = Mesh(vertices.astype(np.float32), normals, np.zeros((x.size, 3), np.float32), faces)
    return grid, dark[y0 : y1 + 1, x0 : x1 + 1].ravel()
