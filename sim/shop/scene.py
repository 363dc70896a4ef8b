# SPDX-License-Identifier: AGPL-3.0-or-later
"""Puts room, gondolas and stock together into what the renderer draws.

Build the atlas once per shop and style with `shop_atlas`; things that move get their mesh from the same atlas:
`product_mesh(product, atlas).moved(pose)` in a hand, `item_mesh` in a shelf.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from calibration.catalogue import Catalogue, Planogram
from calibration.layout import StoreLayout
from sim.render.mesh import Light, Mesh, Scene, merged
from sim.shop.products import Atlas, build_atlas, product_mesh
from sim.shop.room import lamp_positions, room_meshes, room_textures
from sim.shop.room_style import RoomStyle
from sim.shop.stock import Item


def shop_atlas(layout: StoreLayout, catalogue: Catalogue, style: RoomStyle) -> Atlas:
    """The textures of a shop: labels, floor, walls, posters."""
    return build_atlas(catalogue, room_textures(layout, style))


def item_mesh(layout: StoreLayout, catalogue: Catalogue, item: Item, atlas: Atlas) -> Mesh:
    """An item in its shelf, world frame; darker the deeper it stands, since the board above keeps the light off."""
    gondola, shelf, _ = layout.slot_by_id[item.slot_id]
    mesh = product_mesh(catalogue.by_gtin[item.gtin], atlas).moved(item.pose)
    _, out, up = np.moveaxis(gondola.to_face(mesh.vertices_m), -1, 0)
    return replace(
        mesh, colours=(mesh.colours * shelf_shade(-out, up - shelf.height_m, shelf)[:, None]).astype(np.float32)
    )


def slot_mesh(layout: StoreLayout, catalogue: Catalogue, items: Sequence[Item], atlas: Atlas) -> Mesh | None:
    """What stands in one slot as one mesh, for `Renderer.replace_static(slot_id, ...)`; None when it is empty."""
    return merged([item_mesh(layout, catalogue, item, atlas) for item in items]) if items else None


def shelf_shade(inward_m: np.ndarray, up_m: np.ndarray, shelf) -> np.ndarray:
    """Share of the ceiling's light in a shelf, 1 at the front edge; falls with depth and below the next board."""
    below = np.clip(up_m / shelf.clearance_m, 0, 1)
    return 1 - (0.35 + 0.25 * below) * np.clip(inward_m / shelf.depth_m, 0, 1)


def shop_scene(
    layout: StoreLayout,
    catalogue: Catalogue,
    planogram: Planogram,
    items: Sequence[Item],
    style: RoomStyle | None = None,
    light: Light | None = None,
    atlas: Atlas | None = None,
) -> Scene:
    """Everything that stands still; the content of each slot is keyed by its slot id, so that it can be replaced.

    Leave out of `items` what will be drawn as moving.
    """
    style = style or RoomStyle()
    atlas = atlas or shop_atlas(layout, catalogue, style)
    by_slot: dict[str, list[Item]] = {}
    for item in items:
        by_slot.setdefault(item.slot_id, []).append(item)
    return Scene(
        static=tuple(room_meshes(layout, style, atlas, planogram)),
        atlas=atlas.image,
        light=light or Light(lamps_m=lamp_positions(layout)),
        keyed={slot_id: slot_mesh(layout, catalogue, group, atlas) for slot_id, group in by_slot.items()},
    )
