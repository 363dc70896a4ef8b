# SPDX-License-Identifier: AGPL-3.0-or-later
"""How a store deals with disputes and with what it holds for review."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class ReviewRules(BaseModel):
    """What is settled without a person, always in the shopper's favour; everything is off until a store sets it.

    `small_minor`: disputes about a line up to this amount are settled as the shopper says, unless more than
    `small_at_most` of theirs were within the last `small_days` days. `unlikely_below`: "I did not take this" and "I put
    it back" are believed where the probability that the shopper took it is below this. `let_go_minor`: held lines up
    to this amount are let go.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    small_minor: int = Field(default=0, ge=0)
    small_at_most: int = Field(default=3, ge=0)
    small_days: float = Field(default=90.0, gt=0)
    unlikely_below: float = Field(default=0.0, ge=0, le=1)
    let_go_minor: int = Field(default=0, ge=0)


class ReviewSettings(BaseModel):
    """`review` in a store's settings; all of it may be left out.

    `dispute_days`: for how long after the exit a receipt can be disputed. `promise_hours`, `held_promise_hours`: by
    when a dispute, and what the shop holds by itself, are to be answered. `lease_minutes`: for how long a case is its
    reviewer's who has claimed it and says nothing more. `cases_folder`: where regression cases are kept; `cases` in the
    run's or the store's folder by default. `rules`: see `ReviewRules`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    dispute_days: float = Field(default=60.0, gt=0)
    promise_hours: float = Field(default=24.0, gt=0)
    held_promise_hours: float = Field(default=48.0, gt=0)
    lease_minutes: float = Field(default=10.0, gt=0)
    cases_folder: str | None = None
    rules: ReviewRules = Field(default_factory=ReviewRules)
