# SPDX-License-Identifier: AGPL-3.0-or-later
"""What promotions and coupons take off the billed lines of one receipt.

Three rounds, so that no line can become negative:

1. promotions on whole units (n for m, n for a price, percentages), first those for everybody in the file's order, then
   multi-buys that need a coupon, in the order of presentation. A unit takes part in one of them at most.
2. percentages that need a coupon, on what is left to pay for the lines that they are for;
3. amounts, with and without coupon, on what is left then.

A discount over several lines is split by what each has in it (largest remainder), so that the lines add up to it and
each tax class bears its part. Percentages are rounded half up, once a promotion and not once a unit.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from pipeline.cart.money import half_up, split
from pipeline.cart.price_book import PriceBook
from pipeline.cart.price_files import AmountOff, NForM, NForPrice, PercentOff, Promotion
from pipeline.messages import Discount, ReceiptLine

Coupon = tuple[str, str]
"""Coupon id and the promotion that it gives."""
REFUND = "refund"
"""Promotion id of a discount that staff gave in a correction; the store's promotions cannot have it."""


def discounted(
    lines: Sequence[ReceiptLine], book: PriceBook, store_id: str, coupons: Sequence[Coupon] = ()
) -> tuple[tuple[ReceiptLine, ...], tuple[str, ...]]:
    """The lines with their discounts worked out anew, and the ids of the coupons that gave something.

    Billed lines only; whether a promotion holds is decided by the moment at which a line's units were taken. A coupon
    that gives nothing is not spent. Refunds by staff that a line has already stay, after everything else.
    """
    bill = _Bill(lines, book, store_id)
    everybody = [p for p in bill.candidates if not p.coupon]
    presented = [
        (coupon_id, promotion)
        for coupon_id, promotion_id in dict(coupons).items()
        if (promotion := book.promotion(promotion_id)) is not None and promotion.coupon
    ]
    for promotion in everybody:
        if not isinstance(promotion, AmountOff):
            bill.on_units(promotion, None)
    rounds: tuple[tuple[type | tuple, Callable], ...] = (
        ((NForM, NForPrice), bill.on_units), (PercentOff, bill.on_rest), (AmountOff, bill.on_rest),
    )  # fmt: skip
    for kinds, apply in rounds:
        if kinds is AmountOff:
            for promotion in everybody:
                if isinstance(promotion, AmountOff):
                    apply(promotion, None)
        for coupon_id, promotion in presented:
            if isinstance(promotion, kinds):
                apply(promotion, coupon_id)
    return bill.lines(), tuple(coupon_id for coupon_id, _ in presented if coupon_id in bill.spent)


@dataclass
class _Entry:
    """One billed line while discounts are worked out. `free`: units that take part in no promotion yet."""

    index: int
    price_minor: int
    free: int
    rest_minor: int
    allowed: frozenset[str]
    discounts: list[Discount] = field(default_factory=list)


class _Bill:
    def __init__(self, lines: Sequence[ReceiptLine], book: PriceBook, store_id: str) -> None:
        self._lines = list(lines)
        self.spent: set[str] = set()
        self._entries: list[_Entry] = []
        allowed_somewhere: dict[str, Promotion] = {}
        for index, line in enumerate(self._lines):
            if line.status != "billed":
                continue
            promotions = book.promotions(store_id, line.gtin, line.taken_at_ns)
            allowed_somewhere.update((p.id, p) for p in promotions)
            whole = line.quantity * line.unit_price_minor
            allowed = frozenset(p.id for p in promotions)
            self._entries.append(_Entry(index, line.unit_price_minor, line.quantity, whole, allowed))
        self.candidates = [p for p in book.all_promotions() if p.id in allowed_somewhere]

    def on_units(self, promotion: Promotion, coupon_id: str | None) -> None:
        entries = [e for e in self._entries if promotion.id in e.allowed and e.free]
        if isinstance(promotion, PercentOff):
            taken = [(e, e.free) for e in entries]
            amount = sum(e.price_minor * n for e, n in taken)
            discount = half_up(amount * promotion.basis_points, 10_000)
        else:
            taken, discount = _groups(promotion, entries, 1 if coupon_id else None)
        self._give(promotion, coupon_id, [(e, e.price_minor * n) for e, n in taken], discount)
        if discount:
            for entry, n in taken:
                entry.free -= n

    def on_rest(self, promotion: PercentOff | AmountOff, coupon_id: str | None) -> None:
        weights = [(e, e.rest_minor) for e in self._entries if promotion.id in e.allowed]
        amount = sum(rest for _, rest in weights)
        if isinstance(promotion, PercentOff):
            discount = half_up(amount * promotion.basis_points, 10_000)
        else:
            discount = min(promotion.amount_minor, amount) if amount >= promotion.minimum_minor else 0
        self._give(promotion, coupon_id, weights, discount)

    def lines(self) -> tuple[ReceiptLine, ...]:
        for entry in self._entries:
            line = self._lines[entry.index]
            for refund in (d for d in line.discounts if d.promotion_id == REFUND):
                if amount := min(refund.amount_minor, entry.rest_minor):
                    entry.rest_minor -= amount
                    entry.discounts.append(refund.model_copy(update={"amount_minor": amount}))
            if entry.discounts or line.discounts:
                self._lines[entry.index] = line.model_copy(
                    update={"discounts": tuple(entry.discounts), "total_minor": entry.rest_minor}
                )
        return tuple(self._lines)

    def _give(
        self, promotion: Promotion, coupon_id: str | None, weights: list[tuple[_Entry, int]], discount: int
    ) -> None:
        if not discount:
            return
        if coupon_id:
            self.spent.add(coupon_id)
        for (entry, _), part in zip(weights, split(discount, [w for _, w in weights]), strict=True):
            if part:
                entry.rest_minor -= part
                entry.discounts.append(
                    Discount(promotion_id=promotion.id, text=promotion.text, amount_minor=part, coupon_id=coupon_id)
                )


def _groups(
    promotion: NForM | NForPrice, entries: Sequence[_Entry], default_times: int | None
) -> tuple[list[tuple[_Entry, int]], int]:
    """Units that take part, and what is taken off. Units are grouped from the dearest down: no other way of grouping
    gives the shopper more. A coupon for a multi-buy gives it once, unless its promotion says how often."""
    times = promotion.times or default_times
    units = sorted(
        ((e.price_minor, e) for e in entries for _ in range(e.free)), key=lambda unit: (-unit[0], unit[1].index)
    )
    taken: dict[int, int] = {}
    total = 0
    for start in range(0, len(units) - promotion.buy + 1, promotion.buy):
        group = units[start : start + promotion.buy]
        prices = [price for price, _ in group]
        off = sum(prices[promotion.pay :]) if isinstance(promotion, NForM) else sum(prices) - promotion.price_minor
        if off <= 0 or (times is not None and start // promotion.buy >= times):
            break
        total += off
        for _, entry in group:
            taken[entry.index] = taken.get(entry.index, 0) + 1
    return [(e, taken[e.index]) for e in entries if e.index in taken], total
