# SPDX-License-Identifier: AGPL-3.0-or-later
"""A standing body of some height and width, and the box that each camera would draw around it.

The body is a profile of horizontal discs over one point of the floor: head, shoulders, hips, feet. A camera's box is
the least upright rectangle around the discs' images, so it slants with a wide lens as real boxes do, and each of its
edges has a derivative by (x, y, height, half width). All pictures are undistorted ones: the projection is linear.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from calibration.camera import Camera

X, Y, H, R, VX, VY = range(6)
"""Places in a state: metres and metres a second; R is half the width over the shoulders, arms included."""
LEFT, TOP, RIGHT, BOTTOM = range(4)

PROFILE = np.array([(0.94, 0.35), (0.80, 0.90), (0.50, 1.00), (0.04, 0.75)])
"""Share of the height, half width as a share of R: head, shoulders, hips with hands, feet in a step."""
FOOT_M = 0.10
"""Feet reach so far beyond the middle of the body towards the camera."""
NEAREST_M = 0.3


@dataclass(frozen=True)
class CameraBank:
    """Cameras as arrays. `projection`: float64 (C, 3, 4), undistorted. `bounds_px`: float64 (C, 4), left, top, right
    and bottom end of the picture once undistorted. `position_m`: float64 (C, 3). `focal_px`: float64 (C,)."""

    ids: tuple[str, ...]
    projection: np.ndarray
    bounds_px: np.ndarray
    position_m: np.ndarray
    focal_px: np.ndarray

    @classmethod
    def of(cls, cameras: dict[str, Camera]) -> CameraBank:
        ids = tuple(sorted(cameras))
        bank = [cameras[c] for c in ids]
        return cls(
            ids,
            np.stack([c.projection for c in bank]),
            np.stack([undistorted_box(c, np.array([[-0.5, -0.5, c.size_px[0] - 0.5, c.size_px[1] - 0.5]]))[0]
                      for c in bank]),
            np.stack([c.position_m for c in bank]),
            np.array([(c.matrix[0, 0] + c.matrix[1, 1]) / 2 for c in bank]),
        )  # fmt: skip

    def only(self, cameras: np.ndarray) -> CameraBank:
        """Some of the cameras, by index."""
        ids = tuple(self.ids[c] for c in cameras)
        return CameraBank(
            ids, self.projection[cameras], self.bounds_px[cameras], self.position_m[cameras], self.focal_px[cameras]
        )  # fmt: skip


def undistorted_box(camera: Camera, box_xyxy_px: np.ndarray) -> np.ndarray:
    """Boxes (N, 4) as they would be without the lens' distortion: each edge by its middle."""
    box = np.asarray(box_xyxy_px, float)
    if not camera.distortion.any() or not len(box):
        return box.copy()
    middle = (box[:, :2] + box[:, 2:]) / 2
    edges = np.stack(
        [
            np.column_stack([box[:, 0], middle[:, 1]]), np.column_stack([middle[:, 0], box[:, 1]]),
            np.column_stack([box[:, 2], middle[:, 1]]), np.column_stack([middle[:, 0], box[:, 3]]),
        ],
        axis=1,
    )  # fmt: skip
    rays = camera.rays(edges) @ camera.rotation.T
    uv = rays[..., :2] / rays[..., 2:]
    u = camera.matrix[0, 0] * uv[..., 0] + camera.matrix[0, 1] * uv[..., 1] + camera.matrix[0, 2]
    v = camera.matrix[1, 1] * uv[..., 1] + camera.matrix[1, 2]
    return np.column_stack([u[:, LEFT], v[:, TOP], u[:, RIGHT], v[:, BOTTOM]])


@dataclass(frozen=True)
class Outlines:
    """Boxes of T bodies in C cameras, not cut at the picture's edge.

    `edges_px`: float64 (T, C, 4). `jacobian`: float64 (T, C, 4, 4) by (x, y, h, r). `depth_m`: float64 (T, C) of the
    body's middle. `ahead`: bool (T, C), the whole body is before the camera.
    """

    edges_px: np.ndarray
    jacobian: np.ndarray
    depth_m: np.ndarray
    ahead: np.ndarray

    @property
    def tall_px(self) -> np.ndarray:
        """float64 (T, C)."""
        return np.maximum(self.edges_px[..., BOTTOM] - self.edges_px[..., TOP], 1.0)


def outlines(bank: CameraBank, state: np.ndarray) -> Outlines:
    """`state`: float64 (T, C, 4) or (T, 1, 4), (x, y, h, r) of each body at each camera's own instant."""
    t, c = len(state), len(bank.ids)
    state = np.broadcast_to(state, (t, c, 4))
    place, h, r = state[..., :2], state[..., 2], state[..., 3]
    towards = bank.position_m[None, :, :2] - place
    towards /= np.maximum(np.hypot(towards[..., 0], towards[..., 1]), 1e-6)[..., None]
    p = bank.projection
    # All discs are over one point: the image of (x, y, z) is that of (x, y, 0) and z times a column.
    ground = [
        p[:, i, 0] * place[..., 0] + p[:, i, 1] * place[..., 1] + p[:, i, 3] for i in range(3)
    ]  # fmt: skip
    n = len(PROFILE)
    shares = _SHARES
    image = [g[..., None] + p[:, i, 2][:, None] * (shares * h[..., None]) for i, g in enumerate(ground)]
    for i in range(3):
        image[i][..., -1] += FOOT_M * (p[:, i, 0] * towards[..., 0] + p[:, i, 1] * towards[..., 1])
    depth = image[2]
    safe = np.maximum(depth, NEAREST_M)
    u, v = image[0] / safe, image[1] / safe
    half = PROFILE[:, 1] * (bank.focal_px[:, None] / safe[..., :n])  # times r
    reach = half * r[..., None]
    rows = np.empty((t, c, 4), int)
    rows[..., LEFT] = (u[..., :n] - reach).argmin(-1)
    rows[..., RIGHT] = (u[..., :n] + reach).argmax(-1)
    rows[..., TOP], rows[..., BOTTOM] = n, n + 1
    sides, ends = rows[..., ::2], [n, n + 1]
    value, near = np.empty((t, c, 4)), np.empty((t, c, 4))
    value[..., ::2], value[..., 1::2] = np.take_along_axis(u, sides, -1), v[..., ends]
    near[..., ::2], near[..., 1::2] = np.take_along_axis(safe, sides, -1), safe[..., ends]
    gradient = p[:, _AXIS, :3] - value[..., None] * p[:, None, 2, :3]
    gradient /= near[..., None]
    jacobian = np.zeros((t, c, 4, 4))
    jacobian[..., :2] = gradient[..., :2]
    jacobian[..., 2] = gradient[..., 2] * shares[rows]
    across = np.take_along_axis(half, sides, -1)
    jacobian[..., LEFT, 3], jacobian[..., RIGHT, 3] = -across[..., 0], across[..., 1]
    edges = value + jacobian[..., 3] * r[..., None]
    return Outlines(edges, jacobian, depth[..., 2], (depth > NEAREST_M).all(-1))


_SHARES = np.concatenate([PROFILE[:, 0], [1.0, 0.0]])
_AXIS = np.array([0, 1, 0, 1])
