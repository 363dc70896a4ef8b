# SPDX-License-Identifier: AGPL-3.0-or-later
"""The receipt of a closed visit."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from calibration.catalogue import Catalogue
from pipeline.cart.fold import CartState, cart_of, coupons_of, missing, payer_of
from pipeline.cart.price_book import PriceBook
from pipeline.cart.pricing import bill_of, price_lines
from pipeline.cart.rules import BillingRules
from pipeline.messages import Event, ReceiptIssued, ReviewNote, VisitOpened
from pipeline.reasons import EVENTS_NEVER_CAME, NO_SUCH_COUPON


def receipt_of(
    state: CartState,
    visit_id: str,
    prices: PriceBook | Catalogue,
    rules: BillingRules,
    at_desk: Sequence[Event] = (),
) -> ReceiptIssued:
    """The bill of a visit whose opening and closing are in `state`; a pure function of them and the named events.

    `at_desk`: coupons and decisions of staff that belong to the visit though the closing cannot name them.

    Events that the closing names and that never came are put down as a note, and the receipt is held. Raises
    `ValueError` when the visit is not closed or was never opened.
    """
    opened, closed = state.opened(visit_id), state.closed(visit_id)
    if opened is None or closed is None:
        raise ValueError(f"visit {visit_id} cannot be billed: it was {'not closed' if opened else 'never opened'}")
    if at_desk:
        named = (*closed.event_ids, *(e.event_id for e in at_desk))
        closed = closed.model_copy(update={"event_ids": named})
        state = CartState({**state.events, **{e.event_id: e for e in at_desk}, closed.event_id: closed})
    book, payer = PriceBook.of(prices), payer_of(state, visit_id)
    cart = cart_of(state, visit_id, rules)
    lines, notes = price_lines(cart, book, opened.store_id, rules, payer=payer is not None), cart.notes
    if lost := missing(state, visit_id):
        notes = (*notes, ReviewNote(reason=EVENTS_NEVER_CAME, event_ids=tuple(sorted(lost))))
    coupons = coupons_of(state, visit_id)
    for coupon in coupons:
        if (promotion := book.promotion(coupon.promotion_id)) is None or not promotion.coupon:
            why = NO_SUCH_COUPON.format(coupon=coupon.coupon_id, promotion=repr(coupon.promotion_id))
            notes = (*notes, ReviewNote(reason=why, event_ids=(coupon.event_id,)))
    left_at_ns = max(closed.at_ns, opened.at_ns)  # a clock that jumped back does not make a visit of negative length
    bill = bill_of(
        lines, book, opened.store_id, left_at_ns, [(c.coupon_id, c.promotion_id) for c in coupons if payer is not None]
    )
    receipt_id = f"r-{digest(opened.store_id, visit_id)}"
    return ReceiptIssued(
        event_id=digest(receipt_id, "version", "1"),
        store_id=opened.store_id,
        at_ns=closed.at_ns,
        receipt_id=receipt_id,
        version=1,
        visit_id=visit_id,
        shopper_id=payer,
        currency=book.currency,
        lines=bill.lines,
        total_minor=bill.total_minor,
        taxes=bill.taxes,
        held_for_review=bool(notes) or any(line.status == "held" for line in lines),
        notes=notes,
        entered_at_ns=opened.at_ns,
        left_at_ns=left_at_ns,
        tax_included=book.prices_include_tax,
        party_size=opened.party_size if isinstance(opened, VisitOpened) else 1,
        coupon_ids=bill.coupon_ids,
    )


def digest(*parts: str) -> str:
    """24 hexadecimal digits that stand for these texts."""
    return hashlib.sha256("\x1f".join(parts).encode()).hexdigest()[:24]
