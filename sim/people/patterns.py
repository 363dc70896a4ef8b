# SPDX-License-Identifier: AGPL-3.0-or-later
"""Patterns on cloth, as colours of vertices."""

from __future__ import annotations

import numpy as np

from sim.people.state import Garment


def paint(
    garment: Garment, position_m: np.ndarray, torso: np.ndarray, on_arm: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """Colours (V, 3) of a garment's vertices.

    Args:
        position_m: (V, 3) at rest. torso, on_arm: (V,) as in ``regions.FIELDS``.
    """
    x, y, z = position_m.T
    first, second = np.array(garment.colour), np.array(garment.second)
    angle = np.arctan2(y, x - 0.02) * 0.16  # metres round a trunk of that radius
    period = max(garment.scale_m, 0.07)  # finer than the mesh would be noise
    if garment.pattern == "hstripes":
        share = _wave(z / period)
    elif garment.pattern == "vstripes":
        share = _wave(angle / period)
    elif garment.pattern == "checks":
        share = 0.5 * _wave(z / period) + 0.5 * _wave(angle / period)
    elif garment.pattern == "dots":
        share = (rng.random(len(z)) < 0.25).astype(float)
    elif garment.pattern == "logo":
        share = ((np.abs(y) < 0.09) & (np.abs(torso - 0.68) < 0.12) & (x > 0.02) & (on_arm < 0.4)).astype(float)
    elif garment.pattern == "blocks":
        share = (torso > 0.62).astype(float)
    else:
        share = np.zeros(len(z))
    return first + (second - first) * share[:, None]


def _wave(t: np.ndarray) -> np.ndarray:
    """0 and 1 by turns with soft edges, period 1."""
    return np.clip(0.5 + 1.6 * np.sin(2 * np.pi * t), 0, 1)
