# SPDX-License-Identifier: AGPL-3.0-or-later
"""Which boxes lie within some pixels of somewhere, from left to right, in the same picture: by one search for all
cameras, at a cost that grows with what is found."""

from __future__ import annotations

import numpy as np

_APART_PX = 1e6
"""Pictures are laid side by side so far apart."""


class Nearby:
    """`u_px`: float64 (N,), places in pictures `camera` (N,)."""

    def __init__(self, u_px: np.ndarray, camera: np.ndarray) -> None:
        along = _side_by_side(u_px, camera)
        self._order = np.argsort(along, kind="stable")
        self._along = along[self._order]

    def within(self, low_px: np.ndarray, high_px: np.ndarray, camera: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Pairs (place among the M ranges, place among the N), the ranges in order, of what lies in each range and
        hardly more. `low_px`, `high_px`: (M,), ranges in pictures `camera` (M,)."""
        begin = np.searchsorted(self._along, _side_by_side(low_px, camera) - 1e-3)
        count = np.searchsorted(self._along, _side_by_side(high_px, camera) + 1e-3) - begin
        start = np.cumsum(count) - count
        found = np.arange(count.sum()) + np.repeat(begin - start, count)
        return np.repeat(np.arange(len(count)), count), self._order.take(found)


def _side_by_side(u_px: np.ndarray, camera: np.ndarray) -> np.ndarray:
    return np.minimum(np.maximum(u_px, -_APART_PX / 4), _APART_PX / 4) + camera * _APART_PX
