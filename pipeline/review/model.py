# SPDX-License-Identifier: AGPL-3.0-or-later
"""What review speaks of: cases, what is asked of them, and what became of that."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Annotated, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field

DisputeKind = Literal["not-taken", "put-back", "other-product", "wrong-price", "missing-item"]
"""What a shopper can say: I did not take this; I put it back; it is another product; the price is wrong; I took
something that is not here."""
DISPUTE_KINDS: tuple[str, ...] = get_args(DisputeKind)
HELD_LINE, HELD_NOTES = "held-line", "held-notes"
"""What the aggregator asks: a line that it was not sure of; what it noted beside the lines."""

Action = Literal["confirm", "remove", "product", "quantity", "move", "refund", "add", "second-look"]
ACTIONS: tuple[str, ...] = get_args(Action)
ELSEWHERE = "elsewhere"
"""Outcome of a case whose line was corrected without it."""
OPEN, SECOND_LOOK, RESOLVED = "open", "second-look", "resolved"
LONGEST_TEXT = 2000


@dataclass(frozen=True)
class Case:
    """One thing to decide about one receipt: the row of `review_cases`, see `pipeline.review.tables`."""

    case_id: str
    store_id: str
    visit_id: str
    receipt_id: str
    line_id: str | None
    shopper_id: str | None
    origin: Literal["dispute", "held"]
    kind: str
    gtin: str | None
    claimed_gtin: str | None
    claimed_quantity: int
    text: str
    amount_minor: int
    currency: str
    cameras: tuple[str, ...]
    opened_version: int
    opened_ns: int
    promise_ns: int
    state: Literal["open", "second-look", "resolved"]
    claimed_by: str | None
    claimed_until_ns: int | None
    second_look_by: str | None
    outcome: str | None
    upheld: bool | None
    rule: str | None
    decided_by: str | None
    decided_ns: int | None
    reason: str
    difference_minor: int
    decided_version: int | None

    @classmethod
    def of(cls, row) -> Case:
        values = dict(row._mapping)
        return cls(**{**values, "cameras": tuple(json.loads(values["cameras"]))})

    def on_it(self, now_ns: int) -> str | None:
        """Who has claimed it and still holds it."""
        held = self.claimed_until_ns is not None and self.claimed_until_ns > now_ns
        return self.claimed_by if held else None


Plain = Annotated[str, Field(pattern=r"^[^\x00]*$")]
"""A text without NUL, which PostgreSQL cannot keep."""


class Request(BaseModel):
    """What a reviewer asks for. Which fields count depends on `action`:

    ===========  =======================================================================================
    confirm      the receipt is right: a held line is charged, held notes are settled, a dispute is refused;
                 `shopper_id` names who pays for a receipt that has no payer
    remove       the line was not taken
    product      the line is `gtin`
    quantity     the line is `quantity` units
    move         `quantity` units of the line (all by default) go to `to_receipt_id`
    refund       `amount_minor` of the line is paid back (all of it by default), and the line stays
    add          `quantity` of `gtin` were taken and are on no line
    second-look  somebody else must decide
    ===========  =======================================================================================

    `line_id`: which line, where the case is about a whole receipt; without it, remove and refund mean all lines.
    `again`: the case is decided already, and this is a new decision; the old one and what it did stay in the books.
    `version`: of the receipt, that was looked at: when it has moved on, nothing is done. `reason`: stands on the
    receipt.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    action: Action
    again: bool = False
    version: int | None = Field(default=None, ge=1)
    line_id: Annotated[Plain, Field(max_length=200)] | None = None
    gtin: Annotated[Plain, Field(min_length=1, max_length=50)] | None = None
    quantity: int | None = Field(default=None, ge=1, le=1000)
    amount_minor: int | None = Field(default=None, ge=1, lt=1 << 53)
    to_receipt_id: Annotated[Plain, Field(max_length=200)] | None = None
    shopper_id: Annotated[Plain, Field(min_length=1, max_length=200)] | None = None
    reason: Annotated[Plain, Field(max_length=LONGEST_TEXT)] = ""


@dataclass(frozen=True)
class Outcome:
    """What became of a request. `version`: of the receipt as it stands now; `other_*`: the receipt that units were
    moved to. `difference_minor`: negative is paid back. `repeated`: it had been done before, by the same key."""

    case_id: str
    action: str
    by: str
    at_ns: int
    receipt_id: str
    version: int
    difference_minor: int
    other_receipt_id: str | None = None
    other_version: int | None = None
    repeated: bool = False
