# SPDX-License-Identifier: AGPL-3.0-or-later
"""Pictures of products for people's screens: each from the front, by itself, on nothing.

The label is the one that the renderer puts on the product; the body around it follows the same profile. Written to
`pictures/GTIN.webp` beside a store's files, where the pages look for them.
"""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from calibration.catalogue import Catalogue, Planogram, Product
from sim.shop.labels import draw_label, rgb

FOLDER = "pictures"
SIDE_PX = 256
_MARGIN = 0.06
_QUALITY = 82

# Half the width as a share of the product's, from the bottom (0) to the top (1) of its height; as in `products`.
_PROFILES = {
    "can": ((0, 0.88), (0.05, 0.98), (0.95, 0.98), (1, 0.86)),
    "bottle": ((0, 0.9), (0.04, 0.98), (0.58, 0.98), (0.68, 0.94), (0.87, 0.42), (0.9, 0.42), (0.901, 0.48), (1, 0.46)),
    "tub": ((0, 0.78), (0.8, 0.94), (0.801, 1.0), (1, 1.0)),
    "bag": ((0, 0.97), (0.05, 1.0), (0.12, 0.95), (0.5, 0.99), (0.88, 0.95), (0.95, 1.0), (1, 0.97)),
    "box": ((0, 1.0), (1, 1.0)),
}
_LABEL_SPAN = {"can": (0.05, 0.95), "bottle": (0.22, 0.58), "tub": (0.0, 0.8), "bag": (0.0, 1.0), "box": (0.0, 1.0)}
_ROUND = ("can", "bottle", "tub")


def draw_picture(product: Product, side_px: int = SIDE_PX) -> np.ndarray:
    """uint8 RGBA (side, side, 4), the product upright in the middle."""
    big = 2 * side_px  # drawn at twice the size: smooth edges
    width_m, _, height_m = product.size_m
    scale = (1 - 2 * _MARGIN) * big / max(width_m, height_m)
    width, height = max(8, round(width_m * scale)), max(8, round(height_m * scale))
    body = _body(product, width, height)
    inside = _silhouette(product.shape, width, height)
    body = _shaded(body, product.shape)
    picture = np.zeros((big, big, 4), np.uint8)
    y, x = (big - height) // 2, (big - width) // 2
    picture[y : y + height, x : x + width, :3] = body
    picture[y : y + height, x : x + width, 3] = inside
    return _halved(picture)


def write_pictures(folder: Path, catalogue: Catalogue, planogram: Planogram) -> int:
    """Every product that stands on a shelf to `folder/pictures`, some 5 kB each; how many."""
    on_shelves = sorted(set(planogram.slots.values()))
    (folder / FOLDER).mkdir(exist_ok=True)
    for gtin in on_shelves:
        picture = Image.fromarray(draw_picture(catalogue.by_gtin[gtin]), "RGBA")
        picture.save(folder / FOLDER / f"{gtin}.webp", quality=_QUALITY, method=4)
    return len(on_shelves)


def _body(product: Product, width: int, height: int) -> np.ndarray:
    """uint8 RGB (height, width, 3): the label's front where it is, the body's colours above and below."""
    body = np.empty((height, width, 3), np.uint8)
    body[:] = (196, 198, 202) if product.shape == "can" else rgb(product.label.get("glass", "#d0dde5"))
    cap = rgb(product.label.get("cap", "#f2f2ee"))
    if product.shape == "bottle":
        body[: round(0.1 * height)] = cap
    elif product.shape == "tub":
        body[: round(0.2 * height)] = cap
    label = draw_label(product)
    front = label.strip[:, : round(label.front_share * label.strip.shape[1])]
    low, high = _LABEL_SPAN[product.shape]
    top, bottom = round((1 - high) * height), round((1 - low) * height)
    shown = cv2.resize(front, (width, bottom - top), interpolation=cv2.INTER_AREA)
    body[top:bottom] = _wrapped(shown) if product.shape in _ROUND else shown
    return body


def _wrapped(front: np.ndarray) -> np.ndarray:
    """A flat label as it looks on a cylinder: squeezed towards the edges."""
    height, width = front.shape[:2]
    across = np.linspace(-0.96, 0.96, width)
    source = (np.arcsin(across) / np.arcsin(0.96) + 1) / 2 * (width - 1)
    map_x = np.broadcast_to(source.astype(np.float32), (height, width))
    map_y = np.broadcast_to(np.arange(height, dtype=np.float32)[:, None], (height, width))
    return cv2.remap(front, np.ascontiguousarray(map_x), np.ascontiguousarray(map_y), cv2.INTER_LINEAR)


def _silhouette(shape: str, width: int, height: int) -> np.ndarray:
    """uint8 (height, width), 255 inside."""
    levels, halves = zip(*_PROFILES[shape], strict=True)
    half = np.interp(np.linspace(1, 0, height), levels, halves) * (width - 1) / 2
    distance = np.abs(np.arange(width) - (width - 1) / 2)
    return np.where(distance[None] <= half[:, None] + 0.5, np.uint8(255), np.uint8(0))


def _shaded(body: np.ndarray, shape: str) -> np.ndarray:
    """Light from the upper left; round things darken towards their edges."""
    height, width = body.shape[:2]
    across = np.linspace(-1, 1, width)
    if shape in _ROUND:
        light = 1.06 - 0.42 * np.abs(across + 0.25) ** 2.2
        shine = 40 * np.exp(-(((across + 0.45) / 0.12) ** 2))
    else:
        light, shine = 1.02 - 0.08 * (across + 1) / 2, np.zeros(width)
    down = 1.03 - 0.08 * np.linspace(0, 1, height)
    shaded = body * (down[:, None] * light[None]).astype(np.float32)[..., None]
    shaded += shine.astype(np.float32)[None, :, None]
    return np.clip(shaded, 0, 255, out=shaded).astype(np.uint8)


def _halved(picture: np.ndarray) -> np.ndarray:
    """Half the size, with colours weighted by how much of them is there."""
    whole = picture.astype(np.float32)
    whole[..., :3] *= whole[..., 3:] / 255
    side = picture.shape[0] // 2
    small = cv2.resize(whole, (side, side), interpolation=cv2.INTER_AREA)
    small[..., :3] /= np.maximum(small[..., 3:] / 255, 1e-6)
    return np.clip(small + 0.5, 0, 255).astype(np.uint8)
