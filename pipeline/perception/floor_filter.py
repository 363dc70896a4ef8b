# SPDX-License-Identifier: AGPL-3.0-or-later
"""State of one person on the floor: Kalman filter in information form over (x, y, h, vx, vy); metres, seconds.

The measurement is a `body.FloorPoints` row: information about (x, y, h) of any rank, so feet, a head alone, or a whole
body add up by the same rule (Bar-Shalom, Li & Kirubarajan, Estimation with Applications, 7.2).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pipeline.perception.body import HEIGHT_M, HEIGHT_SIGMA_M


@dataclass(frozen=True)
class MotionSettings:
    """How people move."""

    acceleration_m_s2: float = 2.5
    """Shoppers start, stop and turn on the spot."""
    speed_sigma_m_s: float = 0.8
    """Of somebody seen for the first time."""
    height_drift_m: float = 0.10
    """Random walk of the apparent height, a second (bending, crouching) ..."""
    height_return_s: float = 4.0
    """... and how fast it comes back to the person's stature."""
    coast_damping_s: float = 0.6
    """Velocity of somebody unseen fades with this time constant."""
    coast_drift_m: float = 0.5
    """Random walk of somebody unseen, a square root of a second."""
    greatest_sigma_m: float = 2.0
    correlated: float = 0.35
    """Share of a measurement's information that is new: errors of one camera last for many pictures."""
    robust_d2: float = 9.0
    """Beyond this Mahalanobis distance a measurement is weakened rather than believed."""


class FloorFilter:
    """One person. `mean`: float64 (5,), `covariance`: float64 (5, 5)."""

    def __init__(self, theta: np.ndarray, covariance: np.ndarray, settings: MotionSettings) -> None:
        self._settings = settings
        self.mean = np.array([*theta, 0.0, 0.0])
        self.covariance = np.zeros((5, 5))
        self.covariance[:3, :3] = covariance
        self.covariance[3, 3] = self.covariance[4, 4] = settings.speed_sigma_m_s**2
        self.stature_m = HEIGHT_M

    def predict(self, dt_s: float, unseen_s: float, damp: bool = True) -> None:
        """Move on by `dt_s`. Somebody unseen for a while slows down and may be anywhere near."""
        s = self._settings
        keep_h = np.exp(-dt_s / s.height_return_s)
        coasting = unseen_s > 0.25
        keep_v = np.exp(-dt_s / s.coast_damping_s) if coasting and damp else 1.0
        f = np.diag([1.0, 1.0, keep_h, keep_v, keep_v])
        f[0, 3] = f[1, 4] = dt_s
        self.mean = f @ self.mean
        self.mean[2] += (1 - keep_h) * self.stature_m
        q = s.acceleration_m_s2**2
        noise = np.zeros((5, 5))
        noise[[0, 1], [0, 1]] = q * dt_s**4 / 4 + (s.coast_drift_m**2 * dt_s if coasting else 0.0)
        noise[[0, 1, 3, 4], [3, 4, 0, 1]] = q * dt_s**3 / 2
        noise[[3, 4], [3, 4]] = q * dt_s**2 * (0.25 if coasting else 1.0)
        noise[2, 2] = s.height_drift_m**2 * dt_s
        self.covariance = f @ self.covariance @ f.T + noise
        self._limit()

    def _limit(self) -> None:
        greatest = self.covariance[:2, :2].trace() / 2 / self._settings.greatest_sigma_m**2
        if greatest > 1:
            shrink = np.diag([greatest**-0.5, greatest**-0.5, 1, 1, 1])
            self.covariance = shrink @ self.covariance @ shrink

    def update(self, information: np.ndarray, vector: np.ndarray, d2: float, offset_s: float) -> None:
        """Add a measurement taken `offset_s` after the state's time, at Mahalanobis distance squared `d2`."""
        s = self._settings
        weight = s.correlated * min(1.0, s.robust_d2 / max(d2, 1e-9))
        j = np.zeros((3, 5))
        j[[0, 1, 2], [0, 1, 2]] = 1
        j[0, 3] = j[1, 4] = offset_s
        added = weight * j.T @ information @ j
        residual = weight * j.T @ vector - added @ self.mean
        # Joseph-like symmetric form keeps the covariance positive when a measurement is very sharp.
        covariance = np.linalg.inv(np.linalg.inv(self.covariance) + added)
        self.covariance = (covariance + covariance.T) / 2
        self.mean = self.mean + self.covariance @ residual
        self.mean[2] = np.clip(self.mean[2], 0.5, 2.2)

    def learn_stature(self, dt_s: float) -> None:
        """The person's own height, from what is seen over many seconds; who crouches does not shrink at once."""
        gain = dt_s / 15.0 * HEIGHT_SIGMA_M**2 / (HEIGHT_SIGMA_M**2 + self.covariance[2, 2])
        self.stature_m += gain * (float(np.clip(self.mean[2], 1.4, 2.0)) - self.stature_m)


def distances(
    filters: list[FloorFilter], theta: np.ndarray, covariance: np.ndarray, offset_s: float
) -> tuple[np.ndarray, np.ndarray]:
    """Mahalanobis distance squared and log-determinant of the innovation, each (T, N), of measurements (N, 3)."""
    if not filters or not len(theta):
        return np.zeros((len(filters), len(theta))), np.zeros((len(filters), len(theta)))
    mean = np.stack([f.mean for f in filters])
    spread = np.stack([f.covariance[:3, :3] for f in filters])
    expected = mean[:, :3].copy()
    expected[:, :2] += offset_s * mean[:, 3:]
    innovation = theta[None] - expected[:, None]
    total = spread[:, None] + covariance[None]
    d2 = np.einsum("tni,tni->tn", innovation, np.linalg.solve(total, innovation[..., None])[..., 0])
    return d2, np.linalg.slogdet(total)[1]
