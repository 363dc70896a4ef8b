# SPDX-License-Identifier: AGPL-3.0-or-later
"""How likely a box's edges are as those of a body, where some of them may be something else's.

Residuals are in units of the predicted box's height. That an edge is hidden leaves it anywhere within a height: its
density is 1, and the innovation without it follows from the one with all four (Woodbury), at no further inversion.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pipeline.perception.floor.bodies import BOTTOM, LEFT, RIGHT, TOP
from pipeline.perception.floor.expect import Expectation, Visibility
from pipeline.perception.floor.small import swept

LOG_2PI = float(np.log(2 * np.pi))
SIDES = [LEFT, RIGHT]
_HIDDEN = ((), (LEFT,), (TOP,), (RIGHT,), (BOTTOM,), (LEFT, BOTTOM), (RIGHT, BOTTOM))
"""Which edges may be something else's: seven stories."""
_USED = np.array([[float(edge not in hidden) for hidden in _HIDDEN] for edge in range(4)])
_PORTION = 1024
"""Pairs are looked at so many at a time: what is computed of them stays in the processor's cache."""


@dataclass(frozen=True)
class Densities:
    """Of T bodies in C cameras, for any box. `reach` (3, C, T): variances of the innovations of left, upper and right
    edge. `weight` (4, 4, C, T): inverse of all edges' innovation; `own` (4, C, T) its diagonal, `cross` (2, C, T) of
    each side and the bottom, `det` (2, C, T) their determinants. `odds` (7, C, T): log odds of each story, `peak` the
    log density where all fits."""

    reach: np.ndarray
    weight: np.ndarray
    own: np.ndarray
    cross: np.ndarray
    det: np.ndarray
    odds: np.ndarray
    peak: np.ndarray

    @classmethod
    def of(cls, expected: Expectation, visible: Visibility, spread: np.ndarray) -> Densities:
        """`spread`: float64 (4, 4, C or 1, T), covariance of (x, y, h, r)."""
        j = expected.jacobian
        innovation = np.einsum("akct,bkct->abct", np.einsum("aict,ikct->akct", j, spread), j)
        innovation[range(4), range(4)] += expected.noise
        weight, logdet = swept(innovation)
        own, cross = weight[range(4), range(4)], weight[SIDES, BOTTOM]
        det = own[SIDES] * own[BOTTOM] - cross**2
        odds = np.zeros((len(_HIDDEN), *logdet.shape))
        odds[1:5], odds[5:] = visible.log_hidden, visible.log_hidden[SIDES] + visible.log_hidden[BOTTOM]
        peak = odds - 0.5 * (logdet + LOG_2PI * _USED.sum(0)[:, None, None])
        peak[1:5] -= 0.5 * np.log(own)
        peak[5:] -= 0.5 * np.log(det)
        return cls(innovation[range(3), range(3)], weight, own, cross, det, odds, peak)

    def best(self, cell: np.ndarray, residual: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The likeliest story of K pairs: its log density with its odds (K,), those odds (K,), and `used` (4, K), 1
        where an edge is taken for the body's own. `cell`: (K,), camera times T plus body; `residual`: (4, K)."""
        ends = range(0, max(len(cell), 1), _PORTION)
        parts = [self._best(cell[k : k + _PORTION], residual[:, k : k + _PORTION]) for k in ends]
        return tuple(np.concatenate(arrays, -1) for arrays in zip(*parts, strict=True))

    def _best(self, cell: np.ndarray, residual: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        pulled = sum(at(self.weight[edge], cell) * residual[edge] for edge in range(4))
        own, cross, det = at(self.own, cell), at(self.cross, cell), at(self.det, cell)
        # The squares that are spared where an edge, or one of the sides and the bottom, need not fit.
        spared = np.zeros((len(_HIDDEN), len(cell)))
        spared[1:5] = pulled**2 / own
        side, bottom = pulled[SIDES], pulled[BOTTOM]
        spared[5:] = (own[BOTTOM] * side**2 - 2 * cross * side * bottom + own[SIDES] * bottom**2) / det
        value = at(self.peak, cell) + 0.5 * (spared - (residual * pulled).sum(0))
        story = value.argmax(0)
        odds = self.odds.ravel().take(story * self.odds[0].size + cell)
        return value.max(0), odds, _USED.take(story, axis=1)


def at(values: np.ndarray, cell: np.ndarray) -> np.ndarray:
    """(..., K) of (..., C, T), at cells (K,) numbered camera by camera."""
    return values.reshape(*values.shape[:-2], -1).take(cell, axis=-1)
