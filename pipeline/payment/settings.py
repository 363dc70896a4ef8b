# SPDX-License-Identifier: AGPL-3.0-or-later
"""How a store wants to be paid."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, model_validator


class PaymentSettings(BaseModel):
    """`payment` in a store's settings; all of it may be left out.

    `provider`: as `pipeline.payment.providers.open_provider` takes it, or `none` for a shop that is not paid here.
    `hold_minor`, `currency`: what the desk holds when a visit opens; 0 for nothing. Where the gate itself asks for the
    hold before it opens, leave it at 0. `retry_after_s`: pauses after a decline; when they are used up, what is owed
    becomes an open balance. `ask_again_s`: first and longest pause before an unanswered call is repeated.
    `hold_days`: a hold of a visit that has no receipt by then is given back. `collect_at_entry`: ask for open balances
    when their shopper comes again.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    provider: str = "test"
    hold_minor: int = Field(default=0, ge=0)
    currency: str | None = Field(default=None, pattern=r"^[A-Z]{3}$")
    retry_after_s: tuple[float, ...] = (5.0, 60.0, 900.0)
    ask_again_s: tuple[float, float] = (1.0, 300.0)
    hold_days: float = Field(default=2.0, gt=0, le=6)
    collect_at_entry: bool = True

    @model_validator(mode="after")
    def _hold_has_a_currency(self) -> PaymentSettings:
        if self.hold_minor and self.currency is None:
            raise ValueError("hold_minor needs a currency, e.g. currency: EUR")
        if not 0 < self.ask_again_s[0] <= self.ask_again_s[1] or any(s < 0 for s in self.retry_after_s):
            raise ValueError("ask_again_s must be two rising numbers of seconds, retry_after_s not negative")
        return self


def load_payment_settings(path: Path | None) -> PaymentSettings:
    """Settings from a YAML file, or the defaults; `PaymentError` names the file and the field."""
    from calibration.layout import parse_model
    from pipeline.errors import PaymentError

    return PaymentSettings() if path is None else parse_model(PaymentSettings, path, PaymentError)
