# SPDX-License-Identifier: AGPL-3.0-or-later
"""Random faults of cameras: what a sensor, motion, a cable before the lens and compression do to a picture."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import cv2
import numpy as np

from sim.pictures.textures import random_colour
from sim.render.sensor import Sensor, SensorSettings


def random_sensor(rng: np.random.Generator, strength: float = 1.0) -> SensorSettings:
    """Settings around a plain camera's. `strength`: 1 for pictures of anywhere, less for a well-kept camera."""
    s = strength
    return SensorSettings(
        exposure=float(np.exp(rng.normal(0, 0.42 * s))),
        white_balance=tuple(float(g) for g in np.exp(rng.normal(0, 0.11 * s, 3))),
        saturation=float(np.clip(rng.normal(1.0, 0.35 * s), 0, 2)),
        contrast=float(np.clip(rng.normal(0.25, 0.3 * s), 0, 1)),
        black_level=float(rng.uniform(0, 25 * s)),
        vignetting=float(rng.uniform(0, 0.5 * s)),
        noise=float(abs(rng.normal(0, 5 * s))),
        noise_grain_px=float(rng.uniform(0, 1.2)),
        colour_noise=float(rng.random()),
        blur_px=float(rng.uniform(0.3, 1.5 * s)) if rng.random() < 0.35 * s else 0.0,
        sharpen=float(rng.uniform(0, 1.5 * s)) if rng.random() < 0.6 else 0.0,
    )


def through_camera(rng: np.random.Generator, picture: np.ndarray, strength: float = 1.0) -> np.ndarray:
    """uint8 (H, W, 3) as drawn to what such a camera would have delivered, compression included."""
    height, width = picture.shape[:2]
    settings = random_sensor(rng, strength)
    picture = Sensor(replace(settings, noise=0.0), "any", (width, height)).apply(picture, 0, 0.0)
    if settings.noise > 0.3:
        picture = _noisy(rng, picture, settings.noise)
    if rng.random() < 0.12 * strength:
        picture = motion_blurred(rng, picture, rng.uniform(2, 9))
    return compressed(rng, picture, low=int(45 - 15 * strength))


@cache
def _grains(shape: tuple[int, int]) -> tuple[np.ndarray, ...]:
    """float32 (H, W, 3) noise of deviation 1, fine to coarse, grey to coloured; drawing it anew each time is slow."""
    rng = np.random.default_rng(0)
    out = []
    for grain, colour in ((0.0, 0.3), (0.0, 0.9), (0.6, 0.4), (0.9, 0.8)):
        tile = (1 - colour) * rng.standard_normal((*shape, 1), np.float32)
        tile = tile + colour * rng.standard_normal((*shape, 3), np.float32)
        if grain:
            tile = cv2.GaussianBlur(tile, (0, 0), grain)
        out.append(tile / tile.std())
    return tuple(out)


def _noisy(rng: np.random.Generator, picture: np.ndarray, deviation: float) -> np.ndarray:
    height, width = picture.shape[:2]
    tiles = _grains((height + 64, width + 64))
    y, x = rng.integers(0, 64, 2)
    noise = tiles[rng.integers(len(tiles))][y : y + height, x : x + width]
    return cv2.addWeighted(picture, 1.0, noise, float(deviation), 0.0, dtype=cv2.CV_8U)


def motion_blurred(rng: np.random.Generator, picture: np.ndarray, length_px: float) -> np.ndarray:
    """Smeared along a random direction."""
    side = int(length_px) | 1
    kernel = np.zeros((side, side), np.float32)
    angle = rng.uniform(0, np.pi)
    reach = np.array([np.cos(angle), np.sin(angle)]) * side / 2
    middle = np.array([side // 2, side // 2])
    cv2.line(kernel, tuple(np.int32(middle - reach)), tuple(np.int32(middle + reach)), 1.0)
    return cv2.filter2D(picture, -1, kernel / kernel.sum())


def compressed(rng: np.random.Generator, picture: np.ndarray, low: int = 30) -> np.ndarray:
    """Through JPEG at a random quality, which leaves the blocks and ringing of a video's key pictures."""
    quality = int(rng.integers(low, 96))
    return cv2.imdecode(cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, quality])[1], cv2.IMREAD_COLOR)


def cables(rng: np.random.Generator, picture: np.ndarray) -> np.ndarray:
    """Cables, poles and frames before the lens."""
    height, width = picture.shape[:2]
    for _ in range(rng.integers(1, 4)):
        ends = rng.uniform(0, 1, (3, 2)) * [width, height]
        t = np.linspace(0, 1, 20)[:, None]
        curve = (1 - t) ** 2 * ends[0] + 2 * t * (1 - t) * ends[1] + t**2 * ends[2]
        colour = tuple(int(c) for c in random_colour(rng))
        cv2.polylines(picture, [curve.astype(np.int32)], False, colour, int(rng.integers(1, 9)), cv2.LINE_AA)
    return picture
