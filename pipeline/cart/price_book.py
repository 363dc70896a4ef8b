# SPDX-License-Identifier: AGPL-3.0-or-later
"""`PriceBook`: what a product costs in a store at a moment, with which tax, and what promotions there are.

The catalogue's own price holds always and everywhere, unless the price list names the product; then only the price list
counts, and a moment that it leaves out has no price. The catalogue's tax rate holds wherever the price list has none.
An entry that names the store goes before one for all stores. All files speak of one currency.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, time
from itertools import pairwise
from pathlib import Path
from typing import Generic, TypeVar
from zoneinfo import ZoneInfo

from calibration.catalogue import Catalogue, Product
from pipeline.cart.price_files import (
    PRICES,
    PROMOTIONS,
    Moment,
    PriceList,
    Promotion,
    Promotions,
    Validity,
    load_price_list,
    load_promotions,
)
from pipeline.errors import LayoutError

V = TypeVar("V")
_S = 1_000_000_000
_EVER = 1 << 63


@dataclass(frozen=True)
class _Period(Generic[V]):
    since_ns: int
    until_ns: int
    stores: tuple[str, ...]
    value: V

    def holds(self, store_id: str, at_ns: int) -> bool:
        return self.since_ns <= at_ns < self.until_ns and (not self.stores or store_id in self.stores)


class PriceBook:
    """Raises `LayoutError` where the files do not fit together: another currency, a product that the catalogue does not
    have, two prices at once."""

    def __init__(
        self, catalogue: Catalogue, price_list: PriceList | None = None, promotions: Promotions | None = None
    ) -> None:
        self.catalogue = catalogue
        self.currency = catalogue.currency
        self.prices_include_tax = price_list.prices_include_tax if price_list else True
        self._prices: dict[str, list[_Period[int]]] = {}
        self._rates_ppm: dict[str, list[_Period[int]]] = {}
        if price_list:
            self._same_currency(price_list.currency, "price list")
            zone = ZoneInfo(price_list.timezone)
            for entry in price_list.prices:
                self._known_product(entry.gtin, "price list")
                self._prices.setdefault(entry.gtin, []).append(_period(entry, zone, entry.price_minor))
            for rate in price_list.tax_rates:
                if rate.tax_class not in catalogue.tax_classes:
                    raise LayoutError(f"price list: tax class {rate.tax_class!r} is not in the catalogue")
                self._rates_ppm.setdefault(rate.tax_class, []).append(_period(rate, zone, rate.ppm))
        for what, periods in (*self._prices.items(), *self._rates_ppm.items()):
            _no_overlap(what, periods)
        self._promotions: list[_Period[Promotion]] = []
        if promotions:
            self._same_currency(promotions.currency, "promotions")
            zone = ZoneInfo(promotions.timezone)
            for promotion in promotions.promotions:
                for gtin in promotion.gtins:
                    self._known_product(gtin, f"promotion {promotion.id}")
                for tax_class in promotion.tax_classes:
                    if tax_class not in catalogue.tax_classes:
                        raise LayoutError(f"promotion {promotion.id}: tax class {tax_class!r} is not in the catalogue")
                self._promotions.append(_period(promotion, zone, promotion))

    @classmethod
    def of(cls, given: PriceBook | Catalogue) -> PriceBook:
        """A catalogue alone is a price book, too."""
        return given if isinstance(given, PriceBook) else cls(given)

    @classmethod
    def load(cls, folder: Path | str, catalogue: Catalogue) -> PriceBook:
        """With the folder's `prices.yaml` and `promotions.yaml`, where they are there."""
        prices, promotions = Path(folder) / PRICES, Path(folder) / PROMOTIONS
        try:
            return cls(
                catalogue,
                load_price_list(prices) if prices.exists() else None,
                load_promotions(promotions) if promotions.exists() else None,
            )
        except LayoutError as error:
            text = str(error)
            raise LayoutError(text if text.startswith(str(folder)) else f"{folder}: {text}") from None

    def product(self, gtin: str) -> Product | None:
        return self.catalogue.by_gtin.get(gtin)

    def price(self, gtin: str, store_id: str, at_ns: int) -> int | None:
        """Minor units for one; None where there is no price."""
        if gtin in self._prices:
            return _value(self._prices[gtin], store_id, at_ns)
        product = self.product(gtin)
        return product.price_minor if product else None

    def rate_ppm(self, tax_class: str, store_id: str, at_ns: int) -> int:
        """The tax rate in parts per million; the catalogue's where the price list has none for that moment."""
        rate = _value(self._rates_ppm.get(tax_class, ()), store_id, at_ns)
        return self.catalogue.tax_classes[tax_class] * 1000 if rate is None else rate

    def promotions(self, store_id: str, gtin: str, at_ns: int) -> tuple[Promotion, ...]:
        """What a product taken at that moment may take part in, with and without coupon, in the file's order."""
        product = self.product(gtin)
        return tuple(
            p.value for p in self._promotions if product and p.holds(store_id, at_ns) and _is_for(p.value, product)
        )

    def all_promotions(self) -> tuple[Promotion, ...]:
        return tuple(p.value for p in self._promotions)

    def promotion(self, promotion_id: str) -> Promotion | None:
        return next((p.value for p in self._promotions if p.value.id == promotion_id), None)

    def _same_currency(self, currency: str, what: str) -> None:
        if currency != self.currency:
            raise LayoutError(f"{what}: its currency is {currency}, the catalogue's {self.currency}; they must be one")

    def _known_product(self, gtin: str, what: str) -> None:
        if gtin not in self.catalogue.by_gtin:
            raise LayoutError(f"{what}: product {gtin} is not in the catalogue")


def _is_for(promotion: Promotion, product: Product) -> bool:
    if not promotion.gtins and not promotion.tax_classes:
        return True
    return product.gtin in promotion.gtins or product.tax_class in promotion.tax_classes


def _period(entry: Validity, zone: ZoneInfo, value: V) -> _Period[V]:
    since_ns, until_ns = _ns(entry.since, zone, 0), _ns(entry.until, zone, _EVER)
    if since_ns >= until_ns:
        raise LayoutError(f"{_name(entry)}: it ends ({entry.until}) before it begins ({entry.since})")
    return _Period(since_ns, until_ns, entry.stores, value)


def _ns(moment: Moment, zone: ZoneInfo, missing: int) -> int:
    if moment is None:
        return missing
    if not isinstance(moment, datetime):
        moment = datetime.combine(moment, time(0))
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=zone)
    return int(moment.timestamp() * 1_000_000) * 1000


def _no_overlap(what: str, periods: Iterable[_Period]) -> None:
    """No two values at once for one store, or for all of them."""
    by_store: dict[str, list[_Period]] = {}
    for period in periods:
        for store in period.stores or ("",):
            by_store.setdefault(store, []).append(period)
    for store, found in by_store.items():
        found.sort(key=lambda p: p.since_ns)
        for before, after in pairwise(found):
            if after.since_ns < before.until_ns:
                where = f"in store {store} " if store else ""
                raise LayoutError(
                    f"price list: {what} has two values {where}from {_date(after.since_ns)} on "
                    f"({before.value} and {after.value}); end the first one there"
                )


def _value(periods: Iterable[_Period[V]], store_id: str, at_ns: int) -> V | None:
    holding = [p for p in periods if p.holds(store_id, at_ns)]
    return max(holding, key=lambda p: bool(p.stores)).value if holding else None


def _name(entry: Validity) -> str:
    for field in ("gtin", "tax_class", "id"):
        if hasattr(entry, field):
            return f"price list: {getattr(entry, field)}" if field != "id" else f"promotion {entry.id}"
    return "entry"


def _date(at_ns: int) -> str:
    return datetime.fromtimestamp(at_ns / _S, ZoneInfo("UTC")).strftime("%Y-%m-%d %H:%M UTC") if at_ns else "ever"
