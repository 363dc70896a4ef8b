# SPDX-License-Identifier: AGPL-3.0-or-later
"""How a hand holds an item: where the palm goes, and where the item is in the palm afterwards."""

from __future__ import annotations

import numpy as np

from calibration.layout import Gondola

GAP_M = 0.012
"""Between the middle of the palm and what it holds."""
_WIDEST_M = 0.055
"""Half the width that a hand spans; wider items are held at a front edge."""


def palm_axes(gondola: Gondola, side: int) -> np.ndarray:
    """(3, 3), columns of the palm frame of a hand in the face: fingers into the shelf, palm towards the other hand."""
    fingers = -gondola.normal
    out = gondola.right if side == 0 else -gondola.right
    return np.stack([fingers, np.cross(out, fingers), out], -1)


def grasp_pose(gondola: Gondola, item_pose: np.ndarray, size_m: tuple[float, float, float], side: int) -> np.ndarray:
    """(4, 4): palm frame in the world when the hand (0 left, 1 right) holds an item that stands on a shelf.

    Args:
        item_pose: (4, 4), origin in the middle of the item's base. size_m: width, depth, height.
    """
    width, depth, height = size_m
    pose = np.eye(4)
    pose[:3, :3] = palm_axes(gondola, side)
    beside = min(width / 2, _WIDEST_M) + GAP_M
    # A wide item is held further to its front, where the thumb can go round the edge.
    before = 0.02 if width / 2 <= _WIDEST_M else depth / 2
    centre = item_pose[:3, 3] + np.array([0.0, 0.0, 0.55 * height])
    pose[:3, 3] = centre - beside * pose[:3, 2] + before * gondola.normal
    return pose


def held_pose(gondola: Gondola, item_pose: np.ndarray, size_m: tuple[float, float, float], side: int) -> np.ndarray:
    """(4, 4): the item in the palm frame, the same for the same item in any slot."""
    return np.linalg.inv(grasp_pose(gondola, item_pose, size_m, side)) @ item_pose


def face_rotation(gondola: Gondola) -> np.ndarray:
    """(3, 3), columns: out of the face, to the shopper's right, up."""
    return np.stack([gondola.normal, gondola.right, np.array([0.0, 0.0, 1.0])], -1)
