# SPDX-License-Identifier: AGPL-3.0-or-later
"""The texture atlas of a shop, and the products' meshes.

A product's own frame: origin bottom centre, x to the right as the shopper sees it, y away from the shopper, z up; its
front looks along -y. Meshes are small (24 to some 200 vertices), since a shop shows a thousand of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

import cv2
import numpy as np

from calibration.catalogue import Catalogue, Product
from sim.render.mesh import Mesh, merged
from sim.shop.labels import draw_label, label_area_m, rgb

ATLAS_PX_PER_CM = 8  # twice what the nearest camera resolves
SEGMENTS = 12
_PAD_PX = 4
_WHITE_PX = 16
_METAL = (0.74, 0.75, 0.77)


@dataclass(frozen=True)
class Atlas:
    """One picture with every texture of a shop.

    `image`: uint8 (H, W, 3) BGR, sides powers of two. `rects`: name -> u0, v0, u1, v1, (0, 0) bottom left. A
    product's names are its GTIN (the strip once around it) and `GTIN/top`. `front_shares`: GTIN -> share of the
    strip that is its front.
    """

    image: np.ndarray
    rects: Mapping[str, tuple[float, float, float, float]]
    front_shares: Mapping[str, float]


def build_atlas(catalogue: Catalogue, extra: Mapping[str, np.ndarray] | None = None) -> Atlas:
    """Pack the labels of a catalogue and further textures, uint8 (h, w, 3) BGR by name, into one picture.

    Shelves of falling height, left to right; each texture's edge is repeated around it, so that filtering does not
    bleed. The bottom left corner is white.
    """
    tiles: dict[str, np.ndarray] = {}
    front_shares = {}
    for product in catalogue.products:
        strip, top, front_share = _label_tiles(product.model_dump_json())
        tiles[product.gtin], tiles[f"{product.gtin}/top"] = strip, top
        front_shares[product.gtin] = front_share
    tiles.update(extra or {})
    padded = {name: cv2.copyMakeBorder(image, *[_PAD_PX] * 4, cv2.BORDER_REPLICATE) for name, image in tiles.items()}
    order = sorted(padded, key=lambda name: (-padded[name].shape[0], name))
    side = 2048
    while max(image.shape[1] for image in padded.values()) > side:
        side *= 2
    places: dict[str, tuple[int, int]] = {}
    x, y, shelf = _WHITE_PX, 0, _WHITE_PX  # y counts from the bottom
    for name in order:
        h, w = padded[name].shape[:2]
        if x + w > side:
            x, y, shelf = 0, y + shelf, 0
        places[name] = (x, y)
        x, shelf = x + w, max(shelf, h)
    height = 1 << (y + shelf - 1).bit_length()
    canvas = np.full((height, side, 3), 255, np.uint8)
    rects = {}
    for name, (x, y) in places.items():
        h, w = padded[name].shape[:2]
        canvas[height - y - h : height - y, x : x + w] = padded[name]
        rects[name] = (
            (x + _PAD_PX) / side,
            (y + _PAD_PX) / height,
            (x + w - _PAD_PX) / side,
            (y + h - _PAD_PX) / height,
        )
    return Atlas(canvas, rects, front_shares)


@lru_cache(maxsize=512)
def _label_tiles(product_json: str) -> tuple[np.ndarray, np.ndarray, float]:
    """Strip and top at the atlas's scale; kept, since many shops of one catalogue are built in a row."""
    product = Product.model_validate_json(product_json)
    label = draw_label(product)
    width_m, depth_m, _ = product.size_m
    strip = _shrunk(label.strip, *label_area_m(product))
    return strip, _shrunk(label.top, width_m, depth_m), label.front_share


def _shrunk(image_rgb: np.ndarray, width_m: float, height_m: float) -> np.ndarray:
    size = tuple(max(4, round(100 * ATLAS_PX_PER_CM * s)) for s in (width_m, height_m))
    return cv2.cvtColor(cv2.resize(image_rgb, size, interpolation=cv2.INTER_AREA), cv2.COLOR_RGB2BGR)


def in_rect(rect: tuple[float, float, float, float], uv: np.ndarray) -> np.ndarray:
    """Coordinates (..., 2) in [0, 1] of a texture to coordinates in the atlas."""
    low, high = np.array(rect[:2]), np.array(rect[2:])
    return low + np.asarray(uv, float) * (high - low)


def product_mesh(product: Product, atlas: Atlas) -> Mesh:
    """The product in its own frame, inside its `size_m`."""
    strip, top = atlas.rects[product.gtin], atlas.rects[f"{product.gtin}/top"]
    front = atlas.front_shares[product.gtin]
    match product.shape:
        case "box":
            return _box(product, strip, top, front)
        case "bag":
            return _bag(product, strip)
        case "can":
            profile = [(0.88, 0.0), (0.98, 0.05), (0.98, 0.95), (0.86, 1.0)]
            paint = [_METAL, (1, 1, 1), _METAL]
            return _turned(product, profile, paint, 1, strip, top, front, gloss=0.5)
        case "bottle":
            glass = _unit(product.label.get("glass", "#d0dde5"))
            cap = _unit(product.label.get("cap", "#f4f4f4"))
            profile = [(0.9, 0.0), (0.98, 0.04), (0.98, 0.22), (0.98, 0.58), (0.94, 0.68), (0.42, 0.87), (0.42, 0.9)]
            profile += [(0.48, 0.9), (0.46, 1.0)]
            paint = [glass, glass, (1, 1, 1), glass, glass, glass, cap, cap]
            return _turned(product, profile, paint, 2, strip, None, front, gloss=0.6, top_colour=cap)
        case "tub":
            lid = _unit(product.label.get("cap", "#f2f2ee"))
            profile = [(0.78, 0.0), (0.94, 0.8), (1.0, 0.82), (1.0, 1.0)]
            return _turned(product, profile, [(1, 1, 1), lid, lid], 0, strip, top, front, gloss=0.25)
    raise ValueError(f"product {product.gtin}: unknown shape {product.shape!r}")


def _unit(colour: str) -> tuple[float, float, float]:
    return tuple(c / 255 for c in rgb(colour))


def _box(product: Product, strip: tuple, top: tuple, front: float) -> Mesh:
    w, d, h = product.size_m
    x, y = w / 2, d / 2
    # Bottom corners from left to right as seen from outside, and where that side lies on the strip.
    sides = (
        ((-x, -y), (x, -y), 0.0, front),
        ((x, -y), (x, y), front, 0.5),
        ((x, y), (-x, y), 0.5, 0.5 + front),
        ((-x, y), (-x, -y), 0.5 + front, 1.0),
    )
    corners, uv = [], []
    for a, b, u0, u1 in sides:
        corners.append([(*a, 0), (*b, 0), (*b, h), (*a, h)])
        uv.append(in_rect(strip, [(u0, 0), (u1, 0), (u1, 1), (u0, 1)]))
    corners.append([(-x, -y, h), (x, -y, h), (x, y, h), (-x, y, h)])
    uv.append(in_rect(top, [(0, 0), (1, 0), (1, 1), (0, 1)]))
    corners.append([(-x, y, 0), (x, y, 0), (x, -y, 0), (-x, -y, 0)])
    uv.append(in_rect(strip, [(0.5 * front, 0.02)] * 4))
    return quads(np.array(corners), uv=np.array(uv), gloss=0.15)


def quads(
    corners_m: np.ndarray, colours: np.ndarray | None = None, uv: np.ndarray | None = None, gloss: float = 0.0
) -> Mesh:
    """A mesh of flat quads; `corners_m` (Q, 4, 3) counter-clockwise from outside, `colours` (Q, 3), `uv` (Q, 4, 2)."""
    corners = np.asarray(corners_m, np.float32)
    count = len(corners)
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 3] - corners[:, 0])
    normals /= np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-12)
    colours = np.ones((count, 3), np.float32) if colours is None else np.asarray(colours, np.float32)
    uv = np.zeros((count, 4, 2), np.float32) if uv is None else np.asarray(uv, np.float32)
    faces = (np.array([[0, 1, 2], [0, 2, 3]])[None] + 4 * np.arange(count)[:, None, None]).reshape(-1, 3)
    return Mesh(
        corners.reshape(-1, 3),
        np.repeat(normals, 4, axis=0).astype(np.float32),
        np.repeat(colours, 4, axis=0),
        faces.astype(np.int32),
        uv.reshape(-1, 2),
        gloss,
    )


def _turned(
    product: Product,
    profile: list[tuple[float, float]],
    paint: list[tuple[float, float, float]],
    labelled: int,
    strip: tuple,
    top: tuple | None,
    front: float,
    gloss: float,
    top_colour: tuple[float, float, float] = (1, 1, 1),
) -> Mesh:
    """A body of revolution, squeezed to the product's depth.

    `profile`: (share of the radius, share of the height) from the bottom up, one more than `paint`, the colours of
    the bands between; band `labelled` carries the strip, whose front looks along -y.
    """
    w, d, h = product.size_m
    share = np.linspace(0, 1, SEGMENTS + 1)
    angle = 2 * np.pi * (share - front / 2)  # 0 looks along -y, growing to the right
    ring = np.column_stack([np.sin(angle), -np.cos(angle)])
    scale = np.array([w / 2, d / 2])
    around = np.arange(SEGMENTS)
    face = np.concatenate(
        [
            np.column_stack([around, around + 1, around + SEGMENTS + 2]),
            np.column_stack([around, around + SEGMENTS + 2, around + SEGMENTS + 1]),
        ]
    )
    parts = []
    for band, ((r0, z0), (r1, z1)) in enumerate(pairwise(profile)):
        vertices = np.concatenate(
            [np.column_stack([ring * scale * r, np.full(len(ring), z * h)]) for r, z in ((r0, z0), (r1, z1))]
        )
        slope = np.array([(z1 - z0) * h, (r0 - r1) * w / 2])
        slope /= max(np.linalg.norm(slope), 1e-12)
        normal = np.column_stack([ring / scale * scale.mean() * slope[0], np.full(len(ring), slope[1])])
        normal /= np.linalg.norm(normal, axis=1, keepdims=True)
        uv = np.zeros((2 * len(ring), 2))
        if band == labelled:
            uv = np.concatenate([in_rect(strip, np.column_stack([share, np.full(len(share), v)])) for v in (0, 1)])
        parts.append(_smooth(vertices, np.tile(normal, (2, 1)), paint[band], face, uv, gloss))
    r, z = profile[-1]
    disc = np.column_stack([ring[:-1] * scale * r, np.full(SEGMENTS, z * h)])
    fan = np.column_stack([np.zeros(SEGMENTS - 2), np.arange(1, SEGMENTS - 1), np.arange(2, SEGMENTS)])
    uv = np.zeros((SEGMENTS, 2)) if top is None else in_rect(top, ring[:-1] * 0.48 + 0.5)
    parts.append(_smooth(disc, np.tile([0.0, 0, 1], (SEGMENTS, 1)), top_colour, fan, uv, gloss))
    return merged(parts)


def _bag(product: Product, strip: tuple) -> Mesh:
    """A pillow bag: two bulging sheets that meet in the seams, crimped flat at top and bottom."""
    w, d, h = product.size_m
    columns, rows = 5, 7
    s, t = np.meshgrid(np.linspace(-1, 1, columns), np.linspace(-1, 1, rows))
    fill = np.clip(1 - s**4, 0, 1) * np.clip(1.06 - np.abs(t) ** 3.5, 0.0, 1.0)
    bulge = d / 2 * np.maximum(fill, 0.03)
    width = w / 2 * (0.94 + 0.06 * t**2)
    parts = []
    for back in (False, True):
        sign = 1 if back else -1
        x = s * width * -sign  # left to right as seen from that side
        vertices = np.stack([x, sign * bulge, (t + 1) / 2 * h], -1)
        along, up = np.gradient(vertices, axis=1), np.gradient(vertices, axis=0)
        normals = np.cross(along.reshape(-1, 3), up.reshape(-1, 3))
        normals /= np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-12)
        u = (s + 1) / 4 + (0.5 if back else 0)
        uv = in_rect(strip, np.stack([u, (t + 1) / 2], -1).reshape(-1, 2))
        i = (np.arange(rows - 1)[:, None] * columns + np.arange(columns - 1)).ravel()
        faces = np.concatenate(
            [
                np.column_stack([i, i + 1, i + columns + 1]),
                np.column_stack([i, i + columns + 1, i + columns]),
            ]
        )
        parts.append(_smooth(vertices.reshape(-1, 3), normals, (1, 1, 1), faces, uv, 0.35))
    return merged(parts)


def _smooth(vertices, normals, colour, faces, uv, gloss: float) -> Mesh:
    return Mesh(
        np.asarray(vertices, np.float32),
        np.asarray(normals, np.float32),
        np.tile(np.asarray(colour, np.float32), (len(vertices), 1)),
        np.asarray(faces, np.int32),
        np.asarray(uv, np.float32),
        gloss,
    )
