# SPDX-License-Identifier: AGPL-3.0-or-later
"""From a person in one picture to where they stand: a person as an upright pole of unknown place and height.

A body part seen in direction (u, v) of a camera with rotation R and centre C, at the share f of the height h of a
person at (x, y), satisfies two linear equations in theta = (x, y, h),

    (R1 - u R3) . ((x, y, f h) - C) = 0      (R2 - v R3) . ((x, y, f h) - C) = 0

(the direct linear transform of Hartley & Zisserman, 12.2, with the point on a vertical line). Weighted by what is
known of detector and body they give an information matrix and vector about theta: feet, hips, shoulders and head each
add what they know, in one camera or in many; hidden feet just add nothing. Heights as shares of stature: Drillis &
Contini, Body Segment Parameters (1966).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from calibration.camera import Camera
from pipeline.messages import Detections

HEIGHT_M = 1.66
"""Mean stature of adults of both sexes, for somebody who was not seen in full yet."""
HEIGHT_SIGMA_M = 0.12
LOOSE_HEIGHT_SIGMA_M = 0.3
"""Some bend, some crouch, some are children."""

# part: key points, share of stature, least confidence, horizontal spread (m) around the pelvis when both sides (or
# enough of the head) are seen, and when only one is
PARTS = (
    ("head", (0, 1, 2, 3, 4), 0.925, 0.4, 0.18, 0.20),
    ("shoulders", (5, 6), 0.81, 0.4, 0.13, 0.22),
    ("hips", (11, 12), 0.53, 0.4, 0.07, 0.13),
    ("knees", (13, 14), 0.285, 0.5, 0.12, 0.18),
    ("ankles", (15, 16), 0.045, 0.5, 0.10, 0.22),
)
POSTURE_SIGMA_M = 0.15
"""Who leans or crouches is not above their feet: common to all parts, so it is added where people are told apart."""
SHARES = np.array([p[2] for p in PARTS] + [1.0, 0.0])
TOP, BOTTOM = len(PARTS), len(PARTS) + 1
BOX_SIGMA_M = 0.12
KEYPOINT_SIGMA = 0.02
"""Spread of a key point as a share of the box's height; never below `LEAST_SIGMA_PX`."""
BOX_SIGMA = 0.03
LEAST_SIGMA_PX = 2.0
EDGE_PX = 3.0
PLAUSIBLE_HEIGHT_M = (1.25, 2.15)


@dataclass(frozen=True)
class FloorPoints:
    """What one camera's detections say about where people stand.

    `information`: float64 (N, 3, 3), `vector`: float64 (N, 3), about theta = (x, y, h) without any prior.
    `theta`: float64 (N, 3) and `covariance`: float64 (N, 3, 3) with a loose prior on the height and room for posture.
    `floor_sigma_m`: float64 (N,), the larger spread on the floor. `usable`: bool (N,), False where the detection says
    nothing.
    """

    information: np.ndarray
    vector: np.ndarray
    theta: np.ndarray
    covariance: np.ndarray
    usable: np.ndarray

    @property
    def floor_sigma_m(self) -> np.ndarray:
        if not len(self.theta):
            return np.zeros(0)
        return np.sqrt(np.linalg.eigvalsh(self.covariance[:, :2, :2])[:, -1])


def floor_points(
    camera: Camera,
    people: Detections,
    variance: np.ndarray | None = None,
    posture_sigma_m: float = POSTURE_SIGMA_M,
) -> FloorPoints:
    """Floor points of all people in one picture. `variance`: float64 (N,), how much more than the variances of this
    module each detection's have; none: those. `posture_sigma_m`: room for posture in `covariance`."""
    n = len(people)
    if not n:
        return FloorPoints(*(np.zeros(shape) for shape in ((0, 3, 3), (0, 3), (0, 3), (0, 3, 3))), np.zeros(0, bool))
    pixels, sigma_px, sigma_m = _body_parts(camera, people)
    boxes_only = np.isinf(sigma_m[:, :TOP]).all(1)
    focal_px = (camera.matrix[0, 0] + camera.matrix[1, 1]) / 2
    equations = _equations(camera, pixels, SHARES)
    depth_m = np.full((n, len(SHARES)), 3.0)
    spread = np.ones((n, 1)) if variance is None else np.sqrt(variance)[:, None]
    steps = 3 if boxes_only.any() else 2
    for step in range(steps):  # weights depend on the distance, and the box's corner at the feet on the pole's slant
        information, vector = _weighted(equations, np.hypot(sigma_px / focal_px * depth_m, sigma_m) * spread)
        theta, covariance = with_height(information, vector, HEIGHT_M, LOOSE_HEIGHT_SIGMA_M)
        if step == steps - 1:
            break
        poles = np.concatenate([np.repeat(theta[:, None, :2], len(SHARES), 1), (SHARES * theta[:, 2:])[..., None]], -1)
        depth_m = np.clip(camera.depth_m(poles), 0.3, 30.0)
        if boxes_only.any():
            _slant(camera, people, poles, boxes_only, pixels)
            equations[boxes_only, TOP:] = _equations(camera, pixels[boxes_only, TOP:], SHARES[TOP:])
            _distrust_hidden_feet(information, vector, boxes_only & (step == 1), sigma_m)
    covariance = covariance + np.diag([posture_sigma_m**2, posture_sigma_m**2, 0])
    return FloorPoints(information, vector, theta, covariance, np.isfinite(sigma_m).any(1))


def with_height(
    information: np.ndarray, vector: np.ndarray, height_m: np.ndarray | float, sigma_m: float
) -> tuple[np.ndarray, np.ndarray]:
    """(theta (N, 3), covariance (N, 3, 3)) once something is known of the height."""
    weight = 1 / sigma_m**2
    information, vector = information.copy(), vector.copy()
    information[:, 2, 2] += weight
    vector[:, 2] += weight * height_m
    information[:, [0, 1, 2], [0, 1, 2]] += 1e-6  # a detection without any part says: somewhere
    covariance = np.linalg.inv(information)
    return np.einsum("nij,nj->ni", covariance, vector), covariance


def _body_parts(camera: Camera, people: Detections) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Pixels (N, P, 2) of the parts and of the box's top and bottom, their spread in pixels and on the body in metres
    (N, P); what is not seen has infinite spread."""
    n = len(people)
    width, height = camera.size_px
    box = people.xyxy_px.astype(float)
    tall = np.maximum(box[:, 3] - box[:, 1], 1.0)
    pixels = np.zeros((n, len(SHARES), 2))
    sigma_px = np.full((n, len(SHARES)), LEAST_SIGMA_PX)
    sigma_m = np.full((n, len(SHARES)), np.inf)
    keypoints = people.keypoints_px.astype(float)
    for k, (_, members, _, least, both_m, one_m) in enumerate(PARTS):
        points = keypoints[:, members]
        weight = np.where(points[..., 2] >= least, points[..., 2], 0.0)
        total = weight.sum(1)
        seen = total > 0
        pixels[seen, k] = (points[seen, :, :2] * weight[seen, :, None]).sum(1) / total[seen, None]
        count = (weight > 0).sum(1)
        sigma_m[seen, k] = np.where(count[seen] > 1, both_m, one_m)
        sigma_px[:, k] = np.maximum(KEYPOINT_SIGMA * tall, LEAST_SIGMA_PX)
    middle = (box[:, 0] + box[:, 2]) / 2
    pixels[:, TOP] = np.column_stack([middle, box[:, 1]])
    pixels[:, BOTTOM] = np.column_stack([middle, box[:, 3]])
    sigma_px[:, TOP:] = np.maximum(BOX_SIGMA * tall, LEAST_SIGMA_PX)[:, None]
    boxes_only = np.isinf(sigma_m[:, :TOP]).all(1)
    headless = np.isinf(sigma_m[:, 0])
    # Cut at the side, the box's middle is not the body's.
    cut = (box[:, 0] <= EDGE_PX) | (box[:, 2] >= width - 1 - EDGE_PX)
    side_m = np.where(cut, 3 * BOX_SIGMA_M, BOX_SIGMA_M)
    sigma_m[:, TOP] = np.where((boxes_only | headless) & (box[:, 1] > EDGE_PX), side_m, np.inf)
    sigma_m[:, BOTTOM] = np.where(boxes_only & (box[:, 3] < height - 1 - EDGE_PX), side_m, np.inf)
    return pixels, sigma_px, sigma_m


def _equations(camera: Camera, pixels: np.ndarray, shares: np.ndarray) -> np.ndarray:
    """float64 (N, P, 2, 4): the two equations of each part about theta, and their right sides."""
    rays = camera.rays(pixels) @ camera.rotation.T
    uv = rays[..., :2] / rays[..., 2:]
    rows = camera.rotation[:2] - uv[..., None] * camera.rotation[2]
    right = rows @ camera.position_m
    rows[..., 2] *= shares[:, None]
    return np.concatenate([rows, right[..., None]], -1)


def _weighted(equations: np.ndarray, sigma_m: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Normal equations: information (N, 3, 3) and vector (N, 3)."""
    scaled = (equations / sigma_m[..., None, None]).reshape(len(equations), -1, 4)
    normal = scaled.transpose(0, 2, 1) @ scaled
    return normal[:, :3, :3], normal[:, :3, 3]


def _slant(camera: Camera, people: Detections, poles: np.ndarray, rows: np.ndarray, pixels: np.ndarray) -> None:
    """Wide lenses show upright people slanted: the feet are then not below the box's middle but towards a corner."""
    box = people.xyxy_px[rows].astype(float)
    ends = camera.project(poles[rows][:, [TOP, BOTTOM]])
    half = np.nan_to_num(ends[:, 0, 0] - ends[:, 1, 0]) / 2
    # A standing body is about a quarter as wide as it is tall.
    room = np.maximum((box[:, 2] - box[:, 0]) - 0.25 * (box[:, 3] - box[:, 1]), 0.0) / 2
    half = np.clip(half, -room, room)
    middle = (box[:, 0] + box[:, 2]) / 2
    pixels[rows, TOP, 0] = middle + half
    pixels[rows, BOTTOM, 0] = middle - half


def _distrust_hidden_feet(information: np.ndarray, vector: np.ndarray, rows: np.ndarray, sigma_m: np.ndarray) -> None:
    """A box whose top and bottom would make a dwarf ends at a shelf, not at feet; one that makes a giant holds two."""
    rows = rows & np.isfinite(sigma_m[:, TOP]) & np.isfinite(sigma_m[:, BOTTOM])
    if not rows.any():
        return
    height_m = np.linalg.solve(information[rows] + 1e-9 * np.eye(3), vector[rows][..., None])[:, 2, 0]
    low, high = PLAUSIBLE_HEIGHT_M
    wrong = np.flatnonzero(rows)[(height_m < low) | (height_m > high)]
    sigma_m[wrong, BOTTOM] = 1.5
