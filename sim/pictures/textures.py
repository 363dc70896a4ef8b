# SPDX-License-Identifier: AGPL-3.0-or-later
"""Random flat pictures of nothing, so that a network learns people and products and not their background."""

from __future__ import annotations

import string

import cv2
import numpy as np

_FONTS = (
    cv2.FONT_HERSHEY_SIMPLEX,
    cv2.FONT_HERSHEY_DUPLEX,
    cv2.FONT_HERSHEY_TRIPLEX,
    cv2.FONT_HERSHEY_SCRIPT_SIMPLEX,
)


def random_colour(rng: np.random.Generator) -> np.ndarray:
    """float (3,) in 0..255; greys and muted colours more often than glaring ones, as in rooms."""
    colour = np.full(3, rng.uniform(10, 250)) + rng.normal(0, 1, 3) * rng.choice([4, 15, 60], p=[0.45, 0.3, 0.25])
    return np.clip(colour, 0, 255)


def random_picture(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    """uint8 (height, width, 3): one or two colours, noise of several scales, often shapes or a pattern."""
    picture = _gradient(rng, height, width)
    if rng.random() < 0.8:
        picture += _clouds(rng, height, width) * rng.uniform(0, 60)
    kind = rng.random()
    if kind < 0.35:
        picture = _shapes(rng, picture)
    elif kind < 0.6:
        picture = _pattern(rng, picture)
    if rng.random() < 0.5:
        picture += rng.normal(0, rng.uniform(0, 14), (height, width, 1))
    return np.clip(picture, 0, 255).astype(np.uint8)


def random_atlas(rng: np.random.Generator, side: int = 1024, tiles: int = 8) -> np.ndarray:
    """uint8 (side, side, 3): tiles x tiles random pictures; bottom left is white, as a scene's atlas needs."""
    step = side // tiles
    rows = [np.hstack([random_picture(rng, step, step) for _ in range(tiles)]) for _ in range(tiles)]
    atlas = np.vstack(rows)
    atlas[-4:, :4] = 255
    return atlas


def tile_rects(rng: np.random.Generator, count: int, tiles: int = 8) -> np.ndarray:
    """float (count, 4): u0, v0, u1, v1 of random tiles of `random_atlas`, a little inside their edges."""
    at = rng.integers(0, tiles, (count, 2))
    return np.concatenate([at + 0.06, at + 0.94], 1) / tiles


def _gradient(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    a, b = random_colour(rng), random_colour(rng)
    if rng.random() < 0.4:
        b = a + rng.normal(0, 12, 3)
    angle = rng.uniform(0, 2 * np.pi)
    x, y = np.meshgrid(np.linspace(-1, 1, width), np.linspace(-1, 1, height))
    t = np.clip(0.5 + 0.5 * (x * np.cos(angle) + y * np.sin(angle)), 0, 1)[..., None]
    return a * (1 - t) + b * t


def _clouds(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    """(height, width, 3) in about [-1, 1]: noise of several scales, grey or coloured."""
    channels = 1 if rng.random() < 0.6 else 3
    out = np.zeros((height, width, channels), np.float32)
    for cells in rng.choice([2, 4, 8, 16, 32, 64], rng.integers(1, 4), replace=False):
        small = rng.normal(0, 1, (int(cells), int(cells), channels)).astype(np.float32)
        big = cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC)
        out += big.reshape(height, width, channels) * rng.uniform(0.2, 0.6)
    return np.repeat(out, 3 // channels, 2)


def _shapes(rng: np.random.Generator, picture: np.ndarray) -> np.ndarray:
    height, width = picture.shape[:2]
    canvas = np.ascontiguousarray(np.clip(picture, 0, 255).astype(np.uint8))
    for _ in range(rng.integers(1, 30)):
        colour = tuple(int(c) for c in random_colour(rng))
        centre = (int(rng.uniform(0, width)), int(rng.uniform(0, height)))
        size = rng.uniform(0.02, 0.35) * min(width, height)
        thickness = -1 if rng.random() < 0.75 else int(rng.integers(1, 5))
        kind = rng.integers(0, 4)
        if kind == 0:
            corner = (
                int(centre[0] + size * rng.uniform(0.3, 2)),
                int(centre[1] + size * rng.uniform(0.3, 2)),
            )
            cv2.rectangle(canvas, centre, corner, colour, thickness)
        elif kind == 1:
            axes = (int(size), int(size * rng.uniform(0.3, 1)))
            cv2.ellipse(canvas, centre, axes, rng.uniform(0, 180), 0, 360, colour, thickness, cv2.LINE_AA)
        elif kind == 2:
            corners = np.array(centre) + rng.normal(0, size, (int(rng.integers(3, 7)), 2))
            cv2.fillPoly(canvas, [corners.astype(np.int32)], colour, cv2.LINE_AA)
        else:
            text = "".join(rng.choice(list(string.ascii_letters + string.digits), rng.integers(2, 9)))
            font = int(rng.choice(_FONTS))
            cv2.putText(canvas, text, centre, font, max(size, 4) / 30, colour, int(rng.integers(1, 4)), cv2.LINE_AA)
    return canvas.astype(np.float32)


def _pattern(rng: np.random.Generator, picture: np.ndarray) -> np.ndarray:
    """Stripes, checks, tiles with joints."""
    height, width = picture.shape[:2]
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    angle = rng.choice([0.0, np.pi / 2, rng.uniform(0, np.pi)])
    along, across = x * np.cos(angle) + y * np.sin(angle), y * np.cos(angle) - x * np.sin(angle)
    period = rng.uniform(4, max(height, width) / 3)
    share = rng.uniform(0.1, 0.6)
    mask = (along / period) % 1 < share
    if rng.random() < 0.5:
        joint = (across / (period * rng.uniform(0.5, 2))) % 1 < share
        mask = mask ^ joint if rng.random() < 0.5 else mask | joint
    return np.where(mask[..., None], random_colour(rng), picture)
