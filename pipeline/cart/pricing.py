# SPDX-License-Identifier: AGPL-3.0-or-later
"""Money: integers in the currency's minor unit, from units to lines, totals and taxes.

Prices include VAT. Tax is worked out once per tax class from the class's gross total, not per line: fewer roundings,
and what most countries with tax-included prices allow (EU Directive 2006/112/EC leaves the method to the member
states). The net amount is rounded half up to the minor unit and the tax is the rest, so that net and tax always add up
to what is paid.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from calibration.catalogue import Catalogue
from pipeline.cart.units import Cart, Unit
from pipeline.messages import ReceiptLine, TaxLine

UNKNOWN_PRODUCT = "not in the catalogue"


def net_of(gross_minor: int, rate_permille: int) -> int:
    """Net part of a tax-included amount: gross * 1000 / (1000 + rate), rounded half up. Exact integer arithmetic."""
    if gross_minor < 0 or rate_permille < 0:
        raise ValueError(f"amount and rate must not be negative, got {gross_minor} and {rate_permille}")
    divisor = 1000 + rate_permille
    return (2 * gross_minor * 1000 + divisor) // (2 * divisor)


def price_lines(cart: Cart, catalogue: Catalogue) -> tuple[ReceiptLine, ...]:
    """Equal units become one line: billed lines first, then held ones, each by name and GTIN."""
    groups: dict[tuple, list[Unit]] = {}
    for unit in cart.units:
        reason = unit.reason or ("" if unit.gtin in catalogue.by_gtin else UNKNOWN_PRODUCT)
        groups.setdefault((unit.gtin, reason, unit.alternatives), []).append(unit)
    lines = [_line(*key, units, catalogue) for key, units in groups.items()]
    return tuple(sorted(lines, key=lambda line: (line.status, line.name, line.gtin, line.reason, line.event_ids)))


def total_of(lines: Iterable[ReceiptLine]) -> int:
    """What is charged: billed lines only."""
    return sum(line.total_minor for line in lines if line.status == "billed")


def taxes_of(lines: Iterable[ReceiptLine], rates_permille: Mapping[str, int]) -> tuple[TaxLine, ...]:
    """Net and tax of the billed lines by tax class; classes that do not occur are left out."""
    gross: dict[str, int] = {}
    for line in lines:
        if line.status == "billed":
            gross[line.tax_class] = gross.get(line.tax_class, 0) + line.total_minor
    return tuple(
        TaxLine(
            tax_class=tax_class,
            rate_ppm=rates_permille[tax_class] * 1000,
            net_minor=(net := net_of(amount, rates_permille[tax_class])),
            tax_minor=amount - net,
        )
        for tax_class, amount in sorted(gross.items())
    )


def _line(gtin: str, reason: str, alternatives, units: list[Unit], catalogue: Catalogue) -> ReceiptLine:
    product = catalogue.by_gtin.get(gtin)
    price = product.price_minor if product else 0
    return ReceiptLine(
        gtin=gtin,
        name=product.name if product else f"unknown product {gtin}",
        quantity=len(units),
        unit_price_minor=price,
        total_minor=price * len(units),
        tax_class=product.tax_class if product else "",
        event_ids=tuple(dict.fromkeys(i for unit in units for i in unit.event_ids)),
        status="held" if reason else "billed",
        reason=reason,
        alternatives=alternatives,
    )
