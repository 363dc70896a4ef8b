# SPDX-License-Identifier: AGPL-3.0-or-later
"""Where people are in a picture: boxes, key points and how much of them is to be seen.

Worked out from the bodies' geometry, what of the layout stands before them and small depth maps of the bodies
themselves; no detector is asked.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from calibration.camera import Camera
from sim.people.state import PosedBody
from sim.render.rects import extent

_CELL_PX = 8
_VERTEX_GAP_M = 0.045
_STATIC_SLACK_M = 0.02
_OTHER_SLACK_M = 0.05
# How deep a key point may lie under the body's own surface and count as seen: eyes and nose are on it, hips far in.
_OWN_SLACK_M = np.array([0.06] * 3 + [0.09] * 2 + [0.13] * 2 + [0.09] * 4 + [0.20] * 2 + [0.12] * 4)


@dataclass(frozen=True)
class VisibleBoxes:
    """People who are in a picture at all, N of them.

    `index`: int (N,), which of the bodies. `xyxy_px`: float32 (N, 4), the box of the visible part; of the whole body
    where nothing is visible. `full_xyxy_px`: float32 (N, 4), of the whole body, both clipped to the picture.
    `visible`: float32 (N,), share of the surface facing the camera that is neither hidden nor outside the picture.
    `keypoints_px`: float32 (N, 17, 2), 0 where outside. `keypoints_visible`: uint8 (N, 17): 0 outside the picture,
    1 hidden, 2 visible.
    """

    index: np.ndarray
    xyxy_px: np.ndarray
    full_xyxy_px: np.ndarray
    visible: np.ndarray
    keypoints_px: np.ndarray
    keypoints_visible: np.ndarray


def visible_boxes(
    camera: Camera,
    bodies: Sequence[PosedBody],
    static_depth_m: np.ndarray | None = None,
    *,
    areas: Sequence[np.ndarray] | None = None,
    every: int = 2,
) -> VisibleBoxes:
    """Boxes and key points of bodies in a camera's picture.

    Args:
        static_depth_m: float, distance along the optical axis of what stands still, of the picture's size or a whole
            fraction of it (`sim.occluders.layout_depth_m`); None is an empty room. areas: `vertex_areas` of each body
            in any pose, worked out here if not given. every: only each so many-th vertex is looked at.
    """
    seen = [_Seen.of(camera, b, every, None if areas is None else areas[i]) for i, b in enumerate(bodies)]
    cell_px = 1 if static_depth_m is None else round(camera.size_px[0] / static_depth_m.shape[1])
    maps = [s.depth_map(camera) if s is not None else None for s in seen]
    index, boxes, full_boxes, visible, points, flags = [], [], [], [], [], []
    for i, mine in enumerate(seen):
        if mine is None:
            continue
        others = [m for j, m in enumerate(maps) if j != i and m is not None]
        shown = mine.inside & ~_hidden(mine.pixels, mine.depth_m, mine.inside, static_depth_m, others, cell_px)
        facing = np.maximum(mine.facing, 0.0) * mine.area
        share = float(facing[shown].sum() / max(facing.sum(), 1e-12))
        full = _box(mine.pixels[mine.inside], camera.size_px)
        enough = (shown & (mine.facing > 0)).sum() >= 3
        box = _box(mine.pixels[shown], camera.size_px) if enough else full
        keypoints, flag = _keypoints(camera, bodies[i].keypoints_m, static_depth_m, others, maps[i], cell_px)
        index.append(i)
        boxes.append(box)
        full_boxes.append(full)
        visible.append(share if enough else 0.0)
        points.append(keypoints)
        flags.append(flag)
    return VisibleBoxes(
        np.array(index, int),
        np.array(boxes, np.float32).reshape(-1, 4),
        np.array(full_boxes, np.float32).reshape(-1, 4),
        np.array(visible, np.float32),
        np.array(points, np.float32).reshape(-1, 17, 2),
        np.array(flags, np.uint8).reshape(-1, 17),
    )


@dataclass(frozen=True)
class _Seen:
    """A body's vertices (V,) as a camera sees them.

    `facing`: cosine towards the camera. `area`: surface that each stands for.
    """

    pixels: np.ndarray
    depth_m: np.ndarray
    inside: np.ndarray
    facing: np.ndarray
    area: np.ndarray

    @classmethod
    def of(cls, camera: Camera, body: PosedBody, every: int, area: np.ndarray | None) -> _Seen | None:
        """None for a body that is not in the picture at all."""
        vertices = body.vertices_m[::every]
        low, high = extent(vertices)
        corners = np.stack(np.meshgrid(*zip(low, high, strict=True)), -1).reshape(-1, 3)
        if (camera.depth_m(corners) <= 0).all():
            return None
        pixels = camera.project(vertices)
        width, height = camera.size_px
        with np.errstate(invalid="ignore"):
            inside = (
                (pixels[:, 0] >= 0) & (pixels[:, 0] < width - 0.5) & (pixels[:, 1] >= 0) & (pixels[:, 1] < height - 0.5)
            )  # fmt: skip
        if inside.sum() < 3:
            return None
        towards = camera.position_m.astype(np.float32) - vertices
        away = np.sqrt(np.einsum("vi,vi->v", towards, towards))
        facing = np.einsum("vi,vi->v", body.normals[::every], towards) / away
        area = vertex_areas(body) if area is None else area
        return cls(pixels, camera.depth_m(vertices), inside, facing, area[::every])

    def depth_map(self, camera: Camera) -> np.ndarray:
        """float32 (H / 8, W / 8): nearest depth of the body in each cell, infinite where it is not."""
        width, height = camera.size_px
        cells = np.full((height // _CELL_PX + 1, width // _CELL_PX + 1), np.inf, np.float32)
        # Edges of an occluder hide nothing by themselves: only surface that faces the camera counts.
        use = self.inside & (self.facing > 0.15)
        if not use.any():
            return cells
        x, y = (self.pixels[use] / _CELL_PX).astype(int).T
        np.minimum.at(cells, (y, x), self.depth_m[use].astype(np.float32))
        # Near bodies have more cells than vertices: close the holes between these.
        gap = int(np.ceil(_VERTEX_GAP_M * camera.matrix[0, 0] / self.depth_m[use].min() / _CELL_PX))
        kernel = np.ones((gap + 1, gap + 1), np.uint8)
        return cv2.dilate(cv2.erode(cells, kernel), kernel)


def _hidden(pixels, depth_m, inside, static_depth_m, others, cell_px) -> np.ndarray:
    """bool (V,): something else is before a point. Only meaningful where `inside`."""
    hidden = np.zeros(len(pixels), bool)
    at = pixels[inside]
    depth_m = depth_m[inside]
    behind = np.zeros(len(at), bool)
    if static_depth_m is not None:
        x, y = (np.rint(at).astype(int) // cell_px).T
        behind = depth_m > static_depth_m[y, x] + _STATIC_SLACK_M
    x, y = (at / _CELL_PX).astype(int).T
    for cells in others:
        behind |= depth_m > cells[y, x] + _OTHER_SLACK_M
    hidden[inside] = behind
    return hidden


def _keypoints(camera, points_m, static_depth_m, others, own, cell_px) -> tuple[np.ndarray, np.ndarray]:
    """Pixels (17, 2) and flags (17,) of a body's key points; `own` is the body's depth map."""
    pixels, depth = camera.project(points_m), camera.depth_m(points_m)
    width, height = camera.size_px
    with np.errstate(invalid="ignore"):
        inside = (
            (pixels[:, 0] >= 0) & (pixels[:, 0] < width - 0.5) & (pixels[:, 1] >= 0) & (pixels[:, 1] < height - 0.5)
        )
    # Key points lie inside the body, so what stands still hides them only where it hides the skin before them too.
    hidden = _hidden(pixels, depth - 0.5 * _OWN_SLACK_M, inside, static_depth_m, others, cell_px)
    cells = (pixels[inside] / _CELL_PX).astype(int)
    hidden[inside] |= depth[inside] > own[cells[:, 1], cells[:, 0]] + _OWN_SLACK_M[inside]
    flags = np.where(inside, np.where(hidden, 1, 2), 0)
    return np.where(inside[:, None], pixels, 0.0), flags


def _box(pixels: np.ndarray, size_px: tuple[int, int]) -> np.ndarray:
    """x1, y1, x2, y2 around pixels (V, 2), within the picture."""
    low, high = extent(pixels)
    return np.array([*np.maximum(low, 0), *np.minimum(high, np.array(size_px) - 1.0)])


def vertex_areas(body: PosedBody) -> np.ndarray:
    """(V,): a third of the area of the triangles around each vertex."""
    a, b, c = (body.vertices_m[body.faces[:, i]] for i in range(3))
    area = np.linalg.norm(np.cross(b - a, c - a), axis=1) / 6
    return np.bincount(body.faces.ravel(), np.repeat(area, 3), len(body.vertices_m))
