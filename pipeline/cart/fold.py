# SPDX-License-Identifier: AGPL-3.0-or-later
"""The fold: events in any order, with repeats, to what each visit has in its cart.

`CartState` is a set of events; folding one in a second time changes nothing, and order leaves no trace. What a cart
holds is worked out from the set (`cart_of`): the visit's events by capture time, each attributed to a visit through the
bindings of its candidates' tracks. Before the visit is closed that is the live cart. After, exactly the events that the
closing names count, so that the bill cannot depend on what else has been read meanwhile.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from pipeline.cart.rules import BillingRules
from pipeline.cart.units import Cart, CartBuilder
from pipeline.messages import Event, ShelfEvent, TrackBound, VisitClosed, VisitOpened


@dataclass(frozen=True)
class CartState:
    """Everything folded so far. `events`: event id -> event."""

    events: Mapping[str, Event] = field(default_factory=lambda: MappingProxyType({}))

    def opened(self, visit_id: str) -> VisitOpened | None:
        return self._first(VisitOpened, visit_id)

    def closed(self, visit_id: str) -> VisitClosed | None:
        return self._first(VisitClosed, visit_id)

    def _first(self, kind: type, visit_id: str):
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
    bindings = [e for e in events if isinstance(e, TrackBound)]
    closed = state.closed(visit_id)
    builder = CartBuilder(rules)
    for event in sorted((e for e in events if isinstance(e, ShelfEvent)), key=_when):
        if closed is not None and event.at_ns > closed.at_ns:
            continue
        owner, probability = _owner(event, bindings)
        if owner == visit_id:
            builder.add(event, probability)
    return builder.cart()


def _events_of(state: CartState, visit_id: str) -> list[Event]:
    closed = state.closed(visit_id)
    if closed is None:
        return list(state.events.values())
    return [state.events[i] for i in dict.fromkeys(closed.event_ids) if i in state.events]


def _owner(event: ShelfEvent, bindings: Iterable[TrackBound]) -> tuple[str | None, float]:
    """The visit that most probably did it, with that probability; None for somebody who has no visit.

    A track belongs to the visit it was last bound to before the event. Tracks of one visit add up; each track without a
    visit is somebody of their own.
    """
    visit_of: dict[str, str] = {}
    for bound in sorted(bindings, key=_when):
        if bound.at_ns <= event.at_ns:
            visit_of[bound.track_id] = bound.visit_id
    chances: dict[tuple[bool, str], float] = {}
    for person in event.persons:
        key = (person.value in visit_of, visit_of.get(person.value, person.value))
        chances[key] = chances.get(key, 0.0) + person.probability
    (has_visit, name), probability = max(chances.items(), key=lambda kv: (kv[1], kv[0]))
    return (name if has_visit else None), min(probability, 1.0)


def _when(event: Event) -> tuple[int, str]:
    return event.at_ns, event.event_id
