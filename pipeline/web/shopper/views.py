# SPDX-License-Identifier: AGPL-3.0-or-later
"""What templates need to show a receipt, a doubt or a dispute: texts to be translated, and lines in groups."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pipeline.cart.doubts import Doubt, doubt_of
from pipeline.messages import ReceiptIssued, ReceiptLine
from pipeline.web.render import N_

DOUBTS: dict[Doubt, str] = {
    "person": N_("We are not sure that it was you who took it."),
    "product": N_("We are not sure which product it is."),
    "put-back": N_("You may have put it back."),
    "action": N_("We are not sure that it was taken."),
    "quantity": N_("We are not sure how many there are."),
    "age": N_("Staff check your age first."),
    "price": N_("Its price is looked up by staff."),
    "nobody": N_("No pass was shown for this visit."),
    "other": N_("Somebody looks at this first."),
}
LINE_KINDS = {
    "not-taken": N_("I didn't take this"),
    "put-back": N_("I put it back"),
    "other-product": N_("It is another product"),
    "wrong-price": N_("The price is wrong"),
}
RECEIPT_KINDS = {
    "missing-item": N_("I took something that isn't here"),
    "not-taken": N_("I took none of this"),
    "put-back": N_("I put everything back"),
    "wrong-price": N_("The total is wrong"),
}
PAYMENT = {
    "paid": (N_("Paid"), "good"),
    "open": (N_("Payment open"), "warn"),
    "blocked": (N_("Payment being looked at"), "warn"),
    "refused": (N_("Payment refused"), "bad"),
}
OUTCOMES = {
    "confirm": N_("We looked: the receipt is right."),
    "remove": N_("We took it off."),
    "product": N_("We changed the product."),
    "quantity": N_("We changed the number."),
    "move": N_("It was somebody else's: we took it off."),
    "refund": N_("We paid it back."),
    "add": N_("We put it on the receipt."),
    "elsewhere": N_("The receipt was corrected."),
}


@dataclass(frozen=True)
class Group:
    """Billed lines of one person of a party; `member` None where there is one person."""

    member: int | None
    lines: tuple[ReceiptLine, ...]

    @property
    def total_minor(self) -> int:
        return sum(line.total_minor for line in self.lines)


@dataclass(frozen=True)
class ReceiptView:
    """The newest version of a receipt, in parts. `history`: older versions, newest first."""

    receipt: ReceiptIssued
    groups: tuple[Group, ...]
    held: tuple[ReceiptLine, ...]
    free: tuple[ReceiptLine, ...]
    history: tuple[ReceiptIssued, ...]

    @classmethod
    def of(cls, versions: Sequence[ReceiptIssued]) -> ReceiptView:
        newest = versions[-1]
        billed = [line for line in newest.lines if line.status == "billed"]
        members = sorted({line.member for line in billed})
        alone = newest.party_size == 1 and len(members) <= 1
        groups = tuple(
            Group(None if alone else member, tuple(line for line in billed if line.member == member))
            for member in members
        )
        return cls(
            newest, groups, tuple(line for line in newest.lines if line.status == "held"),
            tuple(line for line in newest.lines if line.status == "let-go"), tuple(reversed(versions[:-1])),
        )  # fmt: skip

    @property
    def items(self) -> int:
        """Units that are charged."""
        return sum(line.quantity for group in self.groups for line in group.lines)

    @property
    def saved_minor(self) -> int:
        return sum(d.amount_minor for group in self.groups for line in group.lines for d in line.discounts)

    def line(self, line_id: str) -> ReceiptLine | None:
        return next((line for line in self.receipt.lines if line.line_id == line_id), None)


def doubt_text(reason: str) -> str:
    """To be translated."""
    return DOUBTS[doubt_of(reason) or "other"]


def payment_of(payment: dict[str, Any] | None, receipt: ReceiptIssued) -> dict[str, Any]:
    """`label` and `kind` of the badge, what is paid and open in minor units, and whether it will be known soon."""
    if receipt.total_minor == 0 and (payment is None or not payment["open_minor"]):
        return {"label": N_("Nothing to pay"), "kind": "", "paid_minor": 0, "open_minor": 0, "waiting": False}
    known = payment is not None and payment["version"] == receipt.version and payment["state"] in PAYMENT
    if not known:
        return {"label": N_("Being paid"), "kind": "info", "paid_minor": 0, "open_minor": 0, "waiting": True}
    label, kind = PAYMENT[payment["state"]]
    done = [c for c in payment["calls"] if c["state"] == "approved"]
    paid = sum(c["amount_minor"] for c in done if c["kind"] == "capture")
    paid -= sum(c["amount_minor"] for c in done if c["kind"] == "refund")
    return {"label": label, "kind": kind, "paid_minor": paid, "open_minor": payment["open_minor"], "waiting": False}


def kind_text(case: Any) -> str:
    """What was said, of a line or of the whole receipt; to be translated."""
    return (LINE_KINDS if case.line_id else RECEIPT_KINDS).get(case.kind, OUTCOMES["elsewhere"])


def outcome_text(case: Any) -> str:
    """What became of a dispute, to be translated."""
    if case.state != "resolved":
        return N_("Somebody is looking at it.")
    return OUTCOMES.get(case.outcome or "", OUTCOMES["elsewhere"])
