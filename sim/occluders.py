# SPDX-License-Identifier: AGPL-3.0-or-later
"""What of a shop stands between a camera and people: shelves, counters, posts and the wall around the door.

Worked out from the layout, so that it is the same with every renderer. Goods are left out: they hide a hand that is
deep in a shelf, hardly anything else of a person.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from shapely.geometry import LineString, Polygon

from calibration.camera import Camera
from calibration.layout import Gondola, StoreLayout

_BOARD_M = 0.022
_DOOR_M = 2.15
_COUNTER_M, _POST_M = 0.9, 1.0
_WALL_M = 0.05


def layout_depth_m(camera: Camera, layout: StoreLayout, cell_px: int = 4) -> np.ndarray:
    """float32 (ceil(H / cell), ceil(W / cell)): distance along the optical axis of the nearest occluder in the middle
    of each cell, infinite where there is none."""
    width, height = camera.size_px
    xs = np.arange(-(-width // cell_px)) * cell_px + (cell_px - 1) / 2
    ys = np.arange(-(-height // cell_px)) * cell_px + (cell_px - 1) / 2
    rays = camera.rays(np.stack(np.meshgrid(xs, ys), -1)).reshape(-1, 3)
    nearest = np.full(len(rays), np.inf)
    for box in occluder_boxes(layout):
        np.minimum(nearest, _hit(camera.position_m, rays, *box), out=nearest)
    return (nearest * (rays @ camera.rotation[2])).reshape(len(ys), len(xs)).astype(np.float32)


def occluder_boxes(layout: StoreLayout) -> list[tuple[np.ndarray, np.ndarray]]:
    """Boxes as corner (3,) and orthogonal edges (3, 3), a row each."""
    boxes = [box for gondola in layout.gondolas for box in _gondola(gondola)]
    for corners in layout.obstacles_m:
        x0, y0, x1, y1 = Polygon(corners).bounds
        tall = _POST_M if max(x1 - x0, y1 - y0) < 0.3 else _COUNTER_M
        boxes.append((np.array([x0, y0, 0.0]), np.diag([x1 - x0, y1 - y0, tall])))
    return boxes + _door_walls(layout)


def _gondola(gondola: Gondola) -> list[tuple[np.ndarray, np.ndarray]]:
    right, inwards, up = gondola.right, -gondola.normal, np.array([0.0, 0.0, 1.0])
    shelf_depth = max(s.depth_m for s in gondola.shelves)
    back = min(shelf_depth + 0.002, gondola.depth_m - 0.01)
    wide = gondola.width_m * right
    boxes = [(gondola.origin + back * inwards, (wide, (gondola.depth_m - back) * inwards, gondola.height_m * up))]
    boxes.append((gondola.origin + 0.06 * inwards, (wide, (gondola.depth_m - 0.06) * inwards, 0.12 * up)))
    for shelf in gondola.shelves:
        corner = gondola.origin + (shelf.height_m - _BOARD_M) * up
        boxes.append((corner, (wide, shelf.depth_m * inwards, _BOARD_M * up)))
    return [(corner, np.array(edges)) for corner, edges in boxes]


def _door_walls(layout: StoreLayout) -> list[tuple[np.ndarray, np.ndarray]]:
    """The edges of the floor behind the gates, each with an opening as wide as the gate's line."""
    corners = np.array(layout.floor_m, float)
    up = np.array([0.0, 0.0, 1.0])
    boxes = []
    for a, b in pairwise([*corners, corners[0]]):
        for gate in layout.gates:
            inward = np.array(gate.inward, float) / np.linalg.norm(gate.inward)
            middle = np.mean(np.array(gate.line_m, float), axis=0)
            if not LineString([middle, middle - 3.0 * inward]).intersects(LineString([a, b])):
                continue
            length = float(np.linalg.norm(b - a))
            along = (b - a) / length
            if abs(along @ inward) > 0.7:
                continue
            start, end = sorted(float((np.array(p) - a) @ along) for p in gate.line_m)
            outwards = -_WALL_M * (inward - (inward @ along) * along)
            for left, right, low in ((0.0, start, 0.0), (end, length, 0.0), (start, end, _DOOR_M)):
                if right > left:
                    foot = np.array([*(a + along * left), low])
                    edges = [[*(along * (right - left)), 0.0], [*outwards, 0.0], (layout.ceiling_m - low) * up]
                    boxes.append((foot, np.array(edges)))
    return boxes


def _hit(origin: np.ndarray, rays: np.ndarray, corner: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """Distance (N,) along unit rays (N, 3) to a box, infinite where they miss (slabs; Kay and Kajiya, 1986)."""
    near, far = np.zeros(len(rays)), np.full(len(rays), np.inf)
    for edge in edges:
        length = np.linalg.norm(edge)
        axis = edge / length
        start, speed = (origin - corner) @ axis, rays @ axis
        with np.errstate(divide="ignore", invalid="ignore"):
            a, b = -start / speed, (length - start) / speed
        np.maximum(near, np.fmin(a, b), out=near)
        np.minimum(far, np.fmax(a, b), out=far)
    return np.where((near <= far) & (near > 0), near, np.inf)
