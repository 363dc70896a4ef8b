# SPDX-License-Identifier: AGPL-3.0-or-later
"""The files that say what things cost: `prices.yaml` and `promotions.yaml`, beside a store's `catalogue.yaml`.

Both may be left out. docs/bill.md shows them with examples.
"""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Literal, Self
from zoneinfo import ZoneInfo

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from calibration.layout import parse_model
from pipeline.cart.money import check_currency

PRICES, PROMOTIONS = "prices.yaml", "promotions.yaml"
Currency = Annotated[str, Field(pattern=r"^[A-Z]{3}$")]
Moment = datetime | date | None
"""A date is its first instant in the file's time zone, and so is a time without an offset."""


def check_timezone(name: str) -> str:
    """The name of a time zone that this machine knows, or `ValueError`."""
    try:
        ZoneInfo(name)
    except (OSError, ValueError, KeyError):
        raise ValueError(f"no time zone {name!r} here, e.g. Europe/Paris (needs the system's tzdata)") from None
    return name


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)


class Validity(_Model):
    """Where and when something holds: from the first moment to just before the last, in the named stores or in all."""

    since: Moment = Field(default=None, alias="from")
    until: Moment = None
    stores: tuple[str, ...] = Field(default=(), description="store ids; none named: every store")

    @field_validator("stores")
    @classmethod
    def _no_repeats(cls, stores: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(stores)) < len(stores):
            raise ValueError("a store is named twice")
        return stores


class Price(Validity):
    gtin: str
    price_minor: int = Field(ge=0)


class TaxRate(Validity):
    """`percent`: up to four decimals; 8.875 is eight and seven eighths percent."""

    tax_class: str
    percent: Decimal = Field(ge=0, le=100, decimal_places=4)

    @property
    def ppm(self) -> int:
        return int(self.percent * 10_000)


class _File(_Model):
    schema_version: Literal[1] = 1
    currency: Currency
    timezone: str = "UTC"

    @field_validator("currency")
    @classmethod
    def _iso_4217(cls, code: str) -> str:
        return check_currency(code)

    @field_validator("timezone")
    @classmethod
    def _zone(cls, name: str) -> str:
        return check_timezone(name)


class PriceList(_File):
    """`prices_include_tax`: VAT included, as in Europe; false: tax is added at the end, as in the USA."""

    prices_include_tax: bool = True
    tax_rates: tuple[TaxRate, ...] = ()
    prices: tuple[Price, ...] = ()


class _Promotion(Validity):
    """`gtins`, `tax_classes`: what it is for; neither: everything. `coupon`: only for who presents one."""

    id: str = Field(min_length=1)
    text: str = Field(min_length=1, description="as on the receipt")
    gtins: tuple[str, ...] = ()
    tax_classes: tuple[str, ...] = ()
    coupon: bool = False


class _MultiBuy(_Promotion):
    buy: int = Field(ge=2, description="units of the named products, mixed as one likes")
    times: int | None = Field(default=None, ge=1, description="at most so often in a visit; None: as often as it fits")


class NForM(_MultiBuy):
    """`buy` units cost as much as the `pay` dearest of them."""

    kind: Literal["n-for-m"]
    pay: int = Field(ge=1)

    @model_validator(mode="after")
    def _gives(self) -> Self:
        if self.pay >= self.buy:
            raise ValueError(f"promotion {self.id}: pay {self.pay} must be less than buy {self.buy}")
        return self


class NForPrice(_MultiBuy):
    """`buy` units cost `price_minor`, when that is less."""

    kind: Literal["n-for-price"]
    price_minor: int = Field(ge=0)


class PercentOff(_Promotion):
    kind: Literal["percent"]
    percent: Decimal = Field(gt=0, le=100, decimal_places=2)

    @property
    def basis_points(self) -> int:
        return int(self.percent * 100)


class AmountOff(_Promotion):
    """`amount_minor` off what is left to pay for the named products, when that is at least `minimum_minor`."""

    kind: Literal["amount"]
    amount_minor: int = Field(gt=0)
    minimum_minor: int = Field(default=0, ge=0)


Promotion = NForM | NForPrice | PercentOff | AmountOff


class Promotions(_File):
    """In the order in which they are tried; a unit takes part in the first one that it fits."""

    promotions: tuple[Annotated[Promotion, Field(discriminator="kind")], ...] = ()

    @model_validator(mode="after")
    def _ids(self) -> Self:
        seen = {"refund"}  # what staff give back on a line goes by that name
        for promotion in self.promotions:
            if promotion.id in seen:
                raise ValueError(f"promotion id {promotion.id!r} is taken already")
            seen.add(promotion.id)
        return self


def load_price_list(path: Path | str) -> PriceList:
    """`LayoutError` names the file and the field."""
    return parse_model(PriceList, path)


def load_promotions(path: Path | str) -> Promotions:
    """`LayoutError` names the file and the field."""
    return parse_model(Promotions, path)
