# SPDX-License-Identifier: AGPL-3.0-or-later
"""Rooms that are no particular shop: walls, shelves full of things, clutter, lamps and a camera somewhere."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from calibration.camera import Camera, look_at
from sim.pictures.textures import random_atlas, random_colour, tile_rects
from sim.render.mesh import Light, Mesh, Scene

_FACES = np.array([[0, 1, 2], [0, 2, 3]])
# The six sides of a cube of half width 1: normal, and corners counter-clockwise from outside.
_NORMALS = np.array([[1, 0, 0], [-1, 0, 0], [0, 1, 0], [0, -1, 0], [0, 0, 1], [0, 0, -1]], float)
_RIGHTS = np.array([[0, 1, 0], [0, -1, 0], [-1, 0, 0], [1, 0, 0], [1, 0, 0], [1, 0, 0]], float)
_UPS = np.cross(_NORMALS, _RIGHTS)


@dataclass(frozen=True)
class Room:
    """`scene` and where people may stand: `size_m` (x, y), `blocked_m` (N, 4) rectangles x0, y0, x1, y1."""

    scene: Scene
    size_m: np.ndarray
    blocked_m: np.ndarray

    def is_free(self, xy_m: np.ndarray, margin_m: float = 0.2) -> bool:
        inside = (xy_m > margin_m).all() and (xy_m < self.size_m - margin_m).all()
        if not inside or not len(self.blocked_m):
            return bool(inside)
        low, high = self.blocked_m[:, :2] - margin_m, self.blocked_m[:, 2:] + margin_m
        return not ((xy_m > low) & (xy_m < high)).all(1).any()


def boxes(
    centres_m: np.ndarray,
    sizes_m: np.ndarray,
    colours: np.ndarray,
    rects: np.ndarray,
    yaw_rad: np.ndarray | float = 0.0,
) -> Mesh:
    """One mesh of N boxes. `centres_m`, `sizes_m`, `colours` (N, 3), `rects` (N, 4) into the atlas, `yaw_rad` (N,)."""
    n = len(centres_m)
    half = np.asarray(sizes_m)[:, None, None] / 2
    signs = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]], float)
    corners = (
        _NORMALS[None, :, None] + signs[None, None, :, :1] * _RIGHTS[None, :, None]
        + signs[None, None, :, 1:] * _UPS[None, :, None]
    ) * half  # fmt: skip
    normals = np.broadcast_to(_NORMALS[None, :, None], corners.shape)
    c, s = np.cos(np.broadcast_to(yaw_rad, n)), np.sin(np.broadcast_to(yaw_rad, n))
    turn = np.zeros((n, 3, 3))
    turn[:, 0, 0], turn[:, 0, 1], turn[:, 1, 0], turn[:, 1, 1], turn[:, 2, 2] = c, -s, s, c, 1
    vertices = np.einsum("nij,nfcj->nfci", turn, corners) + np.asarray(centres_m)[:, None, None]
    normals = np.einsum("nij,nfcj->nfci", turn, normals)
    t = (signs + 1) / 2
    uv = rects[:, None, None, :2] + t[None, None] * (rects[:, None, None, 2:] - rects[:, None, None, :2])
    uv = np.broadcast_to(uv, (n, 6, 4, 2))
    faces = (np.arange(n * 6)[:, None, None] * 4 + _FACES).reshape(-1, 3)
    return Mesh(
        vertices.reshape(-1, 3).astype(np.float32),
        normals.reshape(-1, 3).astype(np.float32),
        np.repeat(np.asarray(colours), 24, 0).astype(np.float32),
        faces.astype(np.int32),
        uv.reshape(-1, 2).astype(np.float32),
    )


def random_tints(rng: np.random.Generator, count: int) -> np.ndarray:
    """float (count, 3): what textures are multiplied with, mostly bright."""
    tint = np.stack([random_colour(rng) for _ in range(count)]) / 255
    return np.where(rng.random((count, 1)) < 0.4, 1.0, 0.35 + 0.65 * tint)


def random_room(rng: np.random.Generator) -> Room:
    """A room of 2.5 to 9 m with shelves along walls and across, filled to any degree."""
    size = rng.uniform(2.5, 9.0, 2)
    ceiling = rng.uniform(2.4, 3.6)
    parts = [_shell(rng, size, ceiling)]
    blocked: list[np.ndarray] = []
    for _ in range(rng.integers(0, 9)):
        _add_shelf(rng, size, ceiling, parts, blocked)
    clutter = int(rng.integers(0, 12))
    if clutter:
        height = rng.uniform(0.1, 1.6, clutter) ** 1.3
        sizes = np.column_stack([rng.uniform(0.08, 0.9, (clutter, 2)), height])
        centres = np.column_stack([rng.uniform(0.2, 1, (clutter, 2)) * size, height / 2])
        rects, tints = tile_rects(rng, clutter), random_tints(rng, clutter)
        parts.append(boxes(centres, sizes, tints, rects, rng.uniform(0, np.pi, clutter)))
        reach = sizes[:, :2].max(1, keepdims=True) / 2
        blocked += list(np.concatenate([centres[:, :2] - reach, centres[:, :2] + reach], 1))
    count = int(rng.integers(1, 7))
    lamps = np.column_stack([rng.uniform(0.05, 0.95, (count, 2)) * size, np.full(count, ceiling - 0.05)])
    tint = np.array([1.0, 1.0, 1.0]) + rng.normal(0, 0.05, 3)
    light = Light(float(rng.uniform(0.4, 1.0)), float(rng.uniform(0.15, 0.9)), tuple(map(float, tint)), lamps)
    return Room(Scene(tuple(parts), random_atlas(rng), light), size, np.array(blocked).reshape(-1, 4))


def random_camera(rng: np.random.Generator, room: Room, size_px: tuple[int, int] = (640, 360)) -> Camera:
    """A camera near a wall or under the ceiling, looking down into the room at 5 to 65 degrees."""
    width, height = size_px
    position = np.append(rng.uniform(0.06, 0.94, 2) * room.size_m, rng.uniform(2.1, 3.3))
    side = rng.integers(0, 2)
    if rng.random() < 0.8:
        position[side] = room.size_m[side] * rng.choice([0.03, 0.97])
    target = rng.uniform(0.15, 0.85, 2) * room.size_m
    heading = target - position[:2]
    heading /= max(np.linalg.norm(heading), 1e-6)
    tilt = np.deg2rad(rng.uniform(5, 65))
    look = position + np.array([*(heading * np.cos(tilt)), -np.sin(tilt)])
    rotation = look_at(position, look, np.deg2rad(rng.normal(0, 7)))
    focal = width / 2 / np.tan(np.deg2rad(rng.uniform(50, 100)) / 2)
    matrix = np.array([[focal, 0, (width - 1) / 2], [0, focal, (height - 1) / 2], [0, 0, 1]])
    k1 = rng.uniform(-0.28, 0.03)
    distortion = np.array([k1, max(-k1, 0) * rng.uniform(0.1, 0.3), 0, 0, 0])
    return Camera("camera", size_px, matrix, distortion, rotation, position)


def _shell(rng: np.random.Generator, size: np.ndarray, ceiling: float) -> Mesh:
    """Floor, ceiling and four walls as slabs, in panels with a texture each."""
    centres, sizes = [], []
    t = 0.05
    panels = rng.integers(1, 4, 2)
    for i in range(panels[0]):
        for j in range(panels[1]):
            step = size / panels
            centres.append([*((np.array([i, j]) + 0.5) * step), -t / 2])
            sizes.append([*step, t])
    floor = len(centres)
    centres.append([*(size / 2), ceiling + t / 2])
    sizes.append([*size, t])
    for axis in (0, 1):
        for at in (-t / 2, size[axis] + t / 2):
            count = int(rng.integers(1, 5))
            for k in range(count):
                centre, extent = np.zeros(3), np.zeros(3)
                centre[axis], extent[axis] = at, t
                extent[1 - axis] = size[1 - axis] / count
                centre[1 - axis] = (k + 0.5) * extent[1 - axis]
                centre[2], extent[2] = ceiling / 2, ceiling
                centres.append(centre)
                sizes.append(extent)
    rects, tints = tile_rects(rng, len(centres)), random_tints(rng, len(centres))
    rects[1:floor], tints[1:floor] = rects[0], tints[0]
    return boxes(np.array(centres), np.array(sizes), tints, rects)


def _add_shelf(
    rng: np.random.Generator, size: np.ndarray, ceiling: float, parts: list[Mesh], blocked: list[np.ndarray]
) -> None:
    width, depth = rng.uniform(0.7, 2.4), rng.uniform(0.25, 0.6)
    height = min(rng.uniform(0.9, 2.2), ceiling - 0.1)
    turned = rng.random() < 0.5
    extent = np.array([depth, width] if turned else [width, depth])
    if (extent + 0.2 > size).any():
        return
    at = rng.uniform(extent / 2, size - extent / 2)
    if rng.random() < 0.7:  # along a wall
        axis = 0 if turned else 1
        at[axis] = extent[axis] / 2 if rng.random() < 0.5 else size[axis] - extent[axis] / 2
    levels = np.linspace(rng.uniform(0.05, 0.3), height, rng.integers(3, 8))
    thick = 0.02
    boards = [([0.0, 0.0, z], [width, depth, thick]) for z in levels]
    boards += [([s * width / 2, 0.0, height / 2], [thick, depth, height]) for s in (-1, 1)]
    if rng.random() < 0.6:
        boards.append(([0.0, 0.0, height / 2], [width, 0.02, height]))
    frame = len(boards)
    fill = rng.uniform(0, 1)
    gap = np.diff(levels).min() if len(levels) > 1 else 0.3
    for z in levels[:-1]:
        for side in (-1, 1):
            x = -width / 2 + 0.03
            while x < width / 2 - 0.05:
                w = rng.uniform(0.05, 0.16)
                h = min(rng.uniform(0.06, 0.3), gap - 0.04)
                if rng.random() < fill and x + w < width / 2 and h > 0.03:
                    y = side * (depth / 2 - 0.03 - rng.uniform(0, 0.1) - w * 0.3)
                    boards.append(([x + w / 2, y, z + thick / 2 + h / 2], [w * 0.92, w * 0.6, h]))
                x += w
    local = np.array([c for c, _ in boards])
    extents = np.array([e for _, e in boards])
    if turned:
        local, extents = local[:, [1, 0, 2]], extents[:, [1, 0, 2]]
    rects, tints = tile_rects(rng, len(boards)), random_tints(rng, len(boards))
    rects[:frame], tints[:frame] = rects[0], tints[0]
    parts.append(boxes(local + [*at, 0.0], extents, tints, rects))
    blocked.append(np.concatenate([at - extent / 2, at + extent / 2]))
