# SPDX-License-Identifier: AGPL-3.0-or-later
"""Hands in 3-D: wrists and elbows of every floor track from the key points of all cameras that see it.

A key point is a ray; a ray says where the joint is across it and nothing along it. The rays of all cameras that agree
update one constant-velocity Kalman filter per joint in information form, so that one camera alone still helps: across
its ray it measures, along it the prediction or, for a joint just found, the person's place on the floor decides.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations

import numpy as np

from calibration.camera import Camera
from pipeline.messages import LEFT_WRIST, RIGHT_WRIST
from pipeline.shelf.settings import ShelfSettings

LEFT_ELBOW, RIGHT_ELBOW = 7, 8
SIDES = ("left", "right")
_JOINTS = ((LEFT_WRIST, LEFT_ELBOW), (RIGHT_WRIST, RIGHT_ELBOW))
_BODY_CENTRE_M = (1.05, 0.35)  # height of the hands' middle above the floor, and their spread round it


@dataclass(frozen=True)
class Hand:
    """One hand at one instant. `palm_m`, `wrist_m`: float64 (3,), world. `covariance_m2`: float64 (3, 3) of the palm.

    `cameras`: how many agreed on the wrist.
    """

    at_ns: int
    palm_m: np.ndarray
    wrist_m: np.ndarray
    covariance_m2: np.ndarray
    cameras: int


@dataclass(frozen=True)
class Rays:
    """Where cameras see one joint. `origin_m`, `direction`: float64 (N, 3). `sigma_rad`: float64 (N,)."""

    origin_m: np.ndarray
    direction: np.ndarray
    sigma_rad: np.ndarray

    def __len__(self) -> int:
        return len(self.origin_m)

    def __getitem__(self, keep: np.ndarray) -> Rays:
        return Rays(self.origin_m[keep], self.direction[keep], self.sigma_rad[keep])

    def off_sigmas(self, points_m: np.ndarray) -> np.ndarray:
        """How far points (..., 3) lie off each ray, shape (..., N), in that ray's standard deviations."""
        relative = points_m[..., None, :] - self.origin_m
        along = np.einsum("...nc,nc->...n", relative, self.direction)
        across = np.linalg.norm(relative - along[..., None] * self.direction, axis=-1)
        off = np.arctan2(across, along)
        return off / self.sigma_rad

    def information(self, near_m: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Information matrix (3, 3) and vector (3,) of a point near `near_m`: the sum over rays of what each says
        across itself, with its angular spread taken at that distance."""
        distance = np.maximum(np.linalg.norm(near_m - self.origin_m, axis=1), 0.3)
        weight = 1 / (distance * self.sigma_rad) ** 2
        across = np.eye(3) - self.direction[:, :, None] * self.direction[:, None, :]
        matrices = weight[:, None, None] * across
        return matrices.sum(0), np.einsum("nij,nj->i", matrices, self.origin_m)


def triangulate(rays: Rays, outlier_sigmas: float) -> tuple[np.ndarray, np.ndarray] | None:
    """The point most rays agree on and the rays that do, bool (N,); None when no two of them meet.

    Every pair proposes the midpoint of its shortest connection (Hartley & Sturm, 1997, "Midpoint"), the proposal with
    the lowest truncated cost wins (MSAC, Torr & Zisserman 2000), and its inliers are solved by weighted least squares.
    """
    if len(rays) < 2:
        return None
    first, second = np.array(list(combinations(range(len(rays)), 2))).T
    d1, d2 = rays.direction[first], rays.direction[second]
    between = rays.origin_m[second] - rays.origin_m[first]
    cosine = np.sum(d1 * d2, axis=1)
    sine2 = 1 - cosine**2
    usable = sine2 > 0.01  # rays closer than 6 degrees to parallel do not fix a depth
    if not usable.any():
        return None
    d1, d2, between, cosine, sine2, first = (a[usable] for a in (d1, d2, between, cosine, sine2, rays.origin_m[first]))
    along1, along2 = np.sum(between * d1, axis=1), np.sum(between * d2, axis=1)
    t1, t2 = (along1 - cosine * along2) / sine2, (cosine * along1 - along2) / sine2
    points = first + (t1[:, None] * d1 + between + t2[:, None] * d2) / 2
    off = rays.off_sigmas(points)
    cost = np.minimum(off**2, outlier_sigmas**2).sum(1)
    best = int(np.argmin(cost))
    inliers = off[best] < outlier_sigmas
    if inliers.sum() < 2:
        return None
    point = points[best]
    for _ in range(2):
        matrix, vector = rays[inliers].information(point)
        point = np.linalg.solve(matrix, vector)
    return point, inliers


@dataclass
class _Joint:
    """Constant-velocity Kalman filter of one joint; position and velocity, (6,) and (6, 6)."""

    state: np.ndarray
    covariance: np.ndarray
    at_ns: int
    seen_ns: int

    @property
    def position_m(self) -> np.ndarray:
        return self.state[:3]

    def predict(self, at_ns: int, acceleration_m_s2: float) -> None:
        dt = (at_ns - self.at_ns) / 1e9
        if dt <= 0:
            return
        step = np.eye(6)
        step[:3, 3:] = dt * np.eye(3)
        gain = np.vstack([dt**2 / 2 * np.eye(3), dt * np.eye(3)])
        self.state = step @ self.state
        self.covariance = step @ self.covariance @ step.T + acceleration_m_s2**2 * gain @ gain.T
        self.at_ns = at_ns

    def correct(self, rays: Rays, at_ns: int) -> None:
        matrix, vector = rays.information(self.position_m)
        innovation = vector - matrix @ self.position_m
        # (P^-1 + H' L H)^-1 without inverting L, which one ray leaves singular.
        cross = self.covariance[:, :3]
        gain = cross @ np.linalg.inv(np.eye(3) + matrix @ self.covariance[:3, :3])
        self.state = self.state + gain @ innovation
        covariance = self.covariance - gain @ matrix @ self.covariance[:3]
        self.covariance = (covariance + covariance.T) / 2
        self.seen_ns = at_ns


@dataclass
class _Arms:
    joints: dict[int, _Joint] = field(default_factory=dict)


class HandTracker:
    """Hands of all floor tracks. `update` once a window for every track; `forget` when a track is gone."""

    def __init__(self, cameras: Mapping[str, Camera], settings: ShelfSettings) -> None:
        self._cameras = cameras
        self._settings = settings
        self._arms: dict[str, _Arms] = {}
        self._sigma_px = settings.keypoint_sigma_px

    def forget(self, track_id: str) -> None:
        self._arms.pop(track_id, None)

    def update(
        self, track_id: str, at_ns: int, floor_xy_m: np.ndarray, keypoints_px: Mapping[str, np.ndarray]
    ) -> dict[str, Hand]:
        """Hands that are known at `at_ns`: "left" and / or "right".

        Args:
            floor_xy_m: (2,), where the person stands; where a lone ray is cut when nothing else is known.
            keypoints_px: camera id -> (17, 3), x, y, confidence.
        """
        arms = self._arms.setdefault(track_id, _Arms())
        for name, joint in list(arms.joints.items()):
            if at_ns - joint.seen_ns > self._settings.hand_memory_s * 1e9:
                del arms.joints[name]
            else:
                joint.predict(at_ns, self._settings.hand_acceleration_m_s2)
        views = [(self._cameras[c], k) for c, k in sorted(keypoints_px.items())]
        views = self._unswapped(arms, views)
        cameras = {j: self._update_joint(arms, j, views, at_ns, floor_xy_m) for pair in _JOINTS for j in pair}
        hands = {}
        for side, (wrist, elbow) in zip(SIDES, _JOINTS, strict=True):
            if wrist in arms.joints:
                hands[side] = self._hand(arms, wrist, elbow, at_ns, cameras[wrist])
        return hands

    def _hand(self, arms: _Arms, wrist: int, elbow: int, at_ns: int, cameras: int) -> Hand:
        s = self._settings
        joint = arms.joints[wrist]
        palm, sigma = joint.position_m, s.palm_beyond_wrist_m
        if elbow in arms.joints:
            forearm = joint.position_m - arms.joints[elbow].position_m
            length = np.linalg.norm(forearm)
            if 0.12 < length < 0.45:  # otherwise one of the two is wrong
                palm, sigma = palm + s.palm_beyond_wrist_m * forearm / length, s.palm_sigma_m
        covariance = joint.covariance[:3, :3] + sigma**2 * np.eye(3)
        return Hand(at_ns, palm.copy(), joint.position_m.copy(), covariance, cameras)

    def _learn_sigma(self, off_sigmas: np.ndarray) -> None:
        """Follow how far this shop's key points really scatter: their median distance from the consensus should be
        that of a normal distribution in two dimensions, 1.18 standard deviations."""
        low, high = self._settings.keypoint_sigma_range_px
        step = np.clip(np.log(max(float(np.median(off_sigmas)), 0.05) / 1.18), -1, 1)
        self._sigma_px = float(np.clip(self._sigma_px * np.exp(0.02 * step), low, high))

    def _rays(self, views: Sequence[tuple[Camera, np.ndarray]], joint: int) -> Rays:
        s = self._settings
        kept = [(c, k[joint]) for c, k in views if k[joint, 2] >= s.min_keypoint_confidence]
        if not kept:
            return Rays(np.zeros((0, 3)), np.zeros((0, 3)), np.zeros(0))
        return Rays(
            np.array([c.position_m for c, _ in kept]),
            np.array([c.rays(k[:2]) for c, k in kept]),
            np.array(
                [self._sigma_px * c.size_px[0] / 1280 / c.matrix[0, 0] / k[2] ** s.confidence_power for c, k in kept]
            ),
        )

    def _unswapped(self, arms: _Arms, views):
        """Views with left and right exchanged in the cameras that took one arm for the other.

        Seen from above or behind, pose networks mix the sides up; the predicted wrists, or what most cameras agree on,
        tell.
        """
        targets = []
        for wrist, _ in _JOINTS:
            if wrist in arms.joints:
                targets.append(arms.joints[wrist].position_m)
            else:
                found = triangulate(self._rays(views, wrist), self._settings.outlier_sigmas)
                targets.append(None if found is None else found[0])
        if targets[0] is None or targets[1] is None:
            return views
        if np.linalg.norm(targets[0] - targets[1]) < 0.12:
            return views
        out = []
        for camera, keypoints in views:
            seen = camera.project(np.stack(targets))
            wrists = keypoints[[LEFT_WRIST, RIGHT_WRIST], :2]
            weight = keypoints[[LEFT_WRIST, RIGHT_WRIST], 2]
            straight = np.sum(weight * np.linalg.norm(wrists - seen, axis=1))
            crossed = np.sum(weight * np.linalg.norm(wrists - seen[::-1], axis=1))
            if crossed < 0.6 * straight:
                keypoints = keypoints.copy()
                keypoints[[LEFT_ELBOW, RIGHT_ELBOW, LEFT_WRIST, RIGHT_WRIST]] = keypoints[
                    [RIGHT_ELBOW, LEFT_ELBOW, RIGHT_WRIST, LEFT_WRIST]
                ]
            out.append((camera, keypoints))
        return out

    def _update_joint(self, arms: _Arms, joint: int, views, at_ns: int, floor_xy_m: np.ndarray) -> int:
        """Number of cameras that agreed on where the joint is now."""
        rays = self._rays(views, joint)
        if not len(rays):
            return 0
        limit = self._settings.outlier_sigmas
        found = triangulate(rays, limit)
        if found is not None and len(rays) >= 3:
            self._learn_sigma(rays.off_sigmas(found[0]))
        known = arms.joints.get(joint)
        if known is not None:
            # The prediction's own spread widens the gate, seen at the joint's distance.
            distance = np.linalg.norm(known.position_m - rays.origin_m, axis=1)
            spread = np.sqrt(np.trace(known.covariance[:3, :3]) / 3) / np.maximum(distance, 0.3)
            agrees = rays.off_sigmas(known.position_m) * rays.sigma_rad < limit * np.hypot(rays.sigma_rad, spread)
            if found is not None and found[1].sum() >= max(2, agrees.sum()):
                agrees = found[1]  # more cameras agree with each other than with the past
            if agrees.any():
                known.correct(rays[agrees], at_ns)
                if found is not None and np.linalg.norm(known.position_m - found[0]) > 0.25:
                    del arms.joints[joint]  # the filter followed the wrong thing
                    known = None
                else:
                    return int(agrees.sum())
            else:
                return 0
        if found is None:
            height, spread = _BODY_CENTRE_M
            state = np.array([*floor_xy_m, height, 0, 0, 0], float)
            covariance = np.diag([spread**2] * 3 + [0.5**2] * 3)
            keep = np.argsort(rays.sigma_rad)[:1]
        else:
            state = np.concatenate([found[0], np.zeros(3)])
            covariance = np.diag([0.15**2] * 3 + [0.5**2] * 3)
            keep = np.flatnonzero(found[1])
        fresh = _Joint(state, covariance, at_ns, at_ns)
        fresh.correct(rays[keep], at_ns)
        arms.joints[joint] = fresh
        return len(keep)
