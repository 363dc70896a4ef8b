# SPDX-License-Identifier: AGPL-3.0-or-later
"""Pinhole camera with Brown-Conrady distortion, as OpenCV defines it (Brown, 1971; OpenCV `calib3d`).

World: metres, right-handed, z up, floor at z = 0. Camera: x right, y down, z forward. Pixels: x right, y down.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np


@dataclass(frozen=True)
class Camera:
    """One calibrated camera.

    `matrix`: float64 (3, 3) intrinsics in pixels. `distortion`: float64 (5,) k1, k2, p1, p2, k3. `rotation`: float64
    (3, 3) world to camera. `position_m`: float64 (3,) the optical centre in the world.
    """

    camera_id: str
    size_px: tuple[int, int]
    matrix: np.ndarray
    distortion: np.ndarray
    rotation: np.ndarray
    position_m: np.ndarray

    @property
    def translation(self) -> np.ndarray:
        """float64 (3,): x_camera = rotation @ x_world + translation."""
        return -self.rotation @ self.position_m

    @cached_property
    def projection(self) -> np.ndarray:
        """float64 (3, 4): world metres to undistorted homogeneous pixels."""
        return self.matrix @ np.column_stack([self.rotation, self.translation])

    def depth_m(self, points_m: np.ndarray) -> np.ndarray:
        """Distance along the optical axis, shape (...,), of world points (..., 3); negative behind the camera."""
        return (np.asarray(points_m, float) - self.position_m) @ self.rotation[2]

    def project(self, points_m: np.ndarray) -> np.ndarray:
        """World points (..., 3) to distorted pixels (..., 2); NaN where a point is not in front of the camera."""
        points = np.asarray(points_m, float)
        x, y, z = self.rotation @ (points.reshape(-1, 3) - self.position_m).T
        shown = z > 1e-6
        if not shown.all():
            z = np.where(shown, z, 1.0)
        x, y = x / z, y / z
        k1, k2, p1, p2, k3 = self.distortion
        r2 = x * x + y * y
        radial = 1 + r2 * (k1 + r2 * (k2 + r2 * k3))
        xd = x * radial + 2 * p1 * x * y + p2 * (r2 + 2 * x * x)
        yd = y * radial + p1 * (r2 + 2 * y * y) + 2 * p2 * x * y
        # Far outside the picture the polynomial turns back and would fold points into view.
        shown &= r2 < self.valid_radius**2
        out = np.empty((len(x), 2))
        out[:, 0] = self.matrix[0, 0] * xd + self.matrix[0, 1] * yd + self.matrix[0, 2]
        out[:, 1] = self.matrix[1, 1] * yd + self.matrix[1, 2]
        if not shown.all():
            out[~shown] = np.nan
        return out.reshape(*points.shape[:-1], 2)

    @cached_property
    def valid_radius(self) -> float:
        """Largest normalised radius up to which the distortion polynomial still grows."""
        k1, k2, _, _, k3 = self.distortion
        r = np.linspace(0.01, 10, 2000)
        slope = 1 + 3 * k1 * r**2 + 5 * k2 * r**4 + 7 * k3 * r**6
        falling = np.flatnonzero(slope <= 0)
        return float(r[falling[0]]) if len(falling) else float("inf")

    def rays(self, pixels: np.ndarray) -> np.ndarray:
        """Distorted pixels (..., 2) to unit directions in the world (..., 3) from `position_m`."""
        pixels = np.asarray(pixels, float)
        flat = np.ascontiguousarray(pixels.reshape(-1, 1, 2))
        if not len(flat):
            return np.zeros((*pixels.shape[:-1], 3))
        # OpenCV's five iterations leave up to a pixel in the corners of strongly distorted lenses.
        criteria = (cv2.TERM_CRITERIA_COUNT | cv2.TERM_CRITERIA_EPS, 100, 1e-9)
        undistorted = cv2.undistortPoints(flat, self.matrix, self.distortion, criteria=criteria).reshape(-1, 2)
        directions = np.column_stack([undistorted, np.ones(len(undistorted))]) @ self.rotation
        directions /= np.linalg.norm(directions, axis=1, keepdims=True)
        return directions.reshape(*pixels.shape[:-1], 3)

    def to_plane(self, pixels: np.ndarray, point_m: np.ndarray, normal: np.ndarray) -> np.ndarray:
        """Where the rays of pixels (..., 2) meet a plane: world points (..., 3), NaN behind the camera or parallel."""
        rays = self.rays(pixels)
        along = rays @ np.asarray(normal, float)
        with np.errstate(divide="ignore", invalid="ignore"):
            distance = ((np.asarray(point_m, float) - self.position_m) @ normal) / along
        distance = np.where(np.isfinite(distance) & (distance > 0), distance, np.nan)
        return self.position_m + rays * distance[..., None]

    def to_floor(self, pixels: np.ndarray, height_m: float = 0.0) -> np.ndarray:
        """Pixels (..., 2) to floor coordinates (..., 2) in metres of what is seen `height_m` above the floor."""
        return self.to_plane(pixels, np.array([0, 0, height_m]), np.array([0.0, 0, 1]))[..., :2]

    @cached_property
    def floor_homography(self) -> np.ndarray:
        """float64 (3, 3): floor metres (x, y, 1) to undistorted homogeneous pixels (Hartley & Zisserman, ch. 8)."""
        return self.projection[:, [0, 1, 3]]

    def in_view(self, points_m: np.ndarray) -> np.ndarray:
        """bool (...,): does the point fall inside the picture? Occlusion is not considered."""
        pixels = self.project(points_m)
        width, height = self.size_px
        with np.errstate(invalid="ignore"):
            return (
                (pixels[..., 0] >= -0.5) & (pixels[..., 0] < width - 0.5)
                & (pixels[..., 1] >= -0.5) & (pixels[..., 1] < height - 0.5)
            )  # fmt: skip


def look_at(position_m: np.ndarray, target_m: np.ndarray, roll_rad: float = 0.0) -> np.ndarray:
    """Rotation (3, 3), world to camera, of a camera at `position_m` that looks at `target_m` with the floor down."""
    forward = np.asarray(target_m, float) - np.asarray(position_m, float)
    length = np.linalg.norm(forward)
    if length < 1e-9:
        raise ValueError(f"a camera cannot look at its own position {np.asarray(position_m).tolist()}")
    forward /= length
    right = np.cross(forward, [0.0, 0, 1])
    if np.linalg.norm(right) < 1e-6:  # straight down or up: the picture's top is then +y
        right = np.array([1.0, 0, 0])
    right /= np.linalg.norm(right)
    down = np.cross(forward, right)
    c, s = np.cos(roll_rad), np.sin(roll_rad)
    return np.stack([c * right + s * down, -s * right + c * down, forward])
