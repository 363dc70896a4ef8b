# SPDX-License-Identifier: AGPL-3.0-or-later
"""Pictures of the room's surfaces, uint8 (h, w, 3) RGB, all drawn: floors, walls, posters, the view outside."""

from __future__ import annotations

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

Colour = tuple[float, float, float]
FLOORS = ("wood", "lino", "tiles", "concrete", "carpet")
WALLS = ("paint", "panels", "bricks")

_WORDS = "FRESH OPEN SALE 24/7 HELLO BIO LOCAL NEW EAT WELL COFFEE SNACKS 2 FOR 3 WELCOME ENTRY EXIT".split()  # noqa: SIM905


def noise(rng: np.random.Generator, width: int, height: int, cell_px: float) -> np.ndarray:
    """Smooth noise, float32 (height, width), about -1..1, blobs of `cell_px`."""
    small = rng.normal(size=(max(2, int(height / cell_px) + 2), max(2, int(width / cell_px) + 2))).astype(np.float32)
    return np.clip(cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC) / 2, -1.5, 1.5)


def floor_texture(
    rng: np.random.Generator, kind: str, colour: Colour, size_m: tuple[float, float], px_per_m: float
) -> np.ndarray:
    """A whole floor; `kind` one of `FLOORS`. Ends with what a used floor shows: scuffs, spots, tape crosses."""
    width, height = (max(8, round(s * px_per_m)) for s in size_m)
    y, x = np.mgrid[:height, :width].astype(np.float32) / px_per_m
    tone = 0.05 * noise(rng, width, height, 0.5 * px_per_m) + 0.03 * noise(rng, width, height, 0.06 * px_per_m)
    joint = np.zeros((height, width), bool)
    line = 1.2 / px_per_m
    if kind == "wood":
        board, length = rng.uniform(0.08, 0.2), rng.uniform(0.8, 1.6)
        row = np.floor(y / board)
        shift = (row * 0.37 % 1) * length
        piece = np.floor((x + shift) / length)
        tone += 0.10 * (np.sin(row * 12.9 + piece * 78.2) * 43758.5 % 1 - 0.5)
        tone += 0.03 * np.sin(2 * np.pi * (y / 0.013 + noise(rng, width, height, 0.25 * px_per_m)))
        joint = (y % board < line) | ((x + shift) % length < line)
    elif kind == "tiles":
        tile = rng.uniform(0.2, 0.6)
        tone += 0.05 * (np.sin(np.floor(x / tile) * 12.9 + np.floor(y / tile) * 78.2) * 43758.5 % 1 - 0.5)
        if rng.random() < 0.3:
            tone += 0.25 * ((np.floor(x / tile) + np.floor(y / tile)) % 2)
        joint = (x % tile < 1.5 * line) | (y % tile < 1.5 * line)
    elif kind == "concrete":
        tone += 0.10 * noise(rng, width, height, 0.25 * px_per_m)
        joint = (x % 1.22 < line) | (y % 1.22 < line)
    else:
        tone += (0.10 if kind == "carpet" else 0.04) * rng.normal(size=(height, width)).astype(np.float32)
    image = np.asarray(colour, np.float32) * (1 + tone[..., None])
    image[joint] *= rng.uniform(0.6, 0.9)
    out = (255 * np.clip(image, 0, 1)).astype(np.uint8)
    area = size_m[0] * size_m[1]
    for _ in range(rng.poisson(1.2 * area)):  # scuffs and spots
        at = (int(rng.integers(width)), int(rng.integers(height)))
        shade = tuple(int(v) for v in out[at[1], at[0]] * rng.uniform(0.6, 1.15) // 1)
        shade = tuple(min(v, 255) for v in shade)
        if rng.random() < 0.6:
            cv2.ellipse(
                out, at, (int(rng.uniform(1, 8)), int(rng.uniform(1, 3))), rng.uniform(0, 180), 0, 360, shade, -1
            )
        else:
            end = (at[0] + int(rng.normal() * 25), at[1] + int(rng.normal() * 25))
            cv2.line(out, at, end, shade, 1, cv2.LINE_AA)
    for _ in range(rng.poisson(0.25 * area)):  # tape
        at = rng.uniform((0, 0), (width, height))
        way = 0.06 * px_per_m * np.array([np.cos(a := rng.uniform(0, np.pi)), np.sin(a)])
        shade = [(190, 30, 40), (40, 40, 40), (230, 200, 40), (240, 240, 240)][rng.integers(4)]
        for arm in (way, way[::-1] * (1, -1)):
            a, b = (tuple(int(v) for v in p) for p in (at - arm, at + arm))
            cv2.line(out, a, b, shade, max(1, round(0.02 * px_per_m)))
    return out


def wall_texture(
    rng: np.random.Generator, kind: str, colour: Colour, size_m: tuple[float, float], px_per_m: float
) -> np.ndarray:
    """A stretch of wall; `kind` one of `WALLS`."""
    width, height = (max(8, round(s * px_per_m)) for s in size_m)
    y, x = np.mgrid[:height, :width].astype(np.float32) / px_per_m
    tone = 0.03 * noise(rng, width, height, 0.6 * px_per_m) + 0.01 * noise(rng, width, height, 3)
    if kind == "panels":
        tone = tone - 0.15 * (x % 0.6 < 1.5 / px_per_m)
    elif kind == "bricks":
        row = np.floor(y / 0.075)
        tone = tone + 0.12 * (np.sin(row * 12.9 + np.floor((x + row % 2 * 0.11) / 0.22) * 78.2) * 43758.5 % 1 - 0.5)
        tone = tone + 0.15 * ((y % 0.075 < 0.012) | ((x + row % 2 * 0.11) % 0.22 < 0.012))
    return (255 * np.clip(np.asarray(colour, np.float32) * (1 + tone[..., None]), 0, 1)).astype(np.uint8)


def poster_texture(rng: np.random.Generator, width: int = 160, height: int = 220) -> np.ndarray:
    """A sign or poster: colour fields, a word, shapes."""
    colours = [tuple(int(c) for c in rng.integers(20, 256, 3)) for _ in range(4)]
    image = np.empty((height, width, 3), np.uint8)
    image[:] = colours[0]
    for _ in range(int(rng.integers(2, 6))):
        centre = tuple(int(v) for v in rng.uniform((0, 0), (width, height)))
        if rng.random() < 0.5:
            cv2.circle(
                image, centre, int(rng.uniform(0.1, 0.4) * width), colours[int(rng.integers(1, 4))], -1, cv2.LINE_AA
            )
        else:
            far = tuple(int(v) for v in rng.uniform((0, 0), (width, height)))
            cv2.rectangle(image, centre, far, colours[int(rng.integers(1, 4))], -1)
    pil = Image.fromarray(image)
    draw = ImageDraw.Draw(pil)
    for y in rng.uniform(0.1, 0.9, int(rng.integers(1, 4))):
        word = _WORDS[int(rng.integers(len(_WORDS)))]
        draw.text(
            (width / 2, y * height), word, fill=colours[3], font=ImageFont.load_default(int(width / 5)), anchor="mm"
        )
    return np.array(pil)


def screen_texture(rng: np.random.Generator, width: int = 192, height: int = 108) -> np.ndarray:
    """A monitor that shows a chart of coloured fields."""
    image = np.full((height, width, 3), (18, 60, 160), np.uint8)
    for _ in range(70):
        x, y = rng.integers((0, 0), (width, height))
        w, h = rng.integers(3, 22), rng.integers(3, 9)
        image[y : y + h, x : x + w] = rng.integers(0, 256, 3)
    return image


def outside_texture(rng: np.random.Generator, width_m: float, height_m: float, px_per_m: float) -> np.ndarray:
    """What is seen through a glass front: a hall with bright windows, doors, furniture and signs; no people."""
    width, height = round(width_m * px_per_m), round(height_m * px_per_m)
    wall = rng.uniform(0.55, 0.95, 3) * 0.3 + rng.uniform(0.5, 0.85) * 0.7
    image = wall_texture(rng, "paint", tuple(wall), (width_m, height_m), px_per_m)[:height, :width].copy()

    def box(x, y, w, h, colour):  # metres, y from the floor
        x0, x1 = (round(v * px_per_m) for v in (x, x + w))
        y0, y1 = (height - round(v * px_per_m) for v in (y + h, y))
        image[max(y0, 0) : max(y1, 0), max(x0, 0) : max(x1, 0)] = colour

    x = rng.uniform(0, 0.5)
    while x < width_m - 0.6:
        kind = rng.random()
        w = rng.uniform(0.8, 1.8)
        if kind < 0.45:  # window or glass door
            frame = tuple(int(v) for v in rng.integers(20, 90) * np.ones(3))
            box(x, 0.0 if kind < 0.2 else 0.8, w, 2.2 if kind < 0.2 else 1.3, frame)
            sky = rng.integers((170, 190, 200), (240, 250, 256))
            box(x + 0.07, 0.1 if kind < 0.2 else 0.87, w - 0.14, 2.0 if kind < 0.2 else 1.15, sky)
            box(x + w / 2 - 0.03, 0.0 if kind < 0.2 else 0.8, 0.06, 2.2 if kind < 0.2 else 1.3, frame)
        elif kind < 0.65:  # table with things on it
            box(x, 0.68, w, 0.05, rng.integers(120, 240, 3))
            for leg in (x + 0.05, x + w - 0.09):
                box(leg, 0, 0.04, 0.68, (60, 60, 65))
            for _ in range(4):
                box(
                    x + rng.uniform(0, w - 0.2),
                    0.73,
                    rng.uniform(0.06, 0.25),
                    rng.uniform(0.05, 0.3),
                    rng.integers(0, 256, 3),
                )
        elif kind < 0.85:  # cupboard or bin
            box(x, 0, 0.5 * w, rng.uniform(0.5, 1.9), rng.integers(40, 220, 3))
        else:
            poster = poster_texture(rng, round(0.5 * px_per_m), round(0.7 * px_per_m))
            px, py = round(x * px_per_m), height - round(2.0 * px_per_m)
            target = image[py : py + poster.shape[0], px : px + poster.shape[1]]
            target[:] = poster[: target.shape[0], : target.shape[1]]
        x += w + rng.uniform(0.1, 0.7)
    box(0, 0, width_m, 0.08, tuple(int(v) for v in rng.integers(40, 120, 3)))
    return cv2.GaussianBlur(image, (0, 0), 0.7)
