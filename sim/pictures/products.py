# SPDX-License-Identifier: AGPL-3.0-or-later
"""Training crops of products: on shelves of any stock, gaps and wrong places included, and in hands before them.

Crops are cut with `models.crops`, as the pipeline cuts them. On a shelf the front item of each slot is labelled, and
only where at least `_LEAST_VISIBLE` of what faces the camera is seen.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache

import cv2
import numpy as np
from scipy.spatial.transform import Rotation

from calibration.camera import Camera
from calibration.catalogue import Product
from models.crops import CROP_PX, NATIVE_PX, CropWindow, cut, window_at
from sim.pictures.faults import through_camera
from sim.pictures.people import body_mesh
from sim.pictures.poses import Cast
from sim.pictures.shop import ShopRoom
from sim.pictures.shoppers import at_shelves, held_products
from sim.render.mesh import Mesh
from sim.shop.stock import Item, slot_item_poses

SIZE_PX = (1280, 720)
_LEAST_VISIBLE = 0.4
_LEAST_PX = (8, 9)
_CROPS, _PICTURES_PER_CAMERA, _CAST, _RESTOCKS_PER_CAST = 9, 2, 12, 6
_SAMPLES = 500
_EMPTY_KEPT = 0.3


@dataclass(frozen=True)
class _Seen:
    """A product seen in a picture. `xyxy_px` (4,), the box of what is visible; `index`: class."""

    index: int
    xyxy_px: np.ndarray


def product_crops(seed: int) -> Iterator[tuple[np.ndarray, list[str]]]:
    """Crops without end, uint8 (320, 320, 3) BGR, with the lines of their label files; same seed, same crops."""
    rng = np.random.default_rng([seed, 0x70726F])
    shop = ShopRoom(rng, SIZE_PX)
    restocks = 0
    while True:
        if restocks % _RESTOCKS_PER_CAST == 0:
            cast = Cast(rng, _CAST)
        restocks += 1
        shop.restock(lambda items: _disorder(rng, shop, items))
        for camera in shop.cameras:
            for _ in range(_PICTURES_PER_CAMERA):
                yield from _picture(rng, shop, camera, cast)


def _picture(
    rng: np.random.Generator, shop: ShopRoom, camera: Camera, cast: Cast
) -> Iterator[tuple[np.ndarray, list[str]]]:
    bodies = at_shelves(rng, shop, camera, cast, int(rng.integers(1, 4))) if rng.random() < 0.75 else []
    held = [item for body in bodies for item in held_products(rng, shop, body)]
    movers = [mesh for _, mesh in held] + [body_mesh(b) for b in bodies]
    picture = shop.renderer.draw(camera.camera_id, movers)
    ids = shop.renderer.draw_ids(camera.camera_id, movers, scale=1) if movers else None
    in_hand = [s for i, (gtin, mesh) in enumerate(held) if (s := _seen_mover(shop, camera, gtin, mesh, ids == i + 1))]
    on_shelf = _seen_items(shop, camera, shop.renderer.depth_m(camera.camera_id), ids)
    seen = in_hand + on_shelf
    picture = through_camera(rng, picture, 0.5)
    palms = camera.project(np.array([p[:3, 3] for b in bodies for p in b.palms]).reshape(-1, 3))
    palms = [p for p in palms if np.isfinite(p).all() and (p > 0).all() and (p < camera.size_px).all()]
    for k in range(_CROPS):
        if k < len(palms) and rng.random() < 0.8:
            centre = palms[k] + rng.normal(0, 14, 2)
        elif seen and rng.random() < 0.95:
            box = seen[rng.integers(len(seen))].xyxy_px
            centre = (box[:2] + box[2:]) / 2 + rng.uniform(-50, 50, 2)
        else:
            centre = rng.uniform(0, 1, 2) * camera.size_px
        side = NATIVE_PX if rng.random() < 0.4 else int(rng.uniform(0.75, 1.35) * NATIVE_PX)
        window = window_at(centre, side)
        lines = _lines(window, seen)
        if lines or rng.random() < _EMPTY_KEPT:
            yield cut(picture, window), lines


def _lines(window: CropWindow, seen: list[_Seen]) -> list[str]:
    """What lies at least by half in the window, as lines of an Ultralytics label file."""
    lines = []
    for item in seen:
        box = window.to_crop(item.xyxy_px)
        inside = np.clip(box, 0, CROP_PX)
        share = np.prod(inside[2:] - inside[:2]) / max(np.prod(box[2:] - box[:2]), 1e-9)
        if share >= 0.5:
            x1, y1, x2, y2 = inside / CROP_PX
            lines.append(f"{item.index} {(x1 + x2) / 2:.5f} {(y1 + y2) / 2:.5f} {x2 - x1:.5f} {y2 - y1:.5f}")
    return lines


# --- what stands on the shelves -------------------------------------------------------------------------------------


def _disorder(rng: np.random.Generator, shop: ShopRoom, items: list[Item]) -> list[Item]:
    """Gaps at the front, items turned and shifted, and slots that hold another product than planned."""
    by_slot: dict[str, list[Item]] = {}
    for item in items:
        by_slot.setdefault(item.slot_id, []).append(item)
    swapped, gaps, moved = rng.choice([0.1, 0.4, 0.9]), rng.uniform(0, 0.35), rng.uniform(0, 0.7)
    products = shop.catalogue.products
    out: list[Item] = []
    for slot_id, row in by_slot.items():
        if rng.random() < 0.04:
            continue  # nothing left
        if rng.random() < swapped:
            other = products[rng.integers(len(products))]
            poses = slot_item_poses(shop.layout, slot_id, other, int(rng.integers(2**31)))
            if len(poses):
                many = len(poses) if rng.random() < 0.6 else 1
                row = [Item(f"{slot_id}#{k}", other.gtin, slot_id, pose) for k, pose in enumerate(poses[:many])]
        if rng.random() < gaps:
            row = row[int(rng.integers(1, 3)) :]
        out += [replace(i, pose=_jogged(rng, i.pose)) if rng.random() < moved else i for i in row]
    return out


def _jogged(rng: np.random.Generator, pose: np.ndarray) -> np.ndarray:
    """Turned about its upright axis and pushed by a centimetre."""
    out = pose.copy()
    out[:3, :3] = Rotation.from_euler("z", rng.normal(0, 14), degrees=True).as_matrix() @ out[:3, :3]
    out[:2, 3] += rng.normal(0, 0.008, 2)
    return out


@cache
def _surface(product_json: str) -> tuple[np.ndarray, np.ndarray]:
    """Points (N, 3) spread evenly over the product's surface, with normals (N, 3), in its own frame."""
    from sim.pictures.shop import bare_mesh

    mesh = bare_mesh(Product.model_validate_json(product_json))
    corners = mesh.vertices_m[mesh.faces]
    normal = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    area = np.linalg.norm(normal, axis=1)
    rng = np.random.default_rng(0)
    face = rng.choice(len(area), _SAMPLES, p=area / area.sum())
    u = np.sqrt(rng.random((_SAMPLES, 1)))
    v = rng.random((_SAMPLES, 1))
    points = (1 - u) * corners[face, 0] + u * (1 - v) * corners[face, 1] + u * v * corners[face, 2]
    return points, normal[face] / np.maximum(area[face, None], 1e-12)


def _seen_items(shop: ShopRoom, camera: Camera, depth_m: np.ndarray, ids: np.ndarray | None) -> list[_Seen]:
    """The front item of every slot as far as it is visible."""
    front: dict[str, Item] = {}
    for item in shop.items:
        gondola = shop.layout.slot_by_id[item.slot_id][0]
        out = gondola.to_face(item.pose[:3, 3])[1]
        best = front.get(item.slot_id)
        if best is None or out > gondola.to_face(best.pose[:3, 3])[1]:
            front[item.slot_id] = item
    items = [i for i in front.values() if camera.in_view(i.pose[:3, 3] + [0, 0, 0.05])]
    out = []
    for item in items:
        product = shop.catalogue.by_gtin[item.gtin]
        points, normals = _surface(product.model_dump_json())
        world = points @ item.pose[:3, :3].T + item.pose[:3, 3]
        facing = np.einsum("ni,ni->n", normals @ item.pose[:3, :3].T, camera.position_m - world) > 0
        world = world[facing]
        pixels = camera.project(world)
        width, height = camera.size_px
        with np.errstate(invalid="ignore"):
            inside = (pixels >= 0).all(1) & (pixels[:, 0] < width - 1) & (pixels[:, 1] < height - 1)
        visible = inside.copy()
        x, y = np.rint(pixels[inside]).astype(int).T
        shown = camera.depth_m(world[inside]) <= depth_m[y, x] + 0.012
        if ids is not None:
            shown &= ids[y, x] == 0
        visible[inside] = shown
        if visible.mean() < _LEAST_VISIBLE:
            continue
        box = np.array([*pixels[visible].min(0), *pixels[visible].max(0)]) + 0.5
        if (box[2:] - box[:2] >= _LEAST_PX).all():
            out.append(_Seen(shop.catalogue.gtins.index(item.gtin), box))
    return out


# --- what is in hands -----------------------------------------------------------------------------------------------


def _seen_mover(shop: ShopRoom, camera: Camera, gtin: str, mesh: Mesh, mask: np.ndarray) -> _Seen | None:
    """A held item as far as it is visible: its pixels against its whole outline."""
    pixels = camera.project(mesh.vertices_m)
    if not np.isfinite(pixels).all() or not mask.any():
        return None
    outline = cv2.contourArea(cv2.convexHull(pixels.astype(np.float32)))
    if mask.sum() < _LEAST_VISIBLE * outline:
        return None
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    box = np.array([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1], float)
    if (box[2:] - box[:2] < _LEAST_PX).any():
        return None
    return _Seen(shop.catalogue.gtins.index(gtin), box)
