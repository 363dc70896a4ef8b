# SPDX-License-Identifier: AGPL-3.0-or-later
"""Draws what is printed on a product: brand, kind, pattern, a picture, small print and the barcode.

A label is a strip that runs once around the product, seen from outside, beginning at the left edge of its front:
front, right side, back, left side. All images here are uint8 RGB.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from calibration.catalogue import Product
from sim.shop.motifs import draw_motif, draw_pattern

PX_PER_CM = 24  # one pixel a barcode module on the smallest label

_L = ["0001101", "0011001", "0010011", "0111101", "0100011", "0110001", "0101111", "0111011", "0110111", "0001011"]
_G = [code[::-1].translate(str.maketrans("01", "10")) for code in _L]
_R = [code.translate(str.maketrans("01", "10")) for code in _L]
_PARITY = ["LLLLLL", "LLGLGG", "LLGGLG", "LLGGGL", "LGLLGG", "LGGLLG", "LGGGLL", "LGLGLG", "LGLGGL", "LGGLGL"]


@dataclass(frozen=True)
class Label:
    """`strip`: uint8 RGB (H, W, 3) once around; `top`: uint8 RGB, what is seen from above.

    `front_share`: how much of the strip's width the front takes, from its left edge.
    """

    strip: np.ndarray
    top: np.ndarray
    front_share: float


def ean13_modules(gtin: str) -> np.ndarray:
    """The 95 modules of an EAN-13 symbol, 1 a bar (GS1 General Specifications, 5.2.1); shorter GTINs are padded."""
    digits = [int(d) for d in gtin.zfill(13)]
    if len(digits) != 13:
        raise ValueError(f"EAN-13 needs at most 13 digits, got {gtin!r}")
    left = "".join((_L if p == "L" else _G)[d] for p, d in zip(_PARITY[digits[0]], digits[1:7], strict=True))
    bits = "101" + left + "01010" + "".join(_R[d] for d in digits[7:]) + "101"
    return np.array([int(b) for b in bits], np.uint8)


def rgb(colour: str) -> tuple[int, int, int]:
    """`#rrggbb` to a triple."""
    return tuple(int(colour[i : i + 2], 16) for i in (1, 3, 5))


def label_area_m(product: Product) -> tuple[float, float]:
    """Width (once around) and height of the printed strip in metres."""
    width, depth, height = product.size_m
    if product.shape == "box":
        return 2 * (width + depth), height
    if product.shape == "bag":
        return 2 * width, height
    around = float(np.pi * (width + depth) / 2)
    return around, height * {"can": 0.90, "bottle": 0.36, "tub": 0.80}[product.shape]


def draw_label(product: Product, px_per_cm: float = PX_PER_CM) -> Label:
    """Draw a product's label; the same product gives the same picture."""
    label = {"brand": product.name.split()[0], "kind": product.name, "primary": "#cccccc", "secondary": "#ffffff"}
    label |= {"accent": "#333333", "pattern": "plain", "motif": "none"} | product.label
    around_m, height_m = label_area_m(product)
    width, depth, _ = product.size_m
    scale = 100 * px_per_cm
    shares = {"box": width / around_m, "bag": 0.5}
    front_share = shares.get(product.shape, 0.38)
    height, around = round(height_m * scale), round(around_m * scale)
    front_w = round(front_share * around)
    side_w = (around - 2 * front_w) // 2
    front = _front(label, front_w, height)
    back = front.copy() if product.shape not in ("box", "bag") else _back(label, front, product)
    panels = [front]
    if side_w > 0:
        panels += [
            _side(label, side_w, height, product.gtin),
            back,
            _side(label, around - 2 * front_w - side_w, height),
        ]
    else:
        _stamp_barcode(back, product.gtin, (0.05, 0.78))
        panels.append(back)
    top_w, top_h = round(width * scale), round(depth * scale)
    return Label(np.concatenate(panels, axis=1), _top(label, product.shape, top_w, top_h), front_w / around)


def _front(label: dict, width: int, height: int) -> np.ndarray:
    image = draw_pattern(label, width, height)
    seed = zlib.crc32(label["brand"].encode())
    at_top = seed % 3 != 0
    motif_y = 0.62 if at_top else 0.32
    draw_motif(image, label, (0.5 * width, motif_y * height), 0.36 * min(width, 0.75 * height))
    primary, secondary, accent = (rgb(label[k]) for k in ("primary", "secondary", "accent"))
    plate = [accent, primary, secondary][seed // 3 % 3]
    text_colour = max((secondary, primary, accent, (255, 255, 255), (20, 20, 20)), key=lambda c: _contrast(c, plate))
    y0, y1 = (0.08, 0.28) if at_top else (0.60, 0.80)
    image[round(y0 * height) : round(y1 * height), round(0.04 * width) : round(0.96 * width)] = plate
    pil = Image.fromarray(image)
    _text(
        pil,
        label["brand"],
        (0.5 * width, (y0 + y1) / 2 * height),
        (0.86 * width, 0.9 * (y1 - y0) * height),
        text_colour,
    )
    strip = np.array(pil)
    ground = tuple(int(c) for c in strip[round(0.86 * height) : round(0.97 * height)].reshape(-1, 3).mean(0))
    ink = max(((255, 255, 255), (15, 15, 15)), key=lambda c: _contrast(c, ground))
    _text(pil, label["kind"], (0.5 * width, 0.91 * height), (0.9 * width, 0.09 * height), ink)
    return np.array(pil)


def _back(label: dict, front: np.ndarray, product: Product) -> np.ndarray:
    """Same ground, the small print, and the brand again."""
    height, width = front.shape[:2]
    image = draw_pattern(label, width, height)
    _small_print(image, (0.12, 0.35, 0.88, 0.72), product.gtin)
    pil = Image.fromarray(image)
    _text(pil, label["brand"], (0.5 * width, 0.18 * height), (0.7 * width, 0.14 * height), rgb(label["accent"]))
    return np.array(pil)


def _side(label: dict, width: int, height: int, gtin: str | None = None) -> np.ndarray:
    image = np.empty((height, width, 3), np.uint8)
    image[:] = rgb(label["primary"])
    image[: round(0.12 * height)] = rgb(label["secondary"])
    image[-round(0.12 * height) :] = rgb(label["secondary"])
    if gtin is None:
        _small_print(image, (0.1, 0.2, 0.9, 0.75), label["kind"])
    else:
        _stamp_barcode(image, gtin, (0.5, 0.5))
    return image


def _stamp_barcode(image: np.ndarray, gtin: str, at: tuple[float, float]) -> None:
    """Bars with their quiet zone, upright where the width allows it, else turned by a quarter; nothing if too small."""
    bars = np.pad(255 * (1 - ean13_modules(gtin)), (11, 7), constant_values=255)
    height, width = image.shape[:2]
    if width >= len(bars):
        tall = min(round(0.3 * height), 60)
        block = np.broadcast_to(bars[None], (tall, len(bars)))
    elif height >= len(bars):
        block = np.broadcast_to(bars[:, None], (len(bars), min(width, 60)))
    else:
        return
    h, w = block.shape
    y, x = round(at[1] * (height - h)), round(at[0] * (width - w))
    image[y : y + h, x : x + w] = block[..., None]


def _small_print(image: np.ndarray, box: tuple[float, float, float, float], seed: str) -> None:
    height, width = image.shape[:2]
    rng = np.random.default_rng(zlib.crc32(seed.encode()))
    x0, y0, x1, y1 = (round(v * s) for v, s in zip(box, (width, height) * 2, strict=True))
    image[y0:y1, x0:x1] = (245, 245, 240)
    for y in range(y0 + 5, y1 - 5, 8):
        x = x0 + 4
        while x < x1 - 8:
            word = int(rng.integers(5, 22))
            image[y : y + 3, x : min(x + word, x1 - 4)] = (70, 70, 70)
            x += word + 5


def _top(label: dict, shape: str, width: int, height: int) -> np.ndarray:
    image = np.empty((height, width, 3), np.uint8)
    if shape == "can":
        yy, xx = np.mgrid[:height, :width]
        radius = np.hypot((xx / width - 0.5) * 2, (yy / height - 0.5) * 2)
        image[:] = (np.where(radius > 0.86, 150, 205) - 20 * (radius < 0.15))[..., None].astype(np.uint8)
        cv2.ellipse(image, (width // 2, round(height * 0.62)), (width // 9, height // 6), 0, 0, 360, (120,) * 3, -1)
        return image
    image[:] = rgb(label.get("cap", label["primary"]))
    if shape == "tub":
        small = draw_pattern(label, width, height)
        draw_motif(small, label, (0.5 * width, 0.58 * height), 0.3 * height)
        image = small
    plate = tuple(int(c) for c in image[height // 4])[:3] if image.ndim == 1 else rgb(label["primary"])
    ink = max((rgb(label["secondary"]), rgb(label["accent"])), key=lambda c: _contrast(c, plate))
    pil = Image.fromarray(image)
    _text(
        pil,
        label["brand"],
        (0.5 * width, 0.5 * height if shape == "box" else 0.24 * height),
        (0.8 * width, 0.35 * height),
        ink,
    )
    return np.array(pil)


def _contrast(a: tuple, b: tuple) -> float:
    weights = (0.299, 0.587, 0.114)
    return abs(sum(w * (x - y) for w, x, y in zip(weights, a, b, strict=True)))


@lru_cache(maxsize=64)
def _font(size: int) -> ImageFont.FreeTypeFont:
    return ImageFont.load_default(size)


def _text(image: Image.Image, text: str, centre: tuple, room: tuple, colour: tuple) -> None:
    """Text as large as fits into `room` (width, height), centred; drawn twice a pixel apart, which makes it bold."""
    left, top, right, bottom = _font(100).getbbox(text)
    size = int(100 * min(room[0] / (right - left), room[1] / (bottom - top)))
    if size < 5:
        return
    draw = ImageDraw.Draw(image)
    stroke = max(0, size // 28)
    draw.text(centre, text, font=_font(size), fill=colour, anchor="mm", stroke_width=stroke, stroke_fill=colour)
