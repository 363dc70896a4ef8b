# SPDX-License-Identifier: AGPL-3.0-or-later
"""From units to a bill: lines with the price of the moment at which they were taken, discounts, taxes, total.

Everything is a whole number of the currency's minor unit. Tax is worked out once per tax class from the class's sum
after discounts, not per line: fewer roundings, and what most places allow (EU Directive 2006/112/EC leaves the method
to the member states; in the USA the Streamlined Sales and Use Tax Agreement, section 324, lets the seller work it out
on the invoice). Where prices include tax, the net amount is rounded half up and the tax is the rest; where they do not,
the tax is rounded half up and added. Net and tax add up to what is paid either way. The rate is the one of the exit.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from pipeline.cart.money import half_up
from pipeline.cart.price_book import PriceBook
from pipeline.cart.promotions import Coupon, discounted
from pipeline.cart.rules import BillingRules
from pipeline.cart.units import Cart, Unit
from pipeline.messages import ReceiptLine, StaffDecision, TaxLine
from pipeline.reasons import AGE, NO_PRICE, NOBODY_TO_CHARGE, SEPARATOR, UNKNOWN_PRODUCT


@dataclass(frozen=True)
class Bill:
    """Lines with discounts, and what they add up to. `coupon_ids`: those that gave something."""

    lines: tuple[ReceiptLine, ...]
    taxes: tuple[TaxLine, ...]
    total_minor: int
    coupon_ids: tuple[str, ...]


def bill_of(
    lines: Sequence[ReceiptLine], book: PriceBook, store_id: str, left_at_ns: int, coupons: Sequence[Coupon] = ()
) -> Bill:
    """Discounts, taxes and total of lines whose prices are known."""
    priced, used = discounted(lines, book, store_id, coupons)
    taxes = taxes_of(priced, book, store_id, left_at_ns)
    return Bill(priced, taxes, sum(t.net_minor + t.tax_minor for t in taxes), used)


def price_lines(
    cart: Cart, book: PriceBook, store_id: str, rules: BillingRules, *, payer: bool = True
) -> tuple[ReceiptLine, ...]:
    """Equal units become one line, without discounts yet: billed lines first, then held ones and those let go, each by
    member, name and GTIN. `payer`: there is somebody to charge."""
    groups: dict[tuple, list[Unit]] = {}
    ages = [d for d in cart.decisions if d.decision in ("age-confirmed", "age-refused")]
    for unit in cart.units:
        if _refused(unit, book, ages):
            continue
        price = book.price(unit.gtin, store_id, unit.taken_at_ns)
        must_hold = _must_hold(unit, book, price, ages, payer)
        status = "billed"
        if unit.reason or must_hold:
            status = "let-go" if rules.doubtful == "let-go" and not must_hold else "held"
        reason = SEPARATOR.join(filter(None, [unit.reason, must_hold]))
        offers = tuple(p.id for p in book.promotions(store_id, unit.gtin, unit.taken_at_ns))
        key = (unit.gtin, price or 0, status, reason, unit.alternatives, unit.member, offers)
        groups.setdefault(key, []).append(unit)
    ordered = sorted(groups.items(), key=lambda group: _place(group[0], group[1], book))
    return tuple(_line(str(number), key, units, book) for number, (key, units) in enumerate(ordered, 1))


def taxes_of(lines: Iterable[ReceiptLine], book: PriceBook, store_id: str, at_ns: int) -> tuple[TaxLine, ...]:
    """Net and tax of the billed lines by tax class; classes that do not occur are left out."""
    sums: dict[str, int] = {}
    for line in lines:
        if line.status == "billed":
            sums[line.tax_class] = sums.get(line.tax_class, 0) + line.total_minor
    taxes = []
    for tax_class, amount in sorted(sums.items()):
        rate_ppm = book.rate_ppm(tax_class, store_id, at_ns)
        net = net_of(amount, rate_ppm) if book.prices_include_tax else amount
        tax = amount - net if book.prices_include_tax else half_up(amount * rate_ppm, 1_000_000)
        taxes.append(TaxLine(tax_class=tax_class, rate_ppm=rate_ppm, net_minor=net, tax_minor=tax))
    return tuple(taxes)


def net_of(gross_minor: int, rate_ppm: int) -> int:
    """Net part of a tax-included amount: gross / (1 + rate), rounded half up. Exact integer arithmetic."""
    if gross_minor < 0 or rate_ppm < 0:
        raise ValueError(f"amount and rate must not be negative, got {gross_minor} and {rate_ppm}")
    return half_up(gross_minor * 1_000_000, 1_000_000 + rate_ppm)


_ORDER = {"billed": 0, "held": 1, "let-go": 2}


def _must_hold(unit: Unit, book: PriceBook, price: int | None, ages: Sequence[StaffDecision], payer: bool) -> str:
    """Why a unit cannot be charged yet whatever the store's rules for doubts; empty when it can."""
    reasons = []
    product = book.product(unit.gtin)
    if product is None:
        reasons.append(UNKNOWN_PRODUCT)
    elif price is None:
        reasons.append(NO_PRICE)
    if product and product.minimum_age and not any(_confirms(d, product.minimum_age) for d in ages):
        reasons.append(AGE.format(age=product.minimum_age))
    if not payer:
        reasons.append(NOBODY_TO_CHARGE)
    return SEPARATOR.join(reasons)


def _confirms(decision: StaffDecision, age: int) -> bool:
    return decision.decision == "age-confirmed" and (decision.minimum_age is None or decision.minimum_age >= age)


def _refused(unit: Unit, book: PriceBook, ages: Sequence[StaffDecision]) -> bool:
    """Staff took it back: the last decision about age was a refusal."""
    product = book.product(unit.gtin)
    about = [d for d in ages if d.gtin in (None, unit.gtin)]
    return bool(product and product.minimum_age and about and about[-1].decision == "age-refused")


def _place(key: tuple, units: list[Unit], book: PriceBook) -> tuple:
    """Where a line stands on the receipt."""
    gtin, price, status, reason, _, member, _ = key
    return _ORDER[status], member, _name(gtin, book), gtin, price, reason, units[0].event_ids


def _name(gtin: str, book: PriceBook) -> str:
    product = book.product(gtin)
    return product.name if product else f"unknown product {gtin}"


def _line(line_id: str, key: tuple, units: list[Unit], book: PriceBook) -> ReceiptLine:
    gtin, price, status, reason, alternatives, member, _ = key
    product = book.product(gtin)
    return ReceiptLine(
        gtin=gtin,
        name=_name(gtin, book),
        quantity=len(units),
        unit_price_minor=price,
        total_minor=price * len(units),
        tax_class=product.tax_class if product else "",
        event_ids=tuple(dict.fromkeys(i for unit in units for i in unit.event_ids)),
        status=status,
        reason=reason,
        alternatives=alternatives,
        line_id=line_id,
        member=member,
        taken_at_ns=min(unit.taken_at_ns for unit in units),
    )
