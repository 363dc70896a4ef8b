# SPDX-License-Identifier: AGPL-3.0-or-later
"""What to do next for one payment: a pure function of what is due and of the calls made so far.

Nothing else decides. After a crash the same rows give the same next call with the same idempotency key, so the plan is
also the recovery.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from pipeline.payment.port import Kind, Money

State = Literal["working", "held", "refused", "released", "paid", "open", "blocked"]
"""working: calls to make or to repeat. At rest: held (the visit goes on), refused (the hold was, the visit goes on),
released (hold given back, no receipt), paid (exactly what is due was taken), open (owed, asked for in vain), blocked
(a person must look: the currency of a receipt changed)."""


@dataclass(frozen=True)
class Operation:
    """One call and its result, the columns of `payment_operations`."""

    key: str
    number: int
    version: int
    kind: Kind
    amount_minor: int
    currency: str
    about: str | None
    reference: str | None
    state: Literal["intended", "approved", "declined"]
    calls: int = 0
    intended_ns: int = 0


@dataclass(frozen=True)
class Standing:
    """What a payment is to come to. The columns of `payments` that decide."""

    visit_id: str
    receipt_id: str | None
    version: int
    currency: str | None
    due_minor: int
    hold_minor: int
    hold_currency: str | None
    gave_up: bool = False
    waits: bool = False
    ended: bool = False
    blocked: bool = False


@dataclass(frozen=True)
class Charge:
    """One authorisation. `open`: held, and neither captured nor released. `refused`: the provider would not capture it,
    so it goes back, lest it stay on the shopper's account until it expires."""

    reference: str
    currency: str
    held_minor: int
    captured_minor: int = 0
    refunded_minor: int = 0
    open: bool = True
    refused: bool = False

    @property
    def left_minor(self) -> int:
        return self.captured_minor - self.refunded_minor


@dataclass(frozen=True)
class Rest:
    """Nothing to do now. `owed_minor`: due and not taken; negative: taken and not due."""

    state: State
    owed_minor: int = 0


@dataclass(frozen=True)
class Next:
    """The next call, to be written down before it is made. `repeated`: it has been written down already."""

    operation: Operation
    repeated: bool


def charges_of(operations: Sequence[Operation]) -> dict[str, Charge]:
    """The authorisations that finished operations leave, by reference, in the order of their making."""
    charges: dict[str, Charge] = {}
    for op in operations:
        if op.kind == "authorize":
            if op.state == "approved" and op.reference is not None:
                charges[op.reference] = Charge(op.reference, op.currency, op.amount_minor)
            continue
        charge = charges[op.about]
        if op.state == "intended":
            continue
        if op.kind == "refund":
            given = op.amount_minor if op.state == "approved" else 0
            charges[op.about] = replace(charge, refunded_minor=charge.refunded_minor + given)
        elif op.kind == "capture" and op.state == "approved":
            charges[op.about] = replace(charge, captured_minor=op.amount_minor, open=False)
        elif op.kind == "capture":
            charges[op.about] = replace(charge, refused=True)
        else:  # a refused release means that the provider has no such hold any more
            charges[op.about] = replace(charge, open=False)
    return charges


def owed(standing: Standing, operations: Sequence[Operation]) -> int:
    """Due and not taken yet; negative: to be given back."""
    taken = sum(c.left_minor for c in charges_of(operations).values() if c.currency == standing.currency)
    return standing.due_minor - taken


def plan(standing: Standing, operations: Sequence[Operation]) -> Next | Rest:
    """The next call for a payment, or that it is at rest.

    Args:
        operations: all of the payment, in order.
    """
    for op in operations:
        if op.state == "intended":
            return Next(op, repeated=True)

    if standing.blocked:
        return Rest("blocked")

    def call(kind: Kind, money: Money, about: str | None = None) -> Next:
        number, version = len(operations), standing.version
        key = f"{standing.receipt_id}/v{version}/{number}-{kind}" if version else f"{standing.visit_id}/{number}-{kind}"
        return Next(
            Operation(key, number, version, kind, money.amount_minor, money.currency, about, None, "intended"), False
        )

    if not operations and standing.hold_minor and standing.hold_currency and not standing.ended:
        money = Money(standing.hold_minor, standing.hold_currency)
        return Next(
            Operation(hold_key(standing.visit_id), 0, 0, "authorize", *_of(money), None, None, "intended"), False
        )
    charges = charges_of(operations)
    open_ones = [c for c in charges.values() if c.open]
    if not standing.version:
        if not standing.ended:
            return Rest("held" if open_ones else "refused")
        if open_ones:
            return call("cancel", Money(open_ones[0].held_minor, open_ones[0].currency), open_ones[0].reference)
        return Rest("released")

    assert standing.currency is not None, "a receipt has a currency"
    left = owed(standing, operations)
    for charge in open_ones:
        if left > 0 and charge.currency == standing.currency and not charge.refused:
            return call("capture", Money(min(left, charge.held_minor), standing.currency), charge.reference)
        return call("cancel", Money(charge.held_minor, charge.currency), charge.reference)
    if left == 0:
        return Rest("paid")
    if standing.gave_up:
        return Rest("open", left)
    if standing.waits:
        return Rest("working", left)
    if left > 0:
        return call("authorize", Money(left, standing.currency))
    charge = _to_refund(charges.values(), -left, standing.currency)
    return call("refund", Money(min(-left, charge.left_minor), standing.currency), charge.reference)


def hold_key(visit_id: str) -> str:
    """The same for the gate that asks at entry and for the desk that looks after it."""
    return f"hold/{visit_id}"


def _of(money: Money) -> tuple[int, str]:
    return money.amount_minor, money.currency


def _to_refund(charges, amount_minor: int, currency: str) -> Charge:
    """The smallest charge that covers it, so that one refund does; else the largest."""
    able = sorted((c for c in charges if c.currency == currency and c.left_minor > 0), key=lambda c: c.left_minor)
    return next((c for c in able if c.left_minor >= amount_minor), able[-1])
