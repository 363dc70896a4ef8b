# SPDX-License-Identifier: AGPL-3.0-or-later
"""A decision as the form of a dialog sends it, and the request of the review desk that it means."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from pipeline.cart.money import minor_digits
from pipeline.errors import CaseError
from pipeline.review.model import Action, Request

_Text = Annotated[str, Field(max_length=200)]


class DecisionForm(BaseModel):
    """All fields of all dialogs; what a dialog does not have, or leaves empty, is "". `key`: the same however often
    the form is sent. `amount`: as people write it, in major units. `payer_receipt_id`: a receipt of whoever is to pay,
    where nobody does: pages have no shopper ids."""

    model_config = ConfigDict(extra="ignore")

    action: Action
    key: Annotated[str, Field(min_length=8, max_length=100)]
    version: int = Field(ge=1)
    again: bool = False
    line_id: _Text = ""
    gtin: _Text = ""
    quantity: _Text = ""
    amount: _Text = ""
    to_receipt_id: _Text = ""
    payer_receipt_id: _Text = ""
    reason: str = Field(default="", max_length=2000)


def request_of(form: DecisionForm, currency: str) -> Request:
    """`CaseError` when a number is none."""
    try:
        return Request(
            action=form.action,
            again=form.again,
            version=form.version,
            line_id=form.line_id or None,
            gtin=form.gtin.strip() or None,
            quantity=_whole(form.quantity) if form.quantity.strip() else None,
            amount_minor=minor_of(form.amount, currency) if form.amount.strip() else None,
            to_receipt_id=form.to_receipt_id or None,
            reason=form.reason.strip(),
        )
    except ValidationError as error:
        first = error.errors()[0]
        raise CaseError(f"{first['loc'][-1]}: {first['msg']}") from None


def _whole(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise CaseError(f"quantity: expected a whole number, got {text[:40]!r}") from None


def minor_of(text: str, currency: str) -> int:
    """`1.49`, `1,49` or `1` in minor units of the currency; `CaseError` for what is no such amount."""
    digits = minor_digits(currency)
    plain = "".join(text.split()).replace(",", ".")
    try:
        minor = Decimal(plain).scaleb(digits)
        if minor.is_finite() and 0 < minor < 1 << 53 and minor == minor.to_integral_value():
            return int(minor)
    except ArithmeticError:
        pass
    example = "1.49"[: 1 + bool(digits) * (digits + 1)]
    raise CaseError(f"amount: expected one in {currency} such as {example}, got {text[:40]!r}")
