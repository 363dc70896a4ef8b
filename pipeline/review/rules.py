# SPDX-License-Identifier: AGPL-3.0-or-later
"""Cases that need no person: pure. Each rule says yes to the shopper, and says on the receipt that it was a rule."""

from __future__ import annotations

from dataclasses import dataclass

from pipeline.cart.money import plain_text
from pipeline.messages import ReceiptLine
from pipeline.reasons import CAMERAS_UNSURE, SMALL_AMOUNT, TOO_SMALL
from pipeline.review.model import HELD_LINE, Case, Request
from pipeline.review.settings import ReviewRules


@dataclass(frozen=True)
class Facts:
    """`line`: that the case is about. `upheld`: how many disputes of the shopper's were upheld within the rules' days,
    other than this one. `took_probability`: that the shopper took the line, None where the events do not say."""

    line: ReceiptLine | None
    upheld: int
    took_probability: float | None


@dataclass(frozen=True)
class Verdict:
    rule: str
    request: Request


def verdict(case: Case, facts: Facts, rules: ReviewRules) -> Verdict | None:
    """What is to be done without asking anybody; None: a person decides."""
    line = facts.line
    if line is None or line.status == "let-go":
        return None
    if case.origin == "held":
        if case.kind == HELD_LINE and rules.let_go_minor > 0 and line.total_minor <= rules.let_go_minor:
            why = TOO_SMALL.format(amount=plain_text(line.total_minor, case.currency))
            return Verdict("let-go", Request(action="remove", reason=why))
        return None
    likely = facts.took_probability
    if case.kind in ("not-taken", "put-back") and likely is not None and likely < rules.unlikely_below:
        why = CAMERAS_UNSURE.format(share=f"{100 * likely:.0f} %")
        return Verdict("unlikely", Request(action="remove", reason=why))
    small = 0 < line.total_minor <= rules.small_minor
    if small and facts.upheld < rules.small_at_most and case.kind != "missing-item":
        why = SMALL_AMOUNT.format(amount=plain_text(line.total_minor, case.currency))
        keeps = case.kind in ("other-product", "wrong-price") and line.status == "billed"
        return Verdict("small-amount", Request(action="refund" if keeps else "remove", reason=why))
    return None
