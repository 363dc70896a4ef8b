# SPDX-License-Identifier: AGPL-3.0-or-later
"""What stands in the shelves: places of items in a slot, and a shop filled by its planogram."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from calibration.catalogue import Catalogue, Planogram, Product
from calibration.layout import StoreLayout

FRONT_GAP_M = (0.008, 0.02)
"""How far the front item stands behind the shelf's front edge."""
ITEM_GAP_M = 0.006


@dataclass(frozen=True)
class Item:
    """One article in the shop. `pose`: float64 (4, 4), the product's frame (`sim.shop.products`) to the world."""

    item_id: str
    gtin: str
    slot_id: str
    pose: np.ndarray


def slot_item_poses(layout: StoreLayout, slot_id: str, product: Product, seed: int = 0) -> np.ndarray:
    """Where the items of a slot stand, float64 (N, 4, 4), front to back; N is how many fit into the depth.

    The whole item stays inside the slot's box. `seed` varies the small shifts and turns: round things by up to 25
    degrees, the others by up to 4. N is 0 when the product is wider or taller than the slot.
    """
    gondola, shelf, slot = layout.slot_by_id[slot_id]
    width, depth, height = product.size_m
    rng = np.random.default_rng([seed, zlib.crc32(f"{slot_id}/{product.gtin}".encode())])
    round_shape = product.shape in ("can", "bottle", "tub") and abs(width - depth) < 1e-6
    spare = slot.end_m - slot.start_m - width
    if spare < 0 or height > shelf.clearance_m:
        return np.zeros((0, 4, 4))
    front = rng.uniform(*FRONT_GAP_M)
    poses, used = [], front
    while True:
        turn = rng.uniform(-1, 1) * np.deg2rad(25 if round_shape else 4)
        shift = rng.uniform(-0.3, 0.3) * min(spare, 0.02)
        gap = ITEM_GAP_M * rng.uniform(0.3, 1.6)
        if round_shape:
            wide, deep = width, depth
        else:
            # Turn no further than the slot's spare width and a tidy shelf allow.
            turn = np.clip(turn, -0.6 * spare / depth, 0.6 * spare / depth)
            wide = width * np.cos(turn) + depth * abs(np.sin(turn))
            deep = depth * np.cos(turn) + width * abs(np.sin(turn))
        if used + deep > shelf.depth_m:
            return np.array(poses).reshape(-1, 4, 4)
        limit = max(0.0, (slot.end_m - slot.start_m - wide) / 2)
        along = (slot.start_m + slot.end_m) / 2 + np.clip(shift, -limit, limit)
        pose = np.eye(4)
        x, y = gondola.right, -gondola.normal
        pose[:3, 0] = np.cos(turn) * x + np.sin(turn) * y
        pose[:3, 1] = -np.sin(turn) * x + np.cos(turn) * y
        pose[:3, 3] = gondola.to_world(along, -(used + deep / 2), shelf.height_m)
        poses.append(pose)
        used += deep + gap


def fill(
    layout: StoreLayout,
    catalogue: Catalogue,
    planogram: Planogram,
    rng: np.random.Generator,
    levels: tuple[float, float] | Mapping[str, float] = (0.6, 1.0),
) -> list[Item]:
    """A shop stocked by its planogram, items of a slot front to back.

    `levels`: how full the slots are as a share of what fits, a range to draw from or one share a slot id (slots not
    named are full). A slot with a level above 0 holds at least one item.
    """
    items = []
    seed = int(rng.integers(2**31))
    for slot_id, gtin in planogram.slots.items():
        poses = slot_item_poses(layout, slot_id, catalogue.by_gtin[gtin], seed)
        level = levels.get(slot_id, 1.0) if isinstance(levels, Mapping) else rng.uniform(*levels)
        count = int(np.ceil(np.clip(level, 0, 1) * len(poses) - 1e-9))
        items += [Item(f"{slot_id}#{k + 1}", gtin, slot_id, poses[k]) for k in range(count)]
    return items
