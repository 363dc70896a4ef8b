# SPDX-License-Identifier: AGPL-3.0-or-later
"""The shipped shop as a place to take pictures in: its cameras slightly displaced, its shelves filled differently."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
from shapely.geometry import Point

from calibration.camera import Camera
from calibration.catalogue import Catalogue, Product, load_catalogue, load_planogram
from calibration.layout import load_layout
from sim.render.engine import Renderer
from sim.render.mesh import Light, Mesh
from sim.shop.products import build_atlas, product_mesh
from sim.shop.room import lamp_positions
from sim.shop.room_style import RoomStyle
from sim.shop.scene import shop_atlas, shop_scene
from sim.shop.stock import Item, fill

STORE = Path(__file__).parents[1] / "stores" / "nanostore"


class ShopRoom:
    """Stock, light and cameras of the shop; `restock` draws new ones. `size_px`: size of the pictures."""

    def __init__(self, rng: np.random.Generator, size_px: tuple[int, int]) -> None:
        self._rng, self._size_px = rng, size_px
        self.layout = load_layout(STORE / "layout.yaml")
        self.catalogue = load_catalogue(STORE / "catalogue.yaml")
        self.planogram = load_planogram(STORE / "planogram.yaml", self.layout, self.catalogue)
        self._style = RoomStyle()
        self.atlas = shop_atlas(self.layout, self.catalogue, self._style)
        self.items: list[Item] = []

    @property
    def size_m(self) -> np.ndarray:
        return np.array(self.layout.floor.bounds[2:])

    def is_free(self, xy_m: np.ndarray, margin_m: float = 0.15) -> bool:
        """Not in a gondola and on the floor."""
        point = Point(xy_m)
        return self.layout.floor.contains(point) and all(
            g.footprint.distance(point) > margin_m for g in self.layout.gondolas
        )

    def restock(self, change: Callable[[list[Item]], list[Item]] | None = None) -> None:
        """Other stock, other light, cameras moved by some millimetres and tenths of a degree.

        `change`: what else is done to the items before they are drawn.
        """
        rng = self._rng
        low = rng.uniform(0.05, 0.9)
        self.items = fill(
            self.layout, self.catalogue, self.planogram, rng, (low, min(1.0, low + rng.uniform(0.1, 0.6)))
        )
        if change is not None:
            self.items = change(self.items)
        self._draw_from(self.items)

    def _draw_from(self, items: list[Item]) -> None:
        rng = self._rng
        tint = np.array([1.0, 0.98, 0.94]) + rng.normal(0, 0.03, 3)
        light = Light(
            float(rng.uniform(0.42, 0.7)),
            float(rng.uniform(0.4, 0.8)),
            tuple(map(float, tint)),
            lamp_positions(self.layout),
        )
        scene = shop_scene(self.layout, self.catalogue, self.planogram, items, self._style, light, self.atlas)
        self.cameras = [self._displaced(spec.camera()) for spec in self.layout.cameras]
        self.renderer = Renderer(scene, self.cameras)

    def _displaced(self, camera: Camera) -> Camera:
        rng = self._rng
        turn = cv2.Rodrigues(np.deg2rad(rng.normal(0, 1.0, 3)))[0]
        scale = self._size_px[0] / camera.size_px[0]
        matrix = camera.matrix * np.array([[scale], [scale], [1.0]])
        matrix[:2, 2] += (scale - 1) / 2
        matrix[[0, 1], [0, 1]] *= 1 + rng.normal(0, 0.01)
        position = camera.position_m + rng.normal(0, 0.01, 3)
        return Camera(camera.camera_id, self._size_px, matrix, camera.distortion, turn @ camera.rotation, position)


def bare_mesh(product: Product) -> Mesh:
    """The product's shape in its own frame; its texture coordinates belong to no atlas of a shop."""
    alone = Catalogue(currency="EUR", tax_classes={product.tax_class: 0}, products=(product,))
    return product_mesh(product, build_atlas(alone))
