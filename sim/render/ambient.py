# SPDX-License-Identifier: AGPL-3.0-or-later
"""Light that does not come straight from a lamp: less of it reaches under a shelf board, and into creases."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from sim.render.mesh import Mesh

_CELL_M, _LAYER_M, _BORDER_M = 0.04, 0.15, 0.6
_SPREADS_M = (0.05, 0.15, 0.45)
_DARKEST = 0.38  # light that still comes in from the side
_SMALLEST_M2 = 0.01


class OpenSky:
    """How much of what is above a point is open, from the boards and tops that stand in a room.

    What faces upwards is painted into layers of a grid; the higher a layer is above a point, the wider it is blurred.
    """

    def __init__(self, meshes: Sequence[Mesh]) -> None:
        found = [t for t in map(_level_triangles, meshes) if len(t)]
        self._layers: list[tuple[float, list[np.ndarray]]] = []
        if not found:
            return
        triangles = np.concatenate(found)
        self._corner = triangles[..., :2].min(axis=(0, 1)) - _BORDER_M
        size = np.ceil((triangles[..., :2].max(axis=(0, 1)) + _BORDER_M - self._corner) / _CELL_M).astype(int) + 1
        heights = triangles[..., 2].mean(axis=1)
        layer = np.floor(heights / _LAYER_M).astype(int)
        for index in np.unique(layer):
            grid = np.zeros((size[1], size[0]), np.float32)
            cells = ((triangles[layer == index][..., :2] - self._corner) / _CELL_M * 16).round().astype(np.int32)
            for corners in cells:
                cv2.fillConvexPoly(grid, corners, 1.0, shift=4)
            blurred = [cv2.GaussianBlur(grid, (0, 0), s / _CELL_M, borderType=cv2.BORDER_REPLICATE) for s in _SPREADS_M]
            self._layers.append((float(heights[layer == index].mean()), blurred))

    def at(self, points_m: np.ndarray) -> np.ndarray:
        """float32 (N,) in 0..1 at points (N, 3)."""
        closed = np.ones(len(points_m), np.float32)
        if not self._layers:
            return closed
        cells = np.round((points_m[:, :2] - self._corner) / _CELL_M).astype(int)
        height, width = self._layers[0][1][0].shape
        inside = ((cells >= 0) & (cells < (width, height))).all(axis=1)
        flat = np.where(inside, cells[:, 1] * width + cells[:, 0], 0)
        for level, blurred in self._layers:
            above = level - points_m[:, 2]
            which = np.searchsorted(np.array([0.2, 0.7]), above)
            for k, grid in enumerate(blurred):
                hit = inside & (which == k) & (above > 0.02)
                if hit.any():
                    closed[hit] *= 1 - grid.reshape(-1)[flat[hit]]
        return _DARKEST + (1 - _DARKEST) * closed


def _level_triangles(mesh: Mesh) -> np.ndarray:
    """Corners (T, 3, 3) of what faces up well above the floor."""
    corners = mesh.vertices_m[mesh.faces]
    area = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])[:, 2] / 2
    up = mesh.normals[mesh.faces][..., 2].min(axis=1) > 0.9
    return corners[up & (area > _SMALLEST_M2) & (corners[..., 2].min(axis=1) > 0.05)]


def crease_shade(depth_m: np.ndarray, strength: float = 0.75) -> np.ndarray:
    """uint8 (H, W), 255 where light comes in freely: darker where surfaces on both sides come nearer.

    Screen-space ambient occlusion by pairs of opposite neighbours. Over a plane the inverse depth is linear, so a pair
    adds up to nothing there; what is much nearer belongs to something else and does not count.
    """
    height, width = depth_m.shape
    near = cv2.resize(1 / depth_m, (-(-width // 2), -(-height // 2)), interpolation=cv2.INTER_NEAREST)
    scale = 1 / (near * near)
    total = np.zeros_like(near)
    rows, columns = near.shape
    for radius, reach_m in ((2, 0.05), (5, 0.1), (12, 0.2)):
        padded = cv2.copyMakeBorder(near, radius, radius, radius, radius, cv2.BORDER_REPLICATE)
        for dx, dy in ((1, 0), (0, 1), (0.7, 0.7), (0.7, -0.7)):
            x, y = round(dx * radius), round(dy * radius)
            pair = 0.0
            for sign in (1, -1):
                other = padded[radius + sign * y :, radius + sign * x :][:rows, :columns]
                rise = (other - near) * scale / reach_m
                # Nearer by up to the reach counts, much nearer fades out, farther counts against it.
                pair = pair + np.clip(rise, -1, np.maximum(2 - rise, 0))
            total += np.clip(pair, 0, 1)
    shade = np.sqrt(1 - strength * np.minimum(cv2.blur(total, (3, 3)) / 8, 1))
    return cv2.resize(np.round(255 * shade).astype(np.uint8), (width, height), interpolation=cv2.INTER_LINEAR)
