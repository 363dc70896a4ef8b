# SPDX-License-Identifier: AGPL-3.0-or-later
"""A small shop with one face of three boards and eight ceiling cameras, for the tests of the shelf stage."""

from __future__ import annotations

import numpy as np
import pytest

from calibration.catalogue import Catalogue, Planogram, Product, gtin_check_digit
from calibration.layout import CameraSpec, Gate, Gondola, Shelf, Slot, StoreLayout

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
