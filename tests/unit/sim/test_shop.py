# SPDX-License-Identifier: AGPL-3.0-or-later
from pathlib import Path

import cv2
import numpy as np
import pytest

from calibration.catalogue import Product, load_catalogue, load_planogram
from calibration.layout import load_layout
from sim.shop import make_nanostore
from sim.shop.labels import draw_label, ean13_modules
from sim.shop.products import product_mesh
from sim.shop.room_style import RoomStyle, random_style
from sim.shop.scene import shop_atlas, shop_scene, slot_mesh
from sim.shop.stock import fill, slot_item_poses

STORE = Path(__file__).parents[3] / "sim" / "stores" / "nanostore"


@pytest.fixture(scope="module")
def shop():
    layout, catalogue = load_layout(STORE / "layout.yaml"), load_catalogue(STORE / "catalogue.yaml")
    return layout, catalogue, load_planogram(STORE / "planogram.yaml", layout, catalogue)


@pytest.fixture(scope="module")
def atlas(shop):
    return shop_atlas(shop[0], shop[1], RoomStyle())


def test_the_shipped_files_are_what_the_generator_writes(tmp_path):
    make_nanostore.write(tmp_path)
    for name in ("layout", "catalogue", "planogram"):
        assert (tmp_path / f"{name}.yaml").read_bytes() == (STORE / f"{name}.yaml").read_bytes()


def test_the_shop_is_as_large_as_promised(shop):
    layout, catalogue, planogram = shop
    assert len(layout.gondolas) == 5 and len(layout.cameras) == 8
    assert {len(g.shelves) for g in layout.gondolas} <= {5, 6}
    assert min(sum(len(s.slots) for s in g.shelves) for g in layout.gondolas) >= 30
    assert len(catalogue.products) >= 36
    assert {p.shape for p in catalogue.products} == {"box", "can", "bottle", "bag", "tub"}
    assert set(planogram.slots.values()) == set(catalogue.by_gtin)


def test_every_planned_product_fits_its_slot_with_room_for_a_hand(shop):
    layout, catalogue, planogram = shop
    for slot_id, gtin in planogram.slots.items():
        _, shelf, slot = layout.slot_by_id[slot_id]
        product = catalogue.by_gtin[gtin]
        assert slot.end_m - slot.start_m >= product.size_m[0] + 0.02
        assert shelf.clearance_m >= product.size_m[2] + 0.02
        assert len(slot_item_poses(layout, slot_id, product)) >= 2


def test_items_stand_inside_their_slot_front_to_back_without_touching(shop, atlas):
    layout, catalogue, planogram = shop
    for slot_id, gtin in list(planogram.slots.items())[::7]:
        gondola, shelf, slot = layout.slot_by_id[slot_id]
        product = catalogue.by_gtin[gtin]
        corners = product_mesh(product, atlas).vertices_m
        poses = slot_item_poses(layout, slot_id, product, seed=3)
        last_back = 0.0
        for pose in poses:
            assert pose[:3, :3] @ pose[:3, :3].T == pytest.approx(np.eye(3), abs=1e-9)
            along, out, up = gondola.to_face(corners @ pose[:3, :3].T + pose[:3, 3]).T
            assert along.min() >= slot.start_m - 1e-6 and along.max() <= slot.end_m + 1e-6
            assert out.max() <= last_back - 0.001 and out.min() >= -shelf.depth_m - 1e-6
            assert up.min() == pytest.approx(shelf.height_m, abs=1e-6)
            assert up.max() <= shelf.height_m + shelf.clearance_m
            last_back = out.min()
        front = gondola.to_face(corners @ poses[0][:3, :3].T + poses[0][:3, 3])[:, 1].max()
        assert -0.025 < front < -0.005
        # The front side of an item looks at the shopper.
        assert -poses[0][:3, 1] @ gondola.normal > 0.9


def test_a_product_that_is_too_big_for_the_slot_has_no_place(shop):
    layout, catalogue, _ = shop
    giant = catalogue.products[0].model_copy(update={"size_m": (0.5, 0.1, 0.1)})
    tower = catalogue.products[0].model_copy(update={"size_m": (0.06, 0.06, 0.5)})
    for product in (giant, tower):
        assert slot_item_poses(layout, "g1.1.1", product).shape == (0, 4, 4)


def test_filling_follows_levels_and_seed(shop):
    layout, catalogue, planogram = shop
    some = fill(layout, catalogue, planogram, np.random.default_rng(5))
    again = fill(layout, catalogue, planogram, np.random.default_rng(5))
    other = fill(layout, catalogue, planogram, np.random.default_rng(6))
    assert [i.item_id for i in some] == [i.item_id for i in again]
    assert all((a.pose == b.pose).all() for a, b in zip(some, again, strict=True))
    assert not all((a.pose == b.pose).all() for a, b in zip(some, other, strict=False))
    assert len({i.item_id for i in some}) == len(some)
    full = fill(layout, catalogue, planogram, np.random.default_rng(5), levels={"g1.1.1": 0.0})
    assert len(full) > len(some)
    assert not [i for i in full if i.slot_id == "g1.1.1"]
    assert all(i.gtin == planogram.slots[i.slot_id] for i in full)


def test_meshes_are_small_closed_to_the_front_and_inside_their_size(shop, atlas):
    for product in shop[1].products:
        mesh = product_mesh(product, atlas)
        width, depth, height = product.size_m
        low, high = mesh.vertices_m.min(axis=0), mesh.vertices_m.max(axis=0)
        assert (low >= [-width / 2 - 1e-5, -depth / 2 - 1e-5, -1e-5]).all()
        assert (high <= [width / 2 + 1e-5, depth / 2 + 1e-5, height + 1e-5]).all()
        assert (high - low >= 0.85 * np.array([width, depth, height])).all()
        assert len(mesh.vertices_m) <= 250
        corners = mesh.vertices_m[mesh.faces]
        outward = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
        real = np.linalg.norm(outward, axis=1) > 1e-9
        assert ((outward * mesh.normals[mesh.faces].mean(axis=1)).sum(axis=1)[real] > 0).all()


def test_the_front_of_a_label_is_not_mirrored(shop, atlas):
    """Seen from the shopper's side, what is left on the label's front is left on the product."""
    for product in shop[1].products:
        mesh = product_mesh(product, atlas)
        u0, v0, u1, v1 = atlas.rects[product.gtin]
        share = (mesh.uv[:, 0] - u0) / (u1 - u0)
        up = (mesh.uv[:, 1] - v0) / (v1 - v0)
        on_strip = (share > 0.02) & (share < atlas.front_shares[product.gtin] - 0.02) & (up > -1e-3) & (up < 1.001)
        front = on_strip & (mesh.normals[:, 1] < -0.2)
        if product.shape == "box":  # corners only: the front's own four
            front = (mesh.normals[:, 1] < -0.9) & (up > -1e-3) & (up < 1.001)
        assert np.corrcoef(share[front], mesh.vertices_m[front, 0])[0, 1] > 0.9
        assert np.corrcoef(up[front], mesh.vertices_m[front, 2])[0, 1] > 0.9


def test_the_atlas_keeps_a_white_corner_and_textures_apart(atlas):
    assert (atlas.image[-8:, :8] == 255).all()
    height, width = atlas.image.shape[:2]
    taken = np.zeros((height, width), bool)
    for u0, v0, u1, v1 in atlas.rects.values():
        rows = slice(round((1 - v1) * height), round((1 - v0) * height))
        columns = slice(round(u0 * width), round(u1 * width))
        assert not taken[rows, columns].any()
        taken[rows, columns] = True


def test_the_drawn_barcode_is_the_gtin(shop):
    detector = cv2.barcode.BarcodeDetector()
    for product in shop[1].products[::5]:
        bars = np.pad(255 * (1 - ean13_modules(product.gtin)), 11, constant_values=255)
        read = set()
        for module_px, tall_px in ((2, 100), (3, 300), (4, 400), (2, 160)):  # the reader wants a size to its liking
            picture = np.full((tall_px + 80, module_px * len(bars) + 80), 255, np.uint8)
            picture[40:-40, 40:-40] = np.repeat(bars, module_px)[None]
            read.add(detector.detectAndDecode(cv2.cvtColor(picture, cv2.COLOR_GRAY2BGR))[0])
        assert read - {""} == {product.gtin}


def test_a_label_carries_its_barcode_where_it_is_large_enough(shop):
    product: Product = next(p for p in shop[1].products if p.shape == "box")
    strip = draw_label(product).strip[..., 0].astype(int)
    bars = 255 * (1 - ean13_modules(product.gtin).astype(int))
    flat = [
        row
        for row in strip
        if np.abs(np.convolve(row - 127, (bars - 127)[::-1], "valid")).max() > 0.99 * 127 * 127 * 95
    ]
    assert len(flat) > 20


def test_products_differ_in_colour_or_layout_at_shelf_resolution(shop):
    """At 3 px/cm most pairs must differ clearly; the few alike on purpose are known by name."""
    fronts = {}
    for product in shop[1].products:
        label = draw_label(product)
        front = label.strip[:, : round(label.front_share * label.strip.shape[1])]
        fronts[product.name] = (product.shape, cv2.resize(front, (20, 36), interpolation=cv2.INTER_AREA).astype(float))
    names = list(fronts)
    alike = [
        (a, b)
        for i, a in enumerate(names)
        for b in names[i + 1 :]
        if fronts[a][0] == fronts[b][0] and np.abs(fronts[a][1] - fronts[b][1]).mean() < 25
    ]
    assert len(alike) <= 5, alike


def test_a_scene_holds_the_room_and_each_slot_under_its_name(shop, atlas):
    layout, catalogue, planogram = shop
    items = fill(layout, catalogue, planogram, np.random.default_rng(1))
    scene = shop_scene(layout, catalogue, planogram, items, atlas=atlas)
    assert set(scene.keyed) == set(planogram.slots)
    room = np.concatenate([m.vertices_m for m in scene.static])
    assert room[:, 2].max() <= layout.ceiling_m + 0.1
    gondola, _, slot = layout.slot_by_id["g3.2.1"]
    along, _, _ = gondola.to_face(scene.keyed["g3.2.1"].vertices_m).T
    assert slot.start_m <= along.min() and along.max() <= slot.end_m
    assert slot_mesh(layout, catalogue, [], atlas) is None


def test_random_rooms_differ_and_repeat(shop):
    styles = [random_style(np.random.default_rng(s)) for s in range(6)]
    assert styles[0] == random_style(np.random.default_rng(0))
    assert len({s.wall_colour for s in styles}) == 6
    for style in styles[:3]:
        colours = (style.floor_colour, style.wall_colour, style.body_colour, style.board_colour, style.rail_colour)
        assert all(0 <= c <= 1 for colour in colours for c in colour)
        atlas = shop_atlas(shop[0], shop[1], style)
        for mesh in shop_scene(shop[0], shop[1], shop[2], [], style, atlas=atlas).static:
            assert np.isfinite(mesh.vertices_m).all() and mesh.uv.min() >= 0 and mesh.uv.max() <= 1
