# SPDX-License-Identifier: AGPL-3.0-or-later
"""The receipt of a closed visit."""

from __future__ import annotations

import hashlib

from calibration.catalogue import Catalogue
from pipeline.cart.fold import CartState, cart_of, missing, payer_of
from pipeline.cart.pricing import price_lines, taxes_of, total_of
from pipeline.cart.rules import BillingRules
from pipeline.messages import ReceiptIssued, ReviewNote


def receipt_of(state: CartState, visit_id: str, catalogue: Catalogue, rules: BillingRules) -> ReceiptIssued:
    """The bill of a visit whose opening and closing are in `state`; a pure function of them and the named events.

    Events that the closing names and that never came are put down as a note, and the receipt is held. Raises
    `ValueError` when the visit is not closed or was never opened.
    """
    opened, closed = state.opened(visit_id), state.closed(visit_id)
    if opened is None or closed is None:
        raise ValueError(f"visit {visit_id} cannot be billed: it was {'not closed' if opened else 'never opened'}")
    cart = cart_of(state, visit_id, rules)
    lines = price_lines(cart, catalogue)
    notes = cart.notes
    if lost := missing(state, visit_id):
        notes = (*notes, ReviewNote(reason="events of this visit never came", event_ids=tuple(sorted(lost))))
    receipt_id = f"r-{_digest(opened.store_id, visit_id)}"
    return ReceiptIssued(
        event_id=_digest(receipt_id, "version", "1"),
        store_id=opened.store_id,
        at_ns=closed.at_ns,
        receipt_id=receipt_id,
        version=1,
        visit_id=visit_id,
        shopper_id=payer_of(state, visit_id),
        currency=catalogue.currency,
        lines=lines,
        total_minor=total_of(lines),
        taxes=taxes_of(lines, catalogue.tax_classes),
        held_for_review=bool(notes) or any(line.status == "held" for line in lines),
        notes=notes,
        entered_at_ns=opened.at_ns,
        left_at_ns=closed.at_ns,
    )


def _digest(*parts: str) -> str:
    return hashlib.sha256("\x1f".join(parts).encode()).hexdigest()[:24]
