# SPDX-License-Identifier: AGPL-3.0-or-later
"""Rectangles of a picture, and which one a thing in the world covers."""

from __future__ import annotations

import numpy as np

from calibration.camera import Camera

Rect = tuple[int, int, int, int]
"""Left, top, right, bottom in pixels, right and bottom exclusive; of a picture whose row 0 is on top."""

_NEAR_M = 0.1
_FAR_PX = 1e6


def extent(points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Least and largest of points (N, D) in each dimension, (D,) each. NumPy takes ten times as long along rows."""
    columns = np.ascontiguousarray(points.T)
    return columns.min(axis=1), columns.max(axis=1)


def box_points(points_m: np.ndarray) -> np.ndarray:
    """Points (64, 3) all over the box around points (N, 3): a lens bends its edges outwards."""
    low, high = extent(points_m)
    return low + (high - low) * np.stack(np.meshgrid(*[np.linspace(0, 1, 4)] * 3), axis=-1).reshape(-1, 3)


def bounds(camera: Camera, points_m: np.ndarray, margin_px: int, *, dense: bool = False) -> Rect | None:
    """Part of the picture that may show what lies between points; None when nothing does.

    `dense`: the points are a surface, so what is behind the camera or beyond its lens is not in the picture either.
    Else what is seen of it may reach any edge.
    """
    width, height = camera.size_px
    pixels = camera.project(points_m)
    finite = np.isfinite(pixels[:, 0])
    if not finite.all():
        if not dense:
            return (0, 0, width, height) if (camera.depth_m(points_m) > _NEAR_M).any() else None
        pixels = pixels[finite]
        if not len(pixels):
            return None
    low, high = np.clip(extent(pixels), -_FAR_PX, _FAR_PX)
    low = np.floor(low).astype(int) - margin_px
    high = np.ceil(high).astype(int) + margin_px + 1
    left, top = max(int(low[0]), 0), max(int(low[1]), 0)
    right, bottom = min(int(high[0]), width), min(int(high[1]), height)
    return (left, top, right, bottom) if left < right and top < bottom else None


def overlap(a: Rect, b: Rect) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]


def union(a: Rect, b: Rect) -> Rect:
    return min(a[0], b[0]), min(a[1], b[1]), max(a[2], b[2]), max(a[3], b[3])


def scaled(rect: Rect, factor: int) -> Rect:
    return rect[0] * factor, rect[1] * factor, rect[2] * factor, rect[3] * factor


def grown(rect: Rect, by: int, size_px: tuple[int, int], grid: int = 4) -> Rect:
    """`by` pixels more on each side, outwards to whole steps of a grid, within a picture of `size_px`."""
    low = [max(v - by, 0) // grid * grid for v in rect[:2]]
    high = [min(-(-(v + by) // grid) * grid, limit) for v, limit in zip(rect[2:], size_px, strict=True)]
    return low[0], low[1], high[0], high[1]


def disjoint(rects: list[Rect]) -> list[Rect]:
    """Rectangles that cover at least as much and do not overlap."""
    out: list[Rect] = []
    for rect in rects:
        while hit := next((r for r in out if overlap(r, rect)), None):
            out.remove(hit)
            rect = union(hit, rect)
        out.append(rect)
    return out
