# SPDX-License-Identifier: AGPL-3.0-or-later
"""The fold: events in any order, with repeats, to what each visit has in its cart.

`CartState` is a set of events; folding one in a second time changes nothing, and order leaves no trace. What a cart
holds is worked out from the set (`cart_of`): the visit's events by capture time, each attributed to a visit through the
bindings of its candidates' tracks and the corrections of their identities (`identity`). Before the visit is closed that
is the live cart. After, exactly the events that the closing names count, so that the bill cannot depend on what else
has been read meanwhile.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from pipeline.cart.identity import Identities
from pipeline.cart.rules import BillingRules
from pipeline.cart.units import Cart, CartBuilder
from pipeline.messages import (
    CouponPresented,
    Event,
    PersonWithoutPass,
    ShelfEvent,
    StaffDecision,
    TrackBound,
    VisitClosed,
    VisitOpened,
)
from pipeline.reasons import BEFORE_ENTRY, CLOCK_JUMPED


@dataclass(frozen=True)
class CartState:
    """Everything folded so far. `events`: event id -> event."""

    events: Mapping[str, Event] = field(default_factory=lambda: MappingProxyType({}))

    def opened(self, visit_id: str) -> VisitOpened | PersonWithoutPass | None:
        return self._first((VisitOpened, PersonWithoutPass), visit_id)

    def closed(self, visit_id: str) -> VisitClosed | None:
        return self._first(VisitClosed, visit_id)

    def _first(self, kind: type | tuple[type, ...], visit_id: str):
        """The earliest, should a gate ever report two: the same whatever the order of reading."""
        found = [e for e in self.events.values() if isinstance(e, kind) and e.visit_id == visit_id]
        return min(found, key=_when, default=None)


def fold(state: CartState, *events: Event) -> CartState:
    """The state with `events` in it. An event whose id is known already is left out."""
    new = {e.event_id: e for e in reversed(events) if e.event_id not in state.events}
    return CartState(MappingProxyType({**state.events, **new})) if new else state


def missing(state: CartState, visit_id: str) -> frozenset[str] | None:
    """Ids that the visit's closing names and that have not been read yet; None while the visit is open."""
    closed = state.closed(visit_id)
    return None if closed is None else frozenset(closed.event_ids) - state.events.keys()


def cart_of(state: CartState, visit_id: str, rules: BillingRules) -> Cart:
    """What the visit has in its cart, as far as `state` knows."""
    events = _events_of(state, visit_id)
    opened, closed = state.opened(visit_id), state.closed(visit_id)
    backwards = opened is not None and closed is not None and closed.at_ns < opened.at_ns
    identities = Identities(events)
    builder = CartBuilder(rules)
    for event in sorted((e for e in events if isinstance(e, ShelfEvent)), key=_when):
        if closed is not None and event.at_ns > closed.at_ns and not backwards:
            continue
        if opened is not None and event.at_ns < opened.at_ns and _names(event, visit_id, events):
            builder.note(event, BEFORE_ENTRY)
            continue
        doer = identities.doer([(c.value, c.probability) for c in event.persons], event.at_ns)
        if doer.visit_id == visit_id:
            builder.add(event, doer)
    decisions = [e for e in events if isinstance(e, StaffDecision) and e.visit_id == visit_id]
    cart = builder.cart(sorted(decisions, key=_when))
    if backwards:
        return cart.doubted(CLOCK_JUMPED)
    return cart


def coupons_of(state: CartState, visit_id: str) -> tuple[CouponPresented, ...]:
    """The coupons put into the visit, in the order of their presentation, each once."""
    events = _events_of(state, visit_id)
    found = [e for e in events if isinstance(e, CouponPresented) and e.visit_id == visit_id]
    first: dict[str, CouponPresented] = {}
    for event in sorted(found, key=_when):
        first.setdefault(event.coupon_id, event)
    return tuple(first.values())


def payer_of(state: CartState, visit_id: str) -> str | None:
    """Who pays: whom staff named last, else who showed the pass; None when nobody did."""
    opened = state.opened(visit_id)
    named = [
        e for e in _events_of(state, visit_id)
        if isinstance(e, StaffDecision) and e.visit_id == visit_id and e.decision == "payer-named" and e.shopper_id
    ]  # fmt: skip
    if named:
        return max(named, key=_when).shopper_id
    return opened.shopper_id if isinstance(opened, VisitOpened) else None


def _names(event: ShelfEvent, visit_id: str, events: Iterable[Event]) -> bool:
    """Whether one of the visit's tracks is the likeliest to have done it."""
    best = max(event.persons, key=lambda c: (c.probability, c.value)).value
    return any(isinstance(e, TrackBound) and e.visit_id == visit_id and e.track_id == best for e in events)


def _events_of(state: CartState, visit_id: str) -> list[Event]:
    closed = state.closed(visit_id)
    if closed is None:
        return list(state.events.values())
    return [state.events[i] for i in dict.fromkeys(closed.event_ids) if i in state.events]


def _when(event: Event) -> tuple[int, str]:
    return event.at_ns, event.event_id
