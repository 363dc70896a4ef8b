# SPDX-License-Identifier: AGPL-3.0-or-later
"""Shoppers before the shelves of the shipped shop, alone and crowded, with its products in their hands."""

from __future__ import annotations

import numpy as np
from scipy.spatial.transform import Rotation

from calibration.camera import Camera
from sim.people.state import PosedBody
from sim.pictures.poses import Cast, reaching_state
from sim.pictures.shop import ShopRoom
from sim.render.mesh import Mesh
from sim.shop.products import product_mesh

_BESIDE_M = 0.75
"""How far apart the slots are at which two people who stand close reach."""


def at_shelves(
    rng: np.random.Generator, shop: ShopRoom, camera: Camera, cast: Cast, count: int, crowded: float = 0.0
) -> list[PosedBody]:
    """`count` people before shelves this camera sees, each with a hand at a slot or on the way to or from one.

    `crowded`: share of them who reach right beside the first one's slot, past each other; they cross and hide each
    other's arms, which is where a person's own hand is hardest to find.
    """
    gondolas = [(g, shelf, slot) for g in shop.layout.gondolas for shelf in g.shelves for slot in shelf.slots]
    middles = np.array([g.slot_box(shelf, slot)[:4].mean(0) for g, shelf, slot in gondolas])
    seen = np.flatnonzero([camera.in_view(middle) for middle in middles])
    if not len(seen) or not count:
        return []
    first = int(rng.choice(seen))
    near = seen[np.linalg.norm(middles[seen] - middles[first], axis=1) < _BESIDE_M]
    chosen = iter([first, *(int(rng.choice(near if rng.random() < crowded else seen)) for _ in range(count - 1))])

    def state(person_id: str, height_m: float):
        row = next(chosen)
        normal = gondolas[row][0].normal
        point = middles[row] + normal * rng.uniform(-0.05, 0.45)
        point[2] += rng.normal(0, 0.06)
        return reaching_state(rng, person_id, height_m, point, -normal[:2])

    return cast.pose_as([state] * count)


def held_products(rng: np.random.Generator, shop: ShopRoom, body: PosedBody) -> list[tuple[str, Mesh]]:
    """GTIN and mesh of what the hands hold, gripped anyhow but mostly upright."""
    out = []
    for palm in body.palms:
        if rng.random() > 0.62:
            continue
        product = shop.catalogue.products[rng.integers(len(shop.catalogue.products))]
        if rng.random() < 0.65:  # upright, any side to the camera
            turn = Rotation.from_euler("zx", [rng.uniform(0, 360), rng.normal(0, 15)], degrees=True).as_matrix()
        else:
            turn = Rotation.random(rng=rng).as_matrix()
        pose = np.eye(4)
        pose[:3, :3] = turn
        middle = turn @ [0, 0, product.size_m[2] * rng.uniform(0.35, 0.65)]
        away = min(min(product.size_m[:2]) / 2, 0.055) + 0.012
        pose[:3, 3] = palm[:3, 3] + palm[:3, 2] * away + palm[:3, 0] * 0.02 - middle
        out.append((product.gtin, product_mesh(product, shop.atlas).moved(pose)))
    return out
