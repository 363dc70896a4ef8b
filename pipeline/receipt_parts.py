# SPDX-License-Identifier: AGPL-3.0-or-later
"""What a receipt is made of. Part of the vocabulary: import it from `pipeline.messages`."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator


class Candidate(BaseModel):
    """One possible answer with its probability; the candidates of a list add up to at most 1."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    value: str
    probability: float = Field(ge=0, le=1)


class Discount(BaseModel):
    """What a promotion took off a line, in minor units."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    promotion_id: str
    text: str
    amount_minor: int = Field(gt=0)
    coupon_id: str | None = None


class ReceiptLine(BaseModel):
    """One product on a receipt. Money in minor units of the receipt's currency, tax included if the receipt says so.

    `total_minor` is quantity times unit price less the discounts. A held line is not charged until somebody has looked;
    `let-go` is a doubtful one that the store does not charge by its rules.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    gtin: str
    name: str
    quantity: int = Field(gt=0)
    unit_price_minor: int = Field(ge=0)
    total_minor: int = Field(ge=0)
    tax_class: str
    event_ids: tuple[str, ...]
    status: Literal["billed", "held", "let-go"]
    reason: str = ""
    alternatives: tuple[Candidate, ...] = ()
    line_id: str = Field(default="", description="the same in all versions of the receipt")
    member: int = Field(default=1, ge=1, description="which person of the party took it")
    taken_at_ns: int = Field(default=0, description="the moment whose price it has: when the first of it was taken")
    discounts: tuple[Discount, ...] = ()

    @model_validator(mode="after")
    def _adds_up(self) -> Self:
        total = self.quantity * self.unit_price_minor - sum(d.amount_minor for d in self.discounts)
        if self.total_minor != total:
            raise ValueError(
                f"line {self.gtin}: total_minor must be {total} (units less discounts), got {self.total_minor}"
            )
        return self


class TaxLine(BaseModel):
    """Net and tax of the billed lines of one tax class. `rate_ppm`: parts per million, 20 % is 200000."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    tax_class: str
    rate_ppm: int = Field(ge=0)
    net_minor: int
    tax_minor: int

    @model_validator(mode="before")
    @classmethod
    def _version_1(cls, data):
        if isinstance(data, dict) and type(data.get("rate_permille")) is int and "rate_ppm" not in data:
            data = {**data, "rate_ppm": data["rate_permille"] * 1000}
            del data["rate_permille"]
        return data


class Correction(BaseModel):
    """Why a version of a receipt replaces the one before. `difference_minor`: new total less old."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    by: str = Field(min_length=1, description="who decided, e.g. a staff id")
    reason: str
    changes: tuple[str, ...] = Field(description="one line of text each")
    difference_minor: int


class ReviewNote(BaseModel):
    """What a person should look at that is no line of the bill, e.g. a put-back of what nobody was seen to take."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    reason: str
    gtin: str | None = None
    quantity: int = Field(default=0, ge=0)
    event_ids: tuple[str, ...] = ()
