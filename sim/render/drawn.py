# SPDX-License-Identifier: AGPL-3.0-or-later
"""A picture, and in which parts it differs from one that was drawn before."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sim.render.rects import Rect


@dataclass(frozen=True)
class Drawn:
    """What a camera sees over a background that it saw before.

    `picture`: uint8 (H, W, 3) BGR, and `background`: the same without what moves. Both belong to the renderer and hold
    until it draws this camera again. `version`: changes with the background. `changed`: rectangles, overlapping or not,
    outside which the two are the same.
    """

    picture: np.ndarray
    background: np.ndarray
    version: int
    changed: tuple[Rect, ...]
