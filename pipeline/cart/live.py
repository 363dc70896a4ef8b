# SPDX-License-Identifier: AGPL-3.0-or-later
"""The live carts of a store: a fold over the log that says what changes in whose cart with each event.

Nothing is worked out here that the bill works out otherwise: which units a visit has is `fold.cart_of`, what they cost
`pricing`, and once the visit is closed `receipts.receipt_of`. What is here is which events matter to an open visit (a
closing names them only at the end), and which visits an event may touch.

A live cart is provisional: what is found out later (a late shelf event, two people who were confused) changes it back.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from pipeline.cart.fold import CartState, cart_of, coupons_of, fold, payer_of
from pipeline.cart.identity import connected
from pipeline.cart.live_view import Change, LiveCart, items_of
from pipeline.cart.price_book import PriceBook
from pipeline.cart.pricing import Bill, bill_of, price_lines
from pipeline.cart.receipts import receipt_of
from pipeline.cart.rules import BillingRules
from pipeline.messages import (
    IDENTITY_CORRECTIONS,
    CouponPresented,
    Event,
    PersonWithoutPass,
    ReceiptIssued,
    ShelfEvent,
    StaffDecision,
    TrackBound,
    VisitClosed,
    VisitOpened,
)

S = 1_000_000_000
_OPENING = (VisitOpened, PersonWithoutPass)
_BINDING = (TrackBound, PersonWithoutPass)
_BEFORE_NS = 600 * S
"""Events from so long before the oldest open visit are kept: a label may have been corrected before its pass was
shown, and a binding is written after it holds."""
_TIDY_EVERY = 500
_SETTLED_KEPT = 500
"""Carts that have their receipt stay known for a while: their phones may be away for a moment."""


class LiveCarts:
    """The open visits of one store, and those that were settled a moment ago.

    Order and repetition of events leave no trace in the carts. Not for several threads at once.
    """

    def __init__(self, store_id: str, book: PriceBook, rules: BillingRules) -> None:
        self._store_id, self._book, self._rules = store_id, book, rules
        self._events: dict[str, Event] = {}
        self._of_track: dict[str, set[str]] = {}
        """track id -> ids of the shelf events and bindings that name it."""
        self._of_visit: dict[str, set[str]] = {}
        """visit id -> ids of its opening, bindings, coupons, decisions and closing."""
        self._corrections: dict[str, Event] = {}
        self._carts: dict[str, LiveCart] = {}
        self._settled: dict[str, None] = {}
        self._new = 0

    # --- asking ---

    def cart(self, visit_id: str) -> LiveCart | None:
        return self._carts.get(visit_id)

    def of_shopper(self, shopper_id: str) -> LiveCart | None:
        """The newest visit that this shopper pays for, open or settled a moment ago."""
        mine = [c for c in self._carts.values() if c.shopper_id == shopper_id]
        return max(mine, key=lambda c: (c.opened_at_ns, c.visit_id), default=None)

    def open_visits(self) -> tuple[str, ...]:
        """Those without a receipt."""
        return tuple(v for v in self._carts if v not in self._settled)

    # --- the fold ---

    def take(self, events: Iterable[Event]) -> list[tuple[LiveCart, Change | None]]:
        """Fold events in; each cart that is another one now, with what changed. No change: the cart is new.

        A cart that goes to another payer is told of with `shopper_id` among the change's fields.
        """
        touched: dict[str, None] = {}
        receipts: list[ReceiptIssued] = []
        for event in events:
            if event.store_id != self._store_id:
                continue
            if isinstance(event, ReceiptIssued):
                receipts.append(event)
            elif event.event_id not in self._events:
                self._note(event)
                touched.update(dict.fromkeys(self._touched_by(event)))
        told = [self._update(visit_id) for visit_id in touched if visit_id not in self._settled]
        told += [self._settle(receipt) for receipt in receipts]
        if self._new >= _TIDY_EVERY:
            self._tidy()
        return [found for found in told if found is not None]

    def forget(self, visit_id: str) -> None:
        """Drop a visit that is over; what other visits need of its events is kept."""
        self._carts.pop(visit_id, None)
        self._settled.pop(visit_id, None)
        self._of_visit.pop(visit_id, None)

    def _note(self, event: Event) -> None:
        self._events[event.event_id] = event
        self._new += 1
        if isinstance(event, ShelfEvent):
            for person in event.persons:
                self._of_track.setdefault(person.value, set()).add(event.event_id)
        if isinstance(event, _BINDING):
            self._of_track.setdefault(event.track_id, set()).add(event.event_id)
        if isinstance(event, IDENTITY_CORRECTIONS):
            self._corrections[event.event_id] = event
        if (visit_id := getattr(event, "visit_id", None)) is not None:
            self._of_visit.setdefault(visit_id, set()).add(event.event_id)

    def _touched_by(self, event: Event) -> set[str]:
        """Visits whose cart may be another one through this event."""
        visits = {event.visit_id} if hasattr(event, "visit_id") else set()
        tracks: set[str] = set()
        if isinstance(event, ShelfEvent):
            tracks = {person.value for person in event.persons}
        elif isinstance(event, _BINDING):
            tracks = {event.track_id}
        elif isinstance(event, IDENTITY_CORRECTIONS):
            settles = getattr(event, "settles", ())
            about = [event, *(self._corrections[i] for i in settles if i in self._corrections)]
            tracks = {t for e in about for n in ("track_id", "other_track_id") if (t := getattr(e, n, None))}
            tracks |= {t for e in about for t in getattr(e, "track_ids", ())}
        for track_id in connected(tracks, self._corrections.values())[0] if tracks else ():
            bindings = (self._events[i] for i in self._of_track.get(track_id, ()))
            visits |= {e.visit_id for e in bindings if isinstance(e, _BINDING)}
        return visits

    def _update(self, visit_id: str) -> tuple[LiveCart, Change | None] | None:
        mine = [self._events[i] for i in self._of_visit.get(visit_id, ())]
        if not any(isinstance(e, _OPENING) for e in mine):
            return None
        closed = min((e for e in mine if isinstance(e, VisitClosed)), key=_when, default=None)
        state = fold(CartState(), *(self._named(closed) if closed else self._relevant(mine)), *mine)
        opened, payer = state.opened(visit_id), payer_of(state, visit_id)
        bill = self._bill(state, visit_id, payer, mine)
        cart = LiveCart(
            visit_id=visit_id,
            seq=0,
            state="leaving" if closed else "shopping",
            shopper_id=payer,
            party_size=getattr(opened, "party_size", 1),
            opened_at_ns=opened.at_ns,
            currency=self._book.currency,
            total_minor=bill.total_minor,
            checking_minor=_checking(bill.lines),
            items=items_of(bill.lines, self._book),
        )
        return self._keep(cart)

    def _bill(self, state: CartState, visit_id: str, payer: str | None, mine: Sequence[Event]) -> Bill:
        if state.closed(visit_id) is not None:
            at_desk = [e for e in mine if isinstance(e, CouponPresented | StaffDecision)]
            receipt = receipt_of(state, visit_id, self._book, self._rules, at_desk)
            return Bill(receipt.lines, receipt.taxes, receipt.total_minor, receipt.coupon_ids)
        cart = cart_of(state, visit_id, self._rules)
        lines = price_lines(cart, self._book, self._store_id, self._rules, payer=payer is not None)
        coupons = [(c.coupon_id, c.promotion_id) for c in coupons_of(state, visit_id) if payer is not None]
        now_ns = max(e.at_ns for e in state.events.values())
        return bill_of(lines, self._book, self._store_id, now_ns, coupons)

    def _named(self, closed: VisitClosed) -> list[Event]:
        return [self._events[i] for i in closed.event_ids if i in self._events]

    def _relevant(self, mine: Iterable[Event]) -> list[Event]:
        """What an open visit's cart depends on: what its tracks did, under whatever label, and whose the other
        candidates' tracks are."""
        tracks = {e.track_id for e in mine if isinstance(e, _BINDING)}
        shelf = [e for e in self._under(tracks) if isinstance(e, ShelfEvent)]
        people = tracks | {p.value for e in shelf for p in e.persons}
        labels, corrections = connected(people, self._corrections.values())
        bindings = [self._events[i] for t in labels for i in self._of_track.get(t, ())]
        return [*shelf, *corrections, *(e for e in bindings if isinstance(e, _BINDING))]

    def _under(self, tracks: Iterable[str]) -> list[Event]:
        labels, _ = connected(tracks, self._corrections.values())
        return [self._events[i] for i in sorted({i for t in labels for i in self._of_track.get(t, ())})]

    def _settle(self, receipt: ReceiptIssued) -> tuple[LiveCart, Change | None] | None:
        """A receipt has the last word. Corrections made later are another page's business."""
        if receipt.visit_id not in self._carts or receipt.visit_id in self._settled:
            return None
        cart = LiveCart(
            visit_id=receipt.visit_id,
            seq=0,
            state="settled",
            shopper_id=receipt.shopper_id,
            party_size=receipt.party_size,
            opened_at_ns=receipt.entered_at_ns,
            currency=receipt.currency,
            total_minor=receipt.total_minor,
            checking_minor=_checking(receipt.lines),
            items=items_of(receipt.lines, self._book),
            receipt_id=receipt.receipt_id,
        )
        self._settled[receipt.visit_id] = None
        while len(self._settled) > _SETTLED_KEPT:
            self.forget(next(iter(self._settled)))
        return self._keep(cart)

    def _keep(self, cart: LiveCart) -> tuple[LiveCart, Change | None] | None:
        before = self._carts.get(cart.visit_id)
        if before is None:
            self._carts[cart.visit_id] = cart
            return cart, None
        change = Change.between(before, cart)
        if change is None:
            return None
        self._carts[cart.visit_id] = change.on(before)
        return self._carts[cart.visit_id], change

    def _tidy(self) -> None:
        """Drop events that no open visit can need any more."""
        self._new = 0
        open_ns = [self._carts[v].opened_at_ns for v in self.open_visits()]
        newest_ns = max(e.at_ns for e in self._events.values())
        before_ns = min([*open_ns, newest_ns]) - _BEFORE_NS
        kept = {v: self._of_visit.get(v, set()) for v in self.open_visits()}
        needed = set().union(*kept.values())
        for event_id in [i for i, e in self._events.items() if e.at_ns < before_ns and i not in needed]:
            del self._events[event_id]
            self._corrections.pop(event_id, None)
        for index in (self._of_track, self._of_visit):
            for name in list(index):
                index[name] &= self._events.keys()
                if not index[name]:
                    del index[name]


def _checking(lines: Iterable) -> int:
    return sum(line.total_minor for line in lines if line.status == "held")


def _when(event: Event) -> tuple[int, str]:
    return event.at_ns, event.event_id
