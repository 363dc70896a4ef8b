# SPDX-License-Identifier: AGPL-3.0-or-later
"""From what a reviewer asks for to changes of a receipt. Pure: nothing is read or stored here."""

from __future__ import annotations

from dataclasses import dataclass, replace

from pipeline import reasons
from pipeline.cart.corrections import AddLine, Change, ChargeLine, Refund, RemoveLine, SetProduct, SetQuantity
from pipeline.errors import CaseError
from pipeline.messages import ReceiptIssued, ReceiptLine
from pipeline.review.model import HELD_NOTES, Case, Request

SAID = {
    "not-taken": reasons.SAYS_NOT_TAKEN,
    "put-back": reasons.SAYS_PUT_BACK,
    "other-product": reasons.SAYS_OTHER_PRODUCT,
    "wrong-price": reasons.SAYS_WRONG_PRICE,
    "missing-item": reasons.SAYS_MISSING,
    "held-line": reasons.HELD_LINE,
    "held-notes": reasons.HELD_NOTES,
}
"""What a case is about, in words for receipts and queues."""


@dataclass(frozen=True)
class Move:
    line_id: str
    quantity: int
    to_receipt_id: str


@dataclass(frozen=True)
class Plan:
    """What is to be done to the receipt; nothing where it stays as it is. `move` goes by itself."""

    changes: tuple[Change, ...] = ()
    settle_notes: bool = False
    shopper_id: str | None = None
    move: Move | None = None

    @property
    def empty(self) -> bool:
        return not (self.changes or self.settle_notes or self.shopper_id or self.move)


def plan_of(case: Case, receipt: ReceiptIssued, request: Request) -> Plan:
    """Changes of `receipt`, its newest version. `CaseError`: the request lacks something, or its line is not there."""
    plan = _plan(case, receipt, _line(case, receipt, request), request)
    if case.kind != HELD_NOTES:
        return plan
    if plan.move:
        raise CaseError(
            f"case {case.case_id} is about notes: settle them (confirm), and move lines by a case of theirs"
        )
    return replace(plan, settle_notes=bool(receipt.notes))


def _plan(case: Case, receipt: ReceiptIssued, line: ReceiptLine | None, request: Request) -> Plan:
    match request.action:
        case "confirm":
            return _confirm(case, receipt, line, request)
        case "remove":
            lines = [line] if line or case.kind == HELD_NOTES else list(receipt.lines)
            return Plan(tuple(RemoveLine(line_id=_needed(x).line_id) for x in lines))
        case "product":
            return _product(_needed(line), _given(request, "gtin"))
        case "quantity":
            return _quantity(_needed(line), _given(request, "quantity"))
        case "move":
            quantity = request.quantity or _needed(line).quantity
            return Plan(move=Move(_needed(line).line_id, quantity, _given(request, "to_receipt_id")))
        case "refund":
            return Plan(_refunds(receipt, line, request.amount_minor))
        case "add":
            return Plan((AddLine(gtin=_given(request, "gtin"), quantity=request.quantity or case.claimed_quantity),))
    raise CaseError(f"case {case.case_id}: {request.action} changes no receipt")


def _confirm(case: Case, receipt: ReceiptIssued, line: ReceiptLine | None, request: Request) -> Plan:
    changes = (ChargeLine(line_id=line.line_id),) if line and line.status == "held" else ()
    payer = request.shopper_id
    if changes and receipt.shopper_id is None and payer is None:
        raise CaseError(f"case {case.case_id}: receipt {receipt.receipt_id} has no payer: name one, or remove the line")
    return Plan(changes, shopper_id=payer)


def _product(line: ReceiptLine, gtin: str) -> Plan:
    if line.gtin == gtin and line.status == "billed":
        raise CaseError(f"line {line.line_id} is {line.name} already: confirm it, or name another product")
    return Plan((SetProduct(line_id=line.line_id, gtin=gtin),))


def _quantity(line: ReceiptLine, quantity: int) -> Plan:
    """A number that was looked at is charged, too."""
    changes: list[Change] = [] if quantity == line.quantity else [SetQuantity(line_id=line.line_id, quantity=quantity)]
    if line.status == "held":
        changes.append(ChargeLine(line_id=line.line_id))
    if not changes:
        raise CaseError(f"line {line.line_id} is {quantity} of {line.name} already: confirm it, or give another number")
    return Plan(tuple(changes))


def _refunds(receipt: ReceiptIssued, line: ReceiptLine | None, amount_minor: int | None) -> tuple[Change, ...]:
    """From one line, or from all, the dearest first."""
    billed = [x for x in ([line] if line else receipt.lines) if x.status == "billed" and x.total_minor]
    charged = sum(x.total_minor for x in billed)
    left = charged if amount_minor is None else amount_minor
    if not 0 < left <= charged:
        raise CaseError(f"receipt {receipt.receipt_id}: {left} back, but {charged} minor units are charged for it")
    changes = []
    for x in sorted(billed, key=lambda x: (-x.total_minor, x.line_id)):
        if amount := min(left, x.total_minor):
            changes.append(Refund(line_id=x.line_id, amount_minor=amount))
            left -= amount
    return tuple(changes)


def _line(case: Case, receipt: ReceiptIssued, request: Request) -> ReceiptLine | None:
    """The line that is spoken of; None: the whole receipt, or a line that is gone and of which nothing is asked."""
    line_id = case.line_id or request.line_id
    if case.line_id and request.line_id not in (None, case.line_id):
        raise CaseError(f"case {case.case_id} is about line {case.line_id}, not {request.line_id}")
    if line_id is None:
        return None
    for line in receipt.lines:
        if line.line_id == line_id:
            return line
    if request.action in ("confirm", "add"):
        return None
    known = ", ".join(line.line_id for line in receipt.lines) or "none"
    raise CaseError(
        f"receipt {receipt.receipt_id} version {receipt.version} has no line {line_id} (any more); it has {known}"
    )


def _needed(line: ReceiptLine | None) -> ReceiptLine:
    if line is None:
        raise CaseError("which line? the case is about the whole receipt: name one")
    return line


def _given(request: Request, name: str):
    value = getattr(request, name)
    if value is None:
        raise CaseError(f"{request.action} needs {name}")
    return value
