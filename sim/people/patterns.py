# SPDX-License-Identifier: AGPL-3.0-or-later
"""Patterns on cloth: those with edges are cut into the mesh, soft ones are colours of vertices."""

from __future__ import annotations

from typing import Protocol

import numpy as np

from sim.people.state import Garment

CUT_PATTERNS = ("hstripes", "vstripes", "logo", "blocks")
"""Patterns whose second colour begins at a line, see ``second_colour``."""
_FINEST_M = 0.07  # finer than this the mesh cannot follow


class Where(Protocol):
    """Region coordinates that the patterns need, each (V,); see ``regions.FIELDS``."""

    arm: np.ndarray
    on_arm: np.ndarray
    leg: np.ndarray
    torso: np.ndarray
    lateral_m: np.ndarray
    forward_m: np.ndarray


def pattern_lines(garment: Garment, where: Where) -> tuple[np.ndarray, np.ndarray]:
    """The coordinate (V,) that a cut pattern is drawn along, and the values at which its colour changes.

    The second colour is shown between the first and the second value, the third and the fourth, and so on.
    """
    period = max(garment.scale_m, _FINEST_M)
    starts = np.arange(-0.3, 0.9, period)
    if garment.pattern == "hstripes":
        # Metres along the arm, else up the body; sleeves start at the height of the shoulder.
        up = 0.54 * where.torso
        sleeve = np.clip((where.on_arm - 0.3) / 0.3, 0, 1)
        along = up + (0.54 * 0.86 - 0.55 * where.arm - up) * sleeve
        return along, np.stack([starts, starts + 0.42 * period], 1).ravel()
    if garment.pattern == "vstripes":
        round_m = np.arctan2(np.abs(where.lateral_m), where.forward_m) * 0.16
        return round_m, np.stack([starts, starts + 0.4 * period], 1).ravel()
    if garment.pattern == "logo":
        off = np.maximum(np.abs(where.lateral_m) / 0.085, np.abs(where.torso - 0.70) * 0.54 / 0.06)
        return off, np.array([-1.0, 1.0])
    if garment.pattern == "blocks":
        return where.torso, np.array([0.62, 9.0])
    raise ValueError(f"pattern {garment.pattern!r} has no edges, expected one of {CUT_PATTERNS}")


def second_colour(garment: Garment, where: Where) -> np.ndarray:
    """Where (V,) a garment with a cut pattern shows its second colour."""
    along, lines = pattern_lines(garment, where)
    return (np.searchsorted(lines, along) % 2 == 1) & pattern_extent(garment, where)


def pattern_extent(garment: Garment, where: Where) -> np.ndarray:
    """Which vertices (V,) the pattern covers. The coordinate itself must not jump: cutting at a jump never ends."""
    if garment.pattern == "vstripes":
        return where.on_arm < 0.5
    if garment.pattern == "logo":
        return (where.on_arm < 0.5) & (where.forward_m > 0)
    return np.ones(len(where.torso), bool)


def paint(garment: Garment, position_m: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Colours (V, 3) of a garment's vertices at rest positions (V, 3)."""
    x, y, z = position_m.T
    first, second = np.array(garment.colour), np.array(garment.second)
    angle = np.arctan2(y, x - 0.02) * 0.16  # metres round a trunk of that radius
    period = max(garment.scale_m, _FINEST_M)
    if garment.pattern == "checks":
        share = 0.5 * _wave(z / period) + 0.5 * _wave(angle / period)
    elif garment.pattern == "dots":
        share = (rng.random(len(z)) < 0.25).astype(float)
    else:
        share = np.zeros(len(z))
    return first + (second - first) * share[:, None]


def _wave(t: np.ndarray) -> np.ndarray:
    """0 and 1 by turns with soft edges, period 1."""
    return np.clip(0.5 + 1.6 * np.sin(2 * np.pi * t), 0, 1)
