# SPDX-License-Identifier: AGPL-3.0-or-later
"""What a store bills without asking, and what it holds for a person to look at."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class BillingRules:
    """Least probabilities, each in (0.5, 1]: what reaches them is billed, what does not is held, and says why.

    `doubtful`: what happens to what does not reach them: `hold` (it is charged when a person has looked) or `let-go`
    (it is listed, never charged, and nobody needs to look). What lacks a price or an age check is held either way.
    `put_back_not_in_cart`: how much a put-back's candidate weighs that the shopper was not seen to take, against one
    that is in the cart (weight 1). `max_units_per_event`: more from one reach is not believed.
    """

    person: float = 0.7
    product: float = 0.7
    kind: float = 0.7
    quantity: float = 0.7
    put_back_not_in_cart: float = 0.05
    max_units_per_event: int = 20
    doubtful: Literal["hold", "let-go"] = "hold"

    def __post_init__(self) -> None:
        for name in ("person", "product", "kind", "quantity"):
            value = getattr(self, name)
            if not 0.5 < value <= 1:
                raise ValueError(f"BillingRules.{name} must be in (0.5, 1], got {value}")
        if self.doubtful not in ("hold", "let-go"):
            raise ValueError(f"BillingRules.doubtful must be hold or let-go, got {self.doubtful!r}")
        if not 0 <= self.put_back_not_in_cart <= 1 or self.max_units_per_event < 1:
            raise ValueError(f"BillingRules: put_back_not_in_cart must be in [0, 1], max_units_per_event >= 1: {self}")
