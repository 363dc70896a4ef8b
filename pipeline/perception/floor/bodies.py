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
    """Boxes of T bodies in C cameras, not cut at the picture's edge. Edges first and bodies last, so that loops run
    along bodies.

    `edges_px`: float64 (4, C, T). `jacobian`: float64 (4, 4, C, T), of each edge by (x, y, h, r). `depth_m`: float64
    (C, T) of the body's middle. `ahead`: bool (C, T), the whole body is before the camera.
    """

    edges_px: np.ndarray
    jacobian: np.ndarray
    depth_m: np.ndarray
    ahead: np.ndarray

    @property
    def tall_px(self) -> np.ndarray:
        """float64 (C, T)."""
        return np.maximum(self.edges_px[BOTTOM] - self.edges_px[TOP], 1.0)


def outlines(bank: CameraBank, state: np.ndarray) -> Outlines:
    """`state`: float64 (T, C, 4) or (T, 1, 4), (x, y, h, r) of each body at each camera's own instant."""
    x, y, h, r = np.ascontiguousarray(state.T)  # (C or 1, T) each
    c, t, n = len(bank.ids), len(state), len(PROFILE)
    eye_m, focal_px = bank.position_m[:, :, None], bank.focal_px[:, None]
    p = bank.projection.transpose(1, 2, 0)[..., None]  # (3, 4, C, 1)
    towards = eye_m[:, 0] - x, eye_m[:, 1] - y
    far = np.maximum(np.hypot(*towards), 1e-6)
    z = _SHARES[:, None, None] * h

    def image(row: int, z: np.ndarray) -> np.ndarray:
        # All discs are over one point: the image of (x, y, z) is that of (x, y, 0) and z times a column.
        return p[row, 2] * z + (p[row, 0] * x + p[row, 1] * y + p[row, 3])

    across, down, depth = image(0, z[:n]), image(1, z[n:]), image(2, z)
    for row, feet in ((1, down[-1]), (2, depth[-1])):
        feet += FOOT_M * (p[row, 0] * (towards[0] / far) + p[row, 1] * (towards[1] / far))
    safe = np.maximum(depth, NEAREST_M)
    u, v = across / safe[:n], down / safe[n:]
    half = PROFILE[:, 1, None, None] * (focal_px / safe[:n])  # times r
    reach = half * r
    value, near, share, jacobian = (np.zeros((*shape, c, t)) for shape in ((4,), (4,), (4,), (4, 4)))
    cell = np.arange(c * t).reshape(c, t)
    for edge, sign, disc in ((LEFT, -1, (u - reach).argmin(0)), (RIGHT, 1, (u + reach).argmax(0))):
        at = disc * (c * t) + cell
        value[edge], near[edge], share[edge] = u.ravel()[at], safe.ravel()[at], _SHARES[disc]
        jacobian[edge, 3] = sign * half.ravel()[at]
    for edge, end in ((TOP, 0), (BOTTOM, 1)):
        value[edge], near[edge], share[edge] = v[end], safe[n + end], _SHARES[n + end]
    for axis in range(3):
        jacobian[:, axis] = (p[_AXIS, axis] - value * p[2, axis]) / near
    jacobian[:, 2] *= share
    return Outlines(value + jacobian[:, 3] * r, jacobian, depth[2], (depth > NEAREST_M).all(0))


_SHARES = np.concatenate([PROFILE[:, 0], [1.0, 0.0]])
_AXIS = np.array([0, 1, 0, 1])
