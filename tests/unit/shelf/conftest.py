# SPDX-License-Identifier: AGPL-3.0-or-later
"""A small shop with one face of three boards and eight ceiling cameras, for the tests of the shelf stage."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import cv2
import numpy as np
import pytest

from calibration.catalogue import Catalogue, Planogram, Product, gtin_check_digit
from calibration.layout import CameraSpec, Gate, Gondola, Shelf, Slot, StoreLayout
from pipeline.shelf.views import item_front

POSITIONS_M = ((0.3, 0.3), (1.9, 0.2), (3.5, 0.2), (5.2, 0.3), (0.3, 2.2), (5.3, 2.2), (1.5, 1.0), (4.2, 1.0))


def _gtin(number: int) -> str:
    digits = f"20{number:010d}"
    return digits + str(gtin_check_digit(digits))


@pytest.fixture(scope="session")
def layout() -> StoreLayout:
    shelves = tuple(
        Shelf(
            id=f"g1.{i + 1}", height_m=0.4 + 0.4 * i, depth_m=0.38, clearance_m=0.37,
            slots=tuple(
                Slot(id=f"g1.{i + 1}.{k + 1}", start_m=round(0.1 * k, 2), end_m=round(0.1 * k + 0.1, 2))
                for k in range(10)
            ),
        )
        for i in range(3)
    )  # fmt: skip
    return StoreLayout(
        store_id="test-shop",
        floor_m=((0, 0), (5.6, 0), (5.6, 2.8), (0, 2.8)),
        cameras=tuple(
            CameraSpec(
                id=f"cam{i + 1}", focal_px=(700, 700), distortion=(-0.09, 0.02, 0, 0, 0), position_m=(x, y, 2.6),
                look_at_m=(2.8, 1.9, 0.9),
            )
            for i, (x, y) in enumerate(POSITIONS_M)
        ),
        gondolas=(
            Gondola(
                id="g1", origin_m=(2.3, 2.4), facing_deg=-90, width_m=1.0, height_m=1.9, depth_m=0.4, shelves=shelves
            ),
        ),
        gates=(Gate(id="gate", line_m=((0.5, 0.2), (0.5, 1.6)), inward=(1, 0), tap_m=(0.3, 1.0)),),
    )  # fmt: skip


@pytest.fixture(scope="session")
def catalogue() -> Catalogue:
    return Catalogue(
        currency="EUR",
        tax_classes={"standard": 200},
        products=tuple(
            Product(
                gtin=_gtin(i), name=f"Product {i}", price_minor=100 + i, tax_class="standard", shape="box",
                size_m=(0.08, 0.07, 0.2), weight_g=300,
            )
            for i in range(4)
        ),
    )  # fmt: skip


@pytest.fixture(scope="session")
def planogram(layout: StoreLayout, catalogue: Catalogue) -> Planogram:
    """Each product fills blocks of three slots."""
    slots = list(layout.slot_by_id)
    return Planogram(slots={s: catalogue.products[i // 3 % 4].gtin for i, s in enumerate(slots)})


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(7)


# --- pictures: flat-fronted items in the slots, enough for comparing pictures of shelves ---------------------------

GREY = 90


def label(gtin: str, size: tuple[int, int] = (48, 120)) -> np.ndarray:
    """A texture of coarse coloured blocks that belongs to a product."""
    rng = np.random.default_rng(int(gtin))
    blocks = rng.integers(30, 226, (6, 3, 3), dtype=np.uint8)
    return cv2.resize(blocks, size, interpolation=cv2.INTER_NEAREST)


def _paint(
    layout: StoreLayout,
    camera_id: str,
    missing: Mapping[str, int],
    gtin_of: Mapping[str, str],
    size_m: tuple[float, float, float] = (0.08, 0.07, 0.2),
    rng: np.random.Generator | None = None,
    brightness: float = 1.0,
) -> np.ndarray:
    """uint8 (720, 1280, 3). `missing`: slot id -> how many items have gone from its front; the rest are full."""
    camera = layout.camera_by_id[camera_id]
    image = np.full((camera.size_px[1], camera.size_px[0], 3), GREY, np.uint8)
    pitch = size_m[1] + 0.01
    for slot_id, gtin in gtin_of.items():
        gondola, shelf, slot = layout.slot_by_id[slot_id]
        texture = label(gtin)
        height, width = texture.shape[:2]
        corners = np.array([[0, height], [width, height], [width, 0], [0, 0]], np.float32) - 0.5
        for k in range(4, -1, -1):  # from the back to the front
            if k < missing.get(slot_id, 0):
                continue
            quad = camera.project(item_front(gondola, shelf, slot, size_m, k * pitch)).astype(np.float32)
            top = camera.project(item_front(gondola, shelf, slot, size_m, k * pitch + size_m[1]))[[3, 2]]
            lid = np.concatenate([quad[[3, 2]], top[::-1]])
            cv2.fillConvexPoly(image, np.round(lid).astype(np.int32), texture[0, 0].tolist())
            warp = cv2.getPerspectiveTransform(corners, quad)
            x1, y1 = np.maximum(np.floor(quad.min(0)).astype(int) - 1, 0)
            x2, y2 = np.ceil(quad.max(0)).astype(int) + 2
            shift = np.array([[1, 0, -x1], [0, 1, -y1], [0, 0, 1]], float)
            part = image[y1:y2, x1:x2]
            drawn = cv2.warpPerspective(texture, shift @ warp, part.shape[1::-1])
            inside = np.zeros(part.shape[:2], np.uint8)
            cv2.fillConvexPoly(inside, np.round(quad - (x1, y1)).astype(np.int32), 1)
            part[inside > 0] = drawn[inside > 0]
    out = image.astype(np.float32) * brightness
    if rng is not None:
        out += rng.normal(0, 4, out.shape)
    return np.clip(out, 0, 255).astype(np.uint8)


@pytest.fixture(scope="session")
def paint() -> Callable[..., np.ndarray]:
    """Draws a camera's picture of the shop: `paint(layout, camera_id, missing, gtin_of, ...)`."""
    return _paint
