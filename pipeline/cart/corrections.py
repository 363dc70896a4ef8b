# SPDX-License-Identifier: AGPL-3.0-or-later
"""Corrections: a receipt is never changed, only replaced by its next version.

`correct` makes the next version from changes of its lines and works everything out anew: prices that a line did not
have yet, promotions (which a removed unit may undo, and a confirmed one complete), taxes, total. `move` takes units
from one receipt to another one, a version of each. `difference` says what the books must post. A version's event id
follows from receipt and number: of two corrections of the same version one is refused by whoever stores them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from calibration.catalogue import Catalogue
from pipeline import reasons
from pipeline.cart.money import plain_text
from pipeline.cart.price_book import PriceBook
from pipeline.cart.pricing import bill_of
from pipeline.cart.promotions import REFUND
from pipeline.cart.receipts import digest
from pipeline.errors import CorrectionError
from pipeline.messages import Correction, Discount, ReceiptIssued, ReceiptLine


class _Change(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    line_id: str


class RemoveLine(_Change):
    """It was not taken: the line goes, billed, held or let go."""

    kind: Literal["remove"] = "remove"


class ChargeLine(_Change):
    """Somebody has looked: a held line, or one let go, was taken and is charged."""

    kind: Literal["charge"] = "charge"


class SetQuantity(_Change):
    kind: Literal["quantity"] = "quantity"
    quantity: int = Field(gt=0, le=1000)


class SetProduct(_Change):
    """It was another product; a held line is charged with it."""

    kind: Literal["product"] = "product"
    gtin: str


class Refund(_Change):
    """Goodwill: `amount_minor` off a line that stays."""

    kind: Literal["refund"] = "refund"
    amount_minor: int = Field(gt=0)


class AddLine(BaseModel):
    """Something that was taken and is on no line. `taken_at_ns`: whose price it has; the exit's when None."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["add"] = "add"
    gtin: str
    quantity: int = Field(gt=0, le=1000)
    taken_at_ns: int | None = None
    event_ids: tuple[str, ...] = ()
    member: int = Field(default=1, ge=1)


Change = Annotated[RemoveLine | ChargeLine | SetQuantity | SetProduct | Refund | AddLine, Field(discriminator="kind")]


@dataclass(frozen=True)
class Difference:
    """New version less old one, in minor units; positive is charged, negative paid back.

    `taxes`: tax class -> (net, tax).
    """

    total_minor: int
    taxes: dict[str, tuple[int, int]]


def correct(
    receipt: ReceiptIssued,
    changes: Sequence[Change],
    prices: PriceBook | Catalogue,
    *,
    by: str,
    reason: str,
    at_ns: int,
    settle_notes: bool = False,
    shopper_id: str | None = None,
) -> ReceiptIssued:
    """The receipt's next version.

    Args:
        by, reason: who decided, and why; both go on the receipt.
        settle_notes: what the notes speak of has been looked at; they are left out of the new version.
        shopper_id: who pays for a visit without a payer. What another one has paid is not moved by a name: that takes
            `move`, which pays back and charges.

    Raises `CorrectionError`: a line that is not there, a product without a price, more back than was charged, a receipt
    that has a payer, nothing to change.
    """
    if not (changes or settle_notes or shopper_id):
        raise CorrectionError(f"receipt {receipt.receipt_id}: a correction needs at least one change")
    book = PriceBook.of(prices)
    if book.currency != receipt.currency:
        raise CorrectionError(
            f"receipt {receipt.receipt_id} is in {receipt.currency} and the price book in {book.currency}"
        )
    if book.prices_include_tax != receipt.tax_included:
        how = "include" if receipt.tax_included else "are without"
        raise CorrectionError(f"receipt {receipt.receipt_id}: its prices {how} tax, unlike the price list's")
    if shopper_id and receipt.shopper_id not in (None, shopper_id):
        raise CorrectionError(
            f"receipt {receipt.receipt_id} is {receipt.shopper_id}'s, who may have paid: {shopper_id} cannot be named; "
            "move its lines to a receipt of theirs"
        )
    edit = _Edit(receipt, book)
    texts = [edit.apply(change) for change in changes]
    if shopper_id and shopper_id != receipt.shopper_id:
        texts.append(reasons.PAID_BY.format(shopper=shopper_id))
    if settle_notes and receipt.notes:
        texts.append(reasons.NOTES_LOOKED_AT.format(quantity=len(receipt.notes)))
    for line in edit.lines:
        if line.status == "billed" and line.tax_class not in book.catalogue.tax_classes:
            raise CorrectionError(
                f"receipt {receipt.receipt_id}, line {line.line_id}: tax class {line.tax_class!r} is not in the "
                "catalogue any more; receipts of its time need it"
            )
    bill = bill_of(edit.lines, book, receipt.store_id, receipt.left_at_ns, _coupons(receipt))
    notes = () if settle_notes else receipt.notes
    version = receipt.version + 1
    return ReceiptIssued.model_validate(
        {
            **{name: getattr(receipt, name) for name in ReceiptIssued.model_fields if name != "schema_version"},
            "event_id": digest(receipt.receipt_id, "version", str(version)),
            "at_ns": at_ns,
            "version": version,
            "shopper_id": shopper_id or receipt.shopper_id,
            "lines": bill.lines,
            "taxes": bill.taxes,
            "total_minor": bill.total_minor,
            "coupon_ids": bill.coupon_ids,
            "notes": notes,
            "held_for_review": bool(notes) or any(line.status == "held" for line in bill.lines),
            "correction": Correction(
                by=by, reason=reason, changes=tuple(texts), difference_minor=bill.total_minor - receipt.total_minor
            ),
        }
    )


def move(
    giver: ReceiptIssued,
    taker: ReceiptIssued,
    line_id: str,
    quantity: int,
    prices: PriceBook | Catalogue,
    *,
    by: str,
    reason: str,
    at_ns: int,
) -> tuple[ReceiptIssued, ReceiptIssued]:
    """`quantity` units of a line of `giver` were the other shopper's: both receipts' next versions. They are charged to
    `taker` with the price of the moment at which they were taken."""
    if giver.store_id != taker.store_id or giver.receipt_id == taker.receipt_id:
        raise CorrectionError(
            f"receipts {giver.receipt_id} and {taker.receipt_id} are not two receipts of one store: nothing is moved"
        )
    line = _line_of(giver, line_id)
    if not 0 < quantity <= line.quantity:
        raise CorrectionError(f"receipt {giver.receipt_id}, line {line_id}: {quantity} of {line.quantity} units")
    rest = line.quantity - quantity
    less = SetQuantity(line_id=line_id, quantity=rest) if rest else RemoveLine(line_id=line_id)
    more = AddLine(gtin=line.gtin, quantity=quantity, taken_at_ns=line.taken_at_ns, event_ids=line.event_ids)
    decided = {"by": by, "reason": reason, "at_ns": at_ns}
    return correct(giver, [less], prices, **decided), correct(taker, [more], prices, **decided)


def difference(old: ReceiptIssued | None, new: ReceiptIssued) -> Difference:
    """What changes in the books between two versions; `old` is None for a first one."""
    taxes: dict[str, tuple[int, int]] = {}
    for receipt, sign in ((old, -1), (new, 1)):
        for t in receipt.taxes if receipt else ():
            net, tax = taxes.get(t.tax_class, (0, 0))
            taxes[t.tax_class] = (net + sign * t.net_minor, tax + sign * t.tax_minor)
    total = new.total_minor - (old.total_minor if old else 0)
    return Difference(total, {k: v for k, v in sorted(taxes.items()) if v != (0, 0)})


class _Edit:
    """The lines of a receipt while changes are applied to them."""

    def __init__(self, receipt: ReceiptIssued, book: PriceBook) -> None:
        self._receipt, self._book = receipt, book
        self._next_id = 1 + max((int(x.line_id) for x in receipt.lines if x.line_id.isdigit()), default=0)
        self.lines = [_plain(line) for line in receipt.lines]

    def apply(self, change: Change) -> str:
        """Do it, and say it in a line of text."""
        if isinstance(change, AddLine):
            taken_at_ns = self._receipt.left_at_ns if change.taken_at_ns is None else change.taken_at_ns
            line = self._priced(
                ReceiptLine(
                    gtin=change.gtin, name="", quantity=change.quantity, unit_price_minor=0, total_minor=0,
                    tax_class="", event_ids=change.event_ids, status="billed", line_id=str(self._next_id),
                    member=change.member, taken_at_ns=taken_at_ns,
                )
            )  # fmt: skip
            self._next_id += 1
            self.lines.append(line)
            return reasons.ADDED.format(quantity=line.quantity, name=line.name)
        index = self._index(change.line_id)
        line = self.lines[index]
        if isinstance(change, RemoveLine):
            del self.lines[index]
            return reasons.REMOVED.format(quantity=line.quantity, name=line.name)
        if isinstance(change, Refund):
            return self._refund(index, change.amount_minor)
        if isinstance(change, SetQuantity):
            self.lines[index] = _plain(line, quantity=change.quantity)
            return reasons.OTHER_QUANTITY.format(name=line.name, new=change.quantity, old=line.quantity)
        gtin = change.gtin if isinstance(change, SetProduct) else line.gtin
        new = self._priced(_plain(line, gtin=gtin, status="billed", reason="", alternatives=()))
        self.lines[index] = new
        if gtin != line.gtin:
            return reasons.OTHER_PRODUCT.format(new_name=new.name, old_name=line.name)
        return reasons.CHARGED.format(quantity=new.quantity, name=new.name)

    def _refund(self, index: int, amount_minor: int) -> str:
        line = self.lines[index]
        paid = _line_of(self._receipt, line.line_id).total_minor if line.status == "billed" else 0
        if amount_minor > paid:
            raise CorrectionError(
                f"receipt {self._receipt.receipt_id}, line {line.line_id}: {amount_minor} back of {paid} charged"
            )
        refund = Discount(promotion_id=REFUND, text="Refund", amount_minor=amount_minor)
        self.lines[index] = _plain(line, discounts=(*line.discounts, refund))
        return reasons.REFUND.format(amount=plain_text(amount_minor, self._receipt.currency), name=line.name)

    def _priced(self, line: ReceiptLine) -> ReceiptLine:
        """With name, price and tax class of its product."""
        product = self._book.product(line.gtin)
        price = self._book.price(line.gtin, self._receipt.store_id, line.taken_at_ns)
        if product is None or price is None:
            why = reasons.UNKNOWN_PRODUCT if product is None else reasons.NO_PRICE
            raise CorrectionError(f"receipt {self._receipt.receipt_id}: product {line.gtin} cannot be charged: {why}")
        return _plain(line, name=product.name, unit_price_minor=price, tax_class=product.tax_class)

    def _index(self, line_id: str) -> int:
        _line_of(self._receipt, line_id)
        for index, line in enumerate(self.lines):
            if line.line_id == line_id:
                return index
        raise CorrectionError(f"receipt {self._receipt.receipt_id}: line {line_id} was removed by an earlier change")


def _line_of(receipt: ReceiptIssued, line_id: str) -> ReceiptLine:
    for line in receipt.lines:
        if line.line_id == line_id:
            return line
    known = ", ".join(line.line_id for line in receipt.lines) or "none"
    raise CorrectionError(
        f"receipt {receipt.receipt_id} version {receipt.version} has no line {line_id}; it has {known}"
    )


def _plain(line: ReceiptLine, **changes) -> ReceiptLine:
    """The line without what promotions gave it, which is worked out anew; refunds stay as far as it costs as much."""
    kept = changes.pop("discounts", tuple(d for d in line.discounts if d.promotion_id == REFUND))
    line = line.model_copy(update=changes)
    whole = line.quantity * line.unit_price_minor
    left, fitting = whole, []
    for discount in kept:
        amount = min(discount.amount_minor, left)
        if amount:
            fitting.append(discount.model_copy(update={"amount_minor": amount}))
            left -= amount
    return line.model_copy(update={"discounts": tuple(fitting), "total_minor": left})


def _coupons(receipt: ReceiptIssued) -> list[tuple[str, str]]:
    """The coupons spent on it with their promotions, in the order in which they were presented."""
    promotions = {d.coupon_id: d.promotion_id for line in receipt.lines for d in line.discounts if d.coupon_id}
    return [(coupon_id, promotions[coupon_id]) for coupon_id in receipt.coupon_ids if coupon_id in promotions]
