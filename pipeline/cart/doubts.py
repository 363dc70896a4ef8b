# SPDX-License-Identifier: AGPL-3.0-or-later
"""Why a line is doubtful, as one of a few kinds that a shopper can be told in their own language.

The full reason is written for staff and names probabilities. What is told to the shopper is one word for each kind of
doubt, which pages translate.
"""

from __future__ import annotations

from typing import Literal, get_args

from pipeline.reasons import HOW_MANY, NO_PRICE, NOBODY_TO_CHARGE, UNKNOWN_PRODUCT

Doubt = Literal["person", "product", "put-back", "action", "quantity", "age", "price", "nobody", "other"]
DOUBTS: tuple[Doubt, ...] = get_args(Doubt)

_MARKS: tuple[tuple[str, Doubt], ...] = (
    # What only a person can put right comes first: it holds whatever else is doubtful.
    (": staff have not confirmed it", "age"),
    (NOBODY_TO_CHARGE, "nobody"),
    ("somebody else may have done it", "person"),
    ("it may have been put back", "put-back"),
    ("it may not have been a", "action"),
    ("which product", "product"),
    (HOW_MANY, "quantity"),
    ("quantity ", "quantity"),
    (NO_PRICE, "price"),
    (UNKNOWN_PRODUCT, "price"),
)


def doubt_of(reason: str) -> Doubt | None:
    """The kind of doubt that matters most to the shopper in a line's reason; None where there is no doubt."""
    if not reason:
        return None
    return next((doubt for mark, doubt in _MARKS if mark in reason), "other")
