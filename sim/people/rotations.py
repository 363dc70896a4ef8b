# SPDX-License-Identifier: AGPL-3.0-or-later
"""Batched rotations, float64 inside, any leading shape."""

from __future__ import annotations

import numpy as np


def unit(vectors: np.ndarray) -> np.ndarray:
    """Shape (..., 3) scaled to length 1; a zero vector stays zero."""
    return vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-12)


def about(axis: str, angle_rad: np.ndarray) -> np.ndarray:
    """Rotation matrices (..., 3, 3) about the x, y or z axis."""
    angle = np.asarray(angle_rad, dtype=float)
    c, s = np.cos(angle), np.sin(angle)
    out = np.zeros((*angle.shape, 3, 3))
    i = "xyz".index(axis)
    j, k = (i + 1) % 3, (i + 2) % 3
    out[..., i, i] = 1.0
    out[..., j, j] = out[..., k, k] = c
    out[..., j, k], out[..., k, j] = -s, s
    return out


def from_rotvec(rotvec: np.ndarray) -> np.ndarray:
    """Rodrigues' formula: (..., 3) axis times angle in radians to (..., 3, 3)."""
    angle = np.linalg.norm(rotvec, axis=-1)[..., None, None]
    axis = unit(rotvec)
    cross = skew(axis)
    return np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * (cross @ cross)


def skew(vectors: np.ndarray) -> np.ndarray:
    """(..., 3) to the matrices (..., 3, 3) of the cross product with them."""
    x, y, z = vectors[..., 0], vectors[..., 1], vectors[..., 2]
    out = np.zeros((*vectors.shape[:-1], 3, 3))
    out[..., 0, 1], out[..., 0, 2] = -z, y
    out[..., 1, 0], out[..., 1, 2] = z, -x
    out[..., 2, 0], out[..., 2, 1] = -y, x
    return out


def frame(along: np.ndarray, across: np.ndarray) -> np.ndarray:
    """Right-handed frames (..., 3, 3), columns: ``along``, ``across`` made square to it, their cross product."""
    x = unit(along)
    y = unit(across - (across * x).sum(-1, keepdims=True) * x)
    return np.stack([x, y, np.cross(x, y)], -1)


def turn(matrices: np.ndarray, vectors: np.ndarray) -> np.ndarray:
    """(..., 3, 3) times (..., 3)."""
    return (matrices @ vectors[..., None])[..., 0]


def signed_angle(start: np.ndarray, end: np.ndarray, axis: np.ndarray) -> np.ndarray:
    """Angle in radians that turns ``start`` into ``end`` about the unit ``axis``, both projected square to it."""
    a = start - (start * axis).sum(-1, keepdims=True) * axis
    b = end - (end * axis).sum(-1, keepdims=True) * axis
    return np.arctan2((np.cross(a, b) * axis).sum(-1), (a * b).sum(-1))
