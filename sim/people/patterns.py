# SPDX-License-Identifier: AGPL-3.0-or-later
"""Patterns on cloth, as colours of vertices."""

from __future__ import annotations

import numpy as np

from sim.people.state import Garment


def paint(
    garment: Garment, position_m: np.ndarray, torso: np.ndarray, arm: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """Colours (V, 3) of a garment's vertices.

    Args:
        position_m: (V, 3) at rest. torso, arm: (V,) as in ``Regions``.
    """
    x, y, z = position_m.T
    first, second = np.array(garment.colour), np.array(garment.second)
    angle = np.arctan2(y, x - 0.02) * 0.16  # metres round a trunk of that radius
    # On sleeves and legs "up" still is z: they hang when worn.
    period = max(garment.scale_m, 0.04)
    if garment.pattern == "hstripes":
        other = np.mod(z / period, 1) < 0.45
    elif garment.pattern == "vstripes":
        other = np.mod(angle / period, 1) < 0.4
    elif garment.pattern == "checks":
        other = (np.mod(z / period, 1) < 0.5) ^ (np.mod(angle / period, 1) < 0.5)
    elif garment.pattern == "dots":
        other = rng.random(len(z)) < 0.25
    elif garment.pattern == "logo":
        other = (np.abs(y) < 0.09) & (np.abs(torso - 0.68) < 0.12) & (x > 0.02) & (arm == -1)
    elif garment.pattern == "blocks":
        other = torso > 0.62
    else:
        return np.tile(first, (len(z), 1))
    return np.where(other[:, None], second, first)
