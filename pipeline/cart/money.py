# SPDX-License-Identifier: AGPL-3.0-or-later
"""Arithmetic of money: integers in a currency's minor unit, and their text.

The minor unit is ISO 4217's, which is also what card processors count in: 2 digits for most currencies, 0 for JPY, 3
for KWD. Babel (CLDR) knows the codes, the symbols and how each language writes an amount; its number of digits is not
used, because it is the one customary in shop windows and not ISO's for some currencies (RSD and LBP: 0, ISO has 2; IQD:
0, ISO has 3), and an amount would be taken for a hundred times what it is.

A card is charged to the minor unit. The rounding of cash to the smallest coin (CHF 0.05, SEK 1) is not applied: there
is no cash here.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from decimal import Decimal
from functools import cache

from babel import Locale
from babel.numbers import list_currencies

_DIGITS = {
    code: digits
    for digits, codes in {
        0: ("BIF", "CLP", "DJF", "GNF", "ISK", "JPY", "KMF", "KRW", "PYG", "RWF", "UGX", "UYI", "VND", "VUV", "XAF",
            "XOF", "XPF"),
        3: ("BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"),
        4: ("CLF", "UYW"),
    }.items()
    for code in codes
}  # fmt: skip
"""ISO 4217 list one: currencies whose minor unit is not a hundredth."""


@cache
def _known() -> frozenset[str]:
    return frozenset(list_currencies())


def check_currency(code: str) -> str:
    """The code, when it is one of ISO 4217; else `ValueError`."""
    if code not in _known():
        raise ValueError(f"currency {code!r} is not an ISO 4217 code, e.g. EUR")
    return code


def minor_digits(currency: str) -> int:
    """Decimals of the currency's minor unit: EUR 2, JPY 0, KWD 3."""
    return _DIGITS.get(currency, 2)


def half_up(numerator: int, denominator: int) -> int:
    """numerator / denominator rounded to the nearest whole number, halves up; neither may be negative."""
    if numerator < 0 or denominator <= 0:
        raise ValueError(f"expected numerator >= 0 and denominator > 0, got {numerator} and {denominator}")
    return (2 * numerator + denominator) // (2 * denominator)


def split(amount: int, weights: Sequence[int]) -> list[int]:
    """`amount` in whole parts, in proportion to `weights`, adding up to it (largest remainder method, Hamilton).

    Ties of remainders go to the earlier part. Where `amount` is at most the sum of the weights, no part exceeds its
    weight. Raises `ValueError` for negative numbers, or nothing to split a positive amount over.
    """
    total = sum(weights)
    if amount < 0 or any(w < 0 for w in weights) or (amount and not total):
        raise ValueError(f"cannot split {amount} by the weights {list(weights)}")
    if not amount:
        return [0] * len(weights)
    parts = [amount * w // total for w in weights]
    by_remainder = sorted(range(len(weights)), key=lambda i: (-(amount * weights[i] % total), i))
    for i in by_remainder[: amount - sum(parts)]:
        parts[i] += 1
    return parts


def money_text(minor: int, currency: str, locale: str = "en") -> str:
    """As people of that language write it, e.g. `money_text(149, "EUR", "fr")` is `1,49 €` with its own spaces."""
    digits = minor_digits(currency)
    pattern = copy.copy(Locale.parse(locale).currency_formats["standard"])
    pattern.frac_prec = (digits, digits)
    return pattern.apply(Decimal(minor).scaleb(-digits), locale, currency=currency, currency_digits=False)


def plain_text(minor: int, currency: str) -> str:
    """For terminals and logs, the same everywhere: `1.49 EUR`, `-0.05 EUR`, `120 JPY`."""
    return f"{Decimal(minor).scaleb(-minor_digits(currency)):f} {currency}"
