# SPDX-License-Identifier: AGPL-3.0-or-later
"""Is a tracker as sure of its places as it may be? Its covariances against its errors."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy.optimize import linear_sum_assignment
from scipy.spatial.distance import cdist

from sim.tracking_score import Positions

Covariances = Mapping[int, np.ndarray]
"""Instant -> float64 (N, 2, 2) square metres, in the order of the tracks' names there."""
_QUANTILES = {0.5: 1.386, 0.95: 5.991}
"""Of chi squared with two degrees of freedom."""


@dataclass(frozen=True)
class Uncertainty:
    """`nees`: mean normalised estimation error squared (Bar-Shalom, Li & Kirubarajan, 5.4): 2 for an honest tracker,
    more for one too sure of itself; `nees_median`: 1.39. `within_50`, `within_95`: shares of the errors inside the
    ellipses that should hold so many. `pairs`: how many errors that were."""

    pairs: int
    nees: float | None
    nees_median: float | None
    within_50: float | None
    within_95: float | None


def uncertainty(truth: Positions, tracks: Positions, covariances: Covariances, gate_m: float) -> Uncertainty:
    """People and tracks are paired at each instant for the least sum of distances, none further apart than `gate_m`."""
    values: list[np.ndarray] = []
    for instant in sorted(set(truth) & set(tracks)):
        true_xy, xy = truth[instant][1], tracks[instant][1]
        if not len(true_xy) or not len(xy):
            continue
        distance = cdist(true_xy, xy)
        rows, columns = linear_sum_assignment(np.where(distance <= gate_m, distance, 1e3))
        near = distance[rows, columns] <= gate_m
        error = (xy[columns] - true_xy[rows])[near]
        spread = np.asarray(covariances[instant])[columns[near]]
        values.append((error * np.linalg.solve(spread, error[..., None])[..., 0]).sum(1))
    nees = np.concatenate(values) if values else np.zeros(0)
    if not len(nees):
        return Uncertainty(0, None, None, None, None)
    shares = [float((nees <= limit).mean()) for limit in _QUANTILES.values()]
    return Uncertainty(len(nees), float(nees.mean()), float(np.median(nees)), *shares)
