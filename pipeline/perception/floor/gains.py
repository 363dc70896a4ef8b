# SPDX-License-Identifier: AGPL-3.0-or-later
"""How well a box fits a body, and what it says of it.

By its edges (see `densities.py`) or its key points, its score and the chance of a box there.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

from pipeline.perception.floor.blocks import Said
from pipeline.perception.floor.bodies import LEFT, RIGHT, TOP, H
from pipeline.perception.floor.densities import LOG_2PI, Densities, at
from pipeline.perception.floor.expect import Expectation, Visibility
from pipeline.perception.floor.keypoints import KeyPoints
from pipeline.perception.floor.settings import AssociationSettings
from pipeline.perception.floor.sightings import Sightings
from pipeline.perception.floor.small import spd_inverse

NEAR_SIGMAS = 4.5
"""Pairs of which not two of the sides and the upper edge are this near are not looked at."""
_LEAST_RISE = 0.2
"""An upper edge rises by less than this share of the box's height with a metre of somebody's only in steep views."""
_ODD_M = 0.3
"""Upper edges that show a height further than this from the one supposed show no height."""
_LIMIT = np.array([np.inf, np.inf, -np.inf, -np.inf])[:, None]


@dataclass(frozen=True)
class Gains:
    """Of K pairs of a body and a box: `gain`: float64 (K,), of which `shape` is the density of the edges. `used`:
    float64 (4, K), 1 where the box's edge is taken for the body's own, and `hidden` (K,) the log odds of that.
    `residual`: float64 (4, K) in heights."""

    body: np.ndarray
    box: np.ndarray
    camera: np.ndarray
    gain: np.ndarray
    shape: np.ndarray
    used: np.ndarray
    hidden: np.ndarray
    residual: np.ndarray

    def only(self, rows: np.ndarray) -> Gains:
        """Some of the pairs, by index."""
        return Gains(*(getattr(self, field.name).take(rows, axis=-1) for field in fields(self)))


def gains(
    seen: Sightings, t: np.ndarray, n: np.ndarray, c: np.ndarray, expected: Expectation, visible: Visibility,
    spread: np.ndarray, state: np.ndarray, s: AssociationSettings,
) -> Gains:  # fmt: skip
    """Of pairs (K,) of body `t` and box `n` in camera `c` of those that are expected, the ones that may be.
    `spread`: float64 (4, 4, C or 1, T), covariance of (x, y, h, r); `state`: (T, C or 1, 4)."""
    densities = Densities.of(expected, visible, spread)
    cell = c * expected.tall_px.shape[1] + t
    keep = _near(seen, n, cell, expected, densities.reach)
    t, n, c, cell = (a.take(keep) for a in (t, n, c, cell))
    residual = (seen.edges_px.T.take(n, axis=1) - at(expected.edges_px, cell)) / at(expected.tall_px, cell)
    # A box cut off by the picture's edge says that the body goes on there, no more.
    limit = np.where(seen.cut.T.take(n, axis=1), 0.0, _LIMIT)
    np.minimum(residual[:2], limit[:2], out=residual[:2])
    np.maximum(residual[2:], limit[2:], out=residual[2:])
    shape, hidden, used = densities.best(cell, residual)
    posed = np.flatnonzero(seen.posed[n])
    if len(posed):
        box, who = n[posed], (c[posed] if spread.shape[2] > 1 else 0, t[posed])
        away = seen.theta[box] - state[t[posed], c[posed] if state.shape[1] > 1 else 0, :3]
        weigh, logdet3 = spd_inverse(seen.covariance[box] + np.moveaxis(spread[:3, :3], (0, 1), (-2, -1))[who])
        far = (away * (weigh @ away[..., None])[..., 0]).sum(1)
        shape[posed] = np.where(far < s.posed_d2, -0.5 * (far + logdet3 + 3 * LOG_2PI) + np.log(s.posed_volume), -1e3)
        hidden[posed], used[TOP, posed] = 0.0, far < 9.0
    p = at(visible.detected, cell)
    gain = shape + np.log(p / (1 - p)) - np.log(s.clutter)
    sharp = at(visible.sharp, cell)
    gain += np.log((1 - s.odd_score) * sharp * seen.score[n] ** (sharp - 1) + s.odd_score)
    gain -= s.twin_penalty * seen.twin[n]
    return Gains(t, n, c, gain, shape, used, hidden, residual)


def _near(seen: Sightings, n: np.ndarray, cell: np.ndarray, expected: Expectation, variance: np.ndarray) -> np.ndarray:
    """Indices of the pairs of which two of the sides and the upper edge are near, or that have key points."""
    count = 2 * seen.posed[n]
    for edge in (LEFT, TOP, RIGHT):
        reach_px = NEAR_SIGMAS * np.sqrt(variance[edge]) * expected.tall_px
        low, high = expected.edges_px[edge] - reach_px, expected.edges_px[edge] + reach_px
        at_px, cut = seen.edges_px[:, edge], seen.cut[:, edge]
        # Beyond the picture's edge the body may go on.
        at_least = np.where(cut, np.inf, at_px) if edge == RIGHT else at_px
        at_most = at_px if edge == RIGHT else np.where(cut, -np.inf, at_px)
        count += (at_least.take(n) > at(low, cell)) & (at_most.take(n) < at(high, cell))
    return np.flatnonzero(count >= 2)


def measurement(
    seen: Sightings, found: Gains, sure: np.ndarray, expected: Expectation, at_mean: np.ndarray, offset_s: np.ndarray,
    key_points: KeyPoints, s: AssociationSettings, independent: float,
) -> Said:  # fmt: skip
    """What K matched boxes say, by edges or key points, of the T bodies that are expected. `sure`: (K,), how much each
    counts. `at_mean`: (T, 6), where the expectation holds; `offset_s`: (C,), and when. `independent`: share of what
    edges say that is new."""
    i, c, n = found.body, found.camera, found.box
    cameras, t = expected.tall_px.shape
    # A cut edge that the body passes, as it should, has nothing to say; nor have the edges of who has key points.
    keep = found.used * ~(seen.cut.T[:, n] & (found.residual == 0)) * ~seen.posed[n]
    # A detector that is not sure of a body is not sure of its edges either.
    trust = np.clip(seen.score[n], 0.2, 1.0) ** 2
    weight = independent * keep * trust / expected.noise[:, c, i]
    factor = 0.5 * np.where(keep > 0, np.log(np.maximum(weight, 1e-12)) - LOG_2PI, 0.0).sum(0)
    # All edges in all cameras of a body are one measurement of its state; those of no match count for nothing.
    weights, y = np.zeros((2, t, cameras, 4))
    weights[i, c], y[i, c] = (weight * sure).T, found.residual.T
    j = expected.jacobian.transpose(3, 2, 0, 1)
    if offset_s.any():
        j = np.concatenate([j, j[..., :2] * offset_s[:, None, None]], -1)
    size = j.shape[-1]  # 6, or the 4 that do not move where all look at once
    j, y, weights = j.reshape(t, -1, size), y.reshape(t, -1, 1), weights.reshape(t, -1, 1)
    y += j @ at_mean[:, :size, None]
    weighted = (j * weights).swapaxes(-1, -2)
    information, vector = np.zeros((t, 6, 6)), np.zeros((t, 6))
    information[:, :size, :size], vector[:, :size] = weighted @ j, (weighted @ y)[..., 0]
    looks = ~seen.cut[n, TOP] & ~seen.posed[n]
    higher_m = found.residual[TOP] / np.minimum(expected.jacobian[TOP, H, c, i], -_LEAST_RISE)
    tall_m = at_mean[i, H] + np.clip(higher_m, -_ODD_M, _ODD_M)
    said = Said(
        information, vector, (weights * y**2).sum((1, 2)), np.bincount(i, factor, t),
        # Against the score that somebody seen whole has on average.
        np.bincount(i, sure * np.minimum(seen.score[n] * (1 + 1 / s.sharp), 1.0) * ~seen.twin[n], t),
        np.bincount(i, found.used[TOP], t), np.bincount(i, looks, t), np.bincount(i, looks * tall_m, t),
    )  # fmt: skip
    posed = np.flatnonzero(seen.posed[n])
    if len(posed):
        key_points.add_to(said, i[posed], n[posed], sure[posed])
    return said
