# SPDX-License-Identifier: AGPL-3.0-or-later
"""How well a box fits a body, and what it says of it.

Residuals are in units of the predicted box's height. That an edge is hidden leaves it anywhere within a height: its
density is 1, and the innovation without it follows from the one with all four (Woodbury), at no further inversion. Who
has key points is placed by those instead, as shelves and reaching arms change a box more than a body.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pipeline.perception.body import LOOSE_HEIGHT_SIGMA_M
from pipeline.perception.floor.bodies import BOTTOM, LEFT, RIGHT, TOP
from pipeline.perception.floor.expect import Expectation, Visibility
from pipeline.perception.floor.settings import AssociationSettings, BodySettings
from pipeline.perception.floor.sightings import Sightings
from pipeline.perception.floor.small import spd_inverse

LOG_2PI = float(np.log(2 * np.pi))
LOOSE = np.diag([1e-6, 1e-6, 1 / LOOSE_HEIGHT_SIGMA_M**2])
"""What is known of somebody's height before a look at them."""
NEAR_SIGMAS = 4.5
"""Pairs of which not two of the sides and the upper edge are this near are not looked at."""


@dataclass(frozen=True)
class Gains:
    """Of K pairs of a body and a box: `gain`: float64 (K,), of which `shape` is the density of the edges. `used`:
    float64 (K, 4), 1 where the box's edge is taken for the body's own, and `hidden` (K,) the log odds of that.
    `residual`: float64 (K, 4) in heights."""

    body: np.ndarray
    box: np.ndarray
    gain: np.ndarray
    shape: np.ndarray
    used: np.ndarray
    hidden: np.ndarray
    residual: np.ndarray


def gains(
    seen: Sightings, t: np.ndarray, n: np.ndarray, c: np.ndarray, expected: Expectation, visible: Visibility,
    spread: np.ndarray, state: np.ndarray, s: AssociationSettings,
) -> Gains:  # fmt: skip
    j = expected.jacobian
    innovation = j @ spread @ j.swapaxes(-1, -2)
    innovation[..., range(4), range(4)] += expected.noise
    residual = (seen.edges_px[n] - expected.edges_px[t, c]) / expected.tall_px[t, c, None]
    # A box cut off by the picture's edge says that the body goes on there, no more.
    cut = seen.cut[n]
    residual[:, :2] = np.where(cut[:, :2], np.minimum(residual[:, :2], 0.0), residual[:, :2])
    residual[:, 2:] = np.where(cut[:, 2:], np.maximum(residual[:, 2:], 0.0), residual[:, 2:])
    own = innovation[..., range(3), range(3)][t, c]
    keep = np.flatnonzero((residual[:, :3] ** 2 < NEAR_SIGMAS**2 * own).sum(1) + 2 * seen.posed[n] >= 2)
    t, n, c, residual = t[keep], n[keep], c[keep], residual[keep]
    weights, logdets = spd_inverse(innovation)
    weight, logdet = weights[t, c], logdets[t, c]
    pulled = (weight @ residual[..., None])[..., 0]
    d2 = (residual * pulled).sum(1)
    log_chance = visible.log_hidden[t, c]
    best, hidden, used = -0.5 * (d2 + logdet + 4 * LOG_2PI), np.zeros(len(t)), np.ones((len(t), 4))

    def take(value: np.ndarray, odds: np.ndarray, edges: tuple[int, ...]) -> None:
        better = value + odds > best + hidden
        best[better], hidden[better] = value[better], odds[better]
        used[better] = 1.0
        for edge in edges:
            used[better, edge] = 0.0

    own = weight[:, range(4), range(4)]
    single = -0.5 * (d2[:, None] - pulled**2 / own + logdet[:, None] + np.log(own) + 3 * LOG_2PI)
    for edge in (LEFT, TOP, RIGHT, BOTTOM):
        take(single[:, edge], log_chance[:, edge], (edge,))
    for edge in (LEFT, RIGHT):
        cross = weight[:, edge, BOTTOM]
        det = own[:, edge] * own[:, BOTTOM] - cross**2
        a, b = pulled[:, edge], pulled[:, BOTTOM]
        less = (own[:, BOTTOM] * a**2 - 2 * cross * a * b + own[:, edge] * b**2) / det
        value = -0.5 * (d2 - less + logdet + np.log(det) + 2 * LOG_2PI)
        take(value, log_chance[:, edge] + log_chance[:, BOTTOM], (edge, BOTTOM))
    shape = best + hidden
    posed = np.flatnonzero(seen.posed[n])
    if len(posed):
        at, who = n[posed], (t[posed], c[posed] if spread.shape[1] > 1 else 0)
        away = seen.theta[at] - state[t[posed], c[posed], :3]
        weigh, logdet3 = spd_inverse(seen.covariance[at] + spread[who][:, :3, :3])
        far = (away * (weigh @ away[..., None])[..., 0]).sum(1)
        shape[posed] = np.where(far < s.posed_d2, -0.5 * (far + logdet3 + 3 * LOG_2PI) + np.log(s.posed_volume), -1e3)
        hidden[posed], used[posed, TOP] = 0.0, far < 9.0
    p = visible.detected[t, c]
    gain = shape + np.log(p / (1 - p)) - np.log(s.clutter)
    sharp = visible.sharp[t, c]
    gain += np.log((1 - s.odd_score) * sharp * seen.score[n] ** (sharp - 1) + s.odd_score)
    gain -= s.twin_penalty * seen.twin[n]
    return Gains(t, n, gain, shape, used, hidden, residual)


def measurement(
    seen: Sightings, found: Gains, chosen: np.ndarray, c: np.ndarray, expected: Expectation, at_mean: np.ndarray,
    body: BodySettings, volume: float, independent: float,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:  # fmt: skip
    """Of K matched boxes, of their edges or their key points: information (K, 6, 6), vector (K, 6), sum of squares (K,)
    at the origin, and log of the densities' factors (K,). `volume`: see `posed_volume`; `independent`: share of what
    edges say that is new."""
    i, n, residual = found.body[chosen], found.box[chosen], found.residual[chosen]
    # A cut edge that the body passes, as it should, has nothing to say.
    keep = found.used[chosen] * ~(seen.cut[n] & (residual == 0))
    # A detector that is not sure of a body is not sure of its edges either.
    trust = np.clip(seen.score[n], 0.2, 1.0) ** 2
    weight = independent * keep * trust[:, None] / expected.noise[i, c]
    j = np.zeros((len(i), 4, 6))
    j[..., :4] = expected.jacobian[i, c]
    j[..., 4:] = j[..., :2] * seen.offset_s[seen.camera[n], None, None]
    weighted = (j * weight[..., None]).swapaxes(-1, -2)
    y = residual + (j @ at_mean[i][..., None])[..., 0]
    information, vector = weighted @ j, (weighted @ y[..., None])[..., 0]
    squares = (weight * y**2).sum(1)
    factor = 0.5 * (np.where(keep > 0, np.log(np.maximum(weight, 1e-12)) - LOG_2PI, 0.0)).sum(1)
    posed = seen.posed[n]
    if posed.any():
        rows = n[posed]
        lift = np.zeros((posed.sum(), 3, 6))
        lift[:, [0, 1, 2], [0, 1, 2]] = 1.0
        lift[:, 0, 4] = lift[:, 1, 5] = seen.offset_s[seen.camera[rows]]
        # Arms that reach make a box wide, so who has key points has no width of their own.
        theta, lean = seen.theta[rows], np.array([body.lean_sigma_m, body.lean_sigma_m, body.stoop_sigma_m]) ** 2
        sharp, logdet = spd_inverse(spd_inverse(seen.information[rows] + LOOSE)[0] + np.diag(lean))
        sharp *= body.keypoint_independent
        right = (sharp @ theta[..., None])[..., 0]
        information[posed] = lift.swapaxes(1, 2) @ sharp @ lift
        vector[posed] = (lift.swapaxes(1, 2) @ right[..., None])[..., 0]
        squares[posed] = (theta * right).sum(1)
        factor[posed] = 0.5 * (3 * (np.log(body.keypoint_independent) - LOG_2PI) - logdet) + np.log(volume)
    return information, vector, squares, factor
