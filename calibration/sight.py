# SPDX-License-Identifier: AGPL-3.0-or-later
"""What stands between a camera and a place: lines of sight through the shelves of a store."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np

_TOUCH = 1e-9
"""Share of a line that may lie in a gondola without being hidden: a shelf does not hide what is on its own front."""


class Face(Protocol):
    """A `calibration.layout.Gondola`, as far as it stands in the way. Vectors and origin (3,), metres."""

    right: np.ndarray
    normal: np.ndarray
    origin: np.ndarray
    width_m: float
    depth_m: float
    height_m: float


class Shelves:
    """Gondolas as solid boxes; all lines of sight are asked about at once. A layout's are `StoreLayout.shelves`."""

    def __init__(self, gondolas: Sequence[Face]) -> None:
        n = len(gondolas)
        self._axes = np.array([(g.right, g.normal, (0.0, 0.0, 1.0)) for g in gondolas]).reshape(n, 1, 3, 3)
        self._origin = np.array([g.origin for g in gondolas]).reshape(n, 1, 3)
        self._low = np.array([(0.0, -g.depth_m, 0.0) for g in gondolas]).reshape(n, 1, 1, 3)
        self._high = np.array([(g.width_m, 0.0, g.height_m) for g in gondolas]).reshape(n, 1, 1, 3)

    def hide(self, eyes_m: np.ndarray, points_m: np.ndarray) -> np.ndarray:
        """bool (E, P): does the line from eye (E, 3) to point (P, 3) pass through a gondola?

        Slab test (Kay & Kajiya, 1986) in each gondola's own frame.
        """
        start = self._to_faces(eyes_m)[:, :, None]
        way = self._to_faces(points_m)[:, None] - start
        way[np.abs(way) < 1e-9] = 1e-9
        first, second = (self._low - start) / way, (self._high - start) / way
        enter = np.minimum(first, second).max(-1)
        leave = np.maximum(first, second).min(-1)
        return (np.maximum(enter, 0) < np.minimum(leave, 1) - _TOUCH).any(0)

    def _to_faces(self, points_m: np.ndarray) -> np.ndarray:
        """(G, N, 3): along, out and up of points (N, 3) for every gondola, as `Gondola.to_face`."""
        return (self._axes @ (np.asarray(points_m, float) - self._origin)[..., None])[..., 0]
