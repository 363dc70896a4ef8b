# SPDX-License-Identifier: AGPL-3.0-or-later
"""Which boxes lie within some pixels of somewhere, from left to right, in the same picture: by one search for all
cameras, at a cost that grows with what is found."""

from __future__ import annotations

import numpy as np

_APART_PX = 1e6
"""Pictures are laid side by side so far apart."""


def within(
    u_px: np.ndarray, camera: np.ndarray, low_px: np.ndarray, high_px: np.ndarray, where: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Pairs (place among the M ranges, place among the N points), the ranges in order, of the points in each range and
    hardly more. `u_px`: (N,), points of pictures `camera` (N,); `low_px`, `high_px`: (M,), ranges in pictures `where`
    (M,)."""
    along = _side_by_side(u_px, camera)
    order = np.argsort(along, kind="stable")
    along = along[order]
    begin = np.searchsorted(along, _side_by_side(low_px, where) - 1e-3)
    count = np.searchsorted(along, _side_by_side(high_px, where) + 1e-3) - begin
    start = np.cumsum(count) - count
    found = np.arange(count.sum()) + np.repeat(begin - start, count)
    return np.repeat(np.arange(len(count)), count), order[found]


def _side_by_side(u_px: np.ndarray, camera: np.ndarray) -> np.ndarray:
    return np.minimum(np.maximum(u_px, -_APART_PX / 4), _APART_PX / 4) + camera * _APART_PX
