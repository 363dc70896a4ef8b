# SPDX-License-Identifier: AGPL-3.0-or-later
"""Catalogue (what is sold) and planogram (which slot holds what)."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import Literal, Self

from babel.numbers import list_currencies
from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from calibration.layout import StoreLayout, parse_model
from pipeline.errors import LayoutError


def gtin_check_digit(digits: str) -> int:
    """Check digit of a GTIN without it (GS1 General Specifications, 7.9): weights 3, 1, 3 ... from the right."""
    return -sum(int(d) * (3 if i % 2 == 0 else 1) for i, d in enumerate(reversed(digits))) % 10


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", ignored_types=(cached_property,))


class Product(_Model):
    """One article. `size_m`: width, depth, height as it stands on the shelf.

    `price_minor` and the tax rate hold always and in every store; where they do not, the price list (`prices.yaml`,
    docs/bill.md) says what does. `minimum_age`: whoever takes it is charged when staff have confirmed that age.
    """

    gtin: str
    name: str
    price_minor: int | None = Field(
        default=None, ge=0, description="price of one, minor units; tax included unless the price list says otherwise"
    )
    tax_class: str
    minimum_age: int | None = Field(default=None, ge=1, le=30)
    shape: Literal["box", "can", "bottle", "bag", "tub"]
    size_m: tuple[float, float, float]
    weight_g: float = Field(gt=0)
    label: dict = Field(default_factory=dict, description="how the simulator draws it; ignored elsewhere")

    @field_validator("gtin")
    @classmethod
    def _valid_gtin(cls, value: str) -> str:
        if not value.isdigit() or len(value) not in (8, 12, 13, 14):
            raise ValueError(f"GTIN {value!r} must have 8, 12, 13 or 14 digits")
        expected = gtin_check_digit(value[:-1])
        if int(value[-1]) != expected:
            raise ValueError(f"GTIN {value} has check digit {value[-1]}, expected {expected}")
        return value


class Catalogue(_Model):
    schema_version: int = 1
    currency: str = Field(pattern=r"^[A-Z]{3}$")
    tax_classes: dict[str, int] = Field(description="tax class -> rate in permille, e.g. standard: 200")
    products: tuple[Product, ...] = Field(min_length=1)

    @field_validator("currency")
    @classmethod
    def _iso_4217(cls, code: str) -> str:
        if code not in list_currencies():
            raise ValueError(f"currency {code!r} is not an ISO 4217 code, e.g. EUR")
        return code

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        seen: set[str] = set()
        for product in self.products:
            if product.gtin in seen:
                raise ValueError(f"GTIN {product.gtin} ({product.name}) is listed twice")
            seen.add(product.gtin)
            if product.tax_class not in self.tax_classes:
                raise ValueError(f"GTIN {product.gtin}: tax class {product.tax_class!r} is not in tax_classes")
        return self

    @cached_property
    def by_gtin(self) -> dict[str, Product]:
        return {p.gtin: p for p in self.products}

    @cached_property
    def gtins(self) -> tuple[str, ...]:
        """Sorted; position is the class index of the product network."""
        return tuple(sorted(p.gtin for p in self.products))


class Planogram(_Model):
    """`slots`: slot id -> GTIN. Slots that are not named are empty by plan."""

    schema_version: int = 1
    slots: dict[str, str]


def load_catalogue(path: Path | str) -> Catalogue:
    """Read a catalogue file; `LayoutError` names the file and the field."""
    return parse_model(Catalogue, path)


def load_planogram(path: Path | str, layout: StoreLayout, catalogue: Catalogue) -> Planogram:
    """Read a planogram and check it against the layout and the catalogue; `LayoutError` names what does not fit."""
    planogram = parse_model(Planogram, path)
    for slot_id, gtin in planogram.slots.items():
        if slot_id not in layout.slot_by_id:
            raise LayoutError(f"{path}: slots.{slot_id}: no such slot in the layout of store {layout.store_id}")
        if gtin not in catalogue.by_gtin:
            raise LayoutError(f"{path}: slots.{slot_id}: product {gtin} is not in the catalogue")
    return planogram
