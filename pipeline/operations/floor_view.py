# SPDX-License-Identifier: AGPL-3.0-or-later
"""All that the operator's page shows of one moment, without words: it is said in the reader's language elsewhere."""

from __future__ import annotations

import threading
from collections.abc import Collection, Hashable, Sequence
from dataclasses import dataclass
from typing import Any

from pipeline.cart.pricing import Bill, bill_of, price_lines
from pipeline.errors import StateError
from pipeline.gate.entries import Entries
from pipeline.messages import (
    Event,
    PaymentUpdated,
    PersonWithoutPass,
    ReceiptIssued,
    ShelfEvent,
    VisitClosed,
    VisitOpened,
)
from pipeline.operations.floor_feed import CameraNote, FloorFrame
from pipeline.operations.floor_state import FloorState, FloorVisit, GateCount
from pipeline.operations.items import StrayItem, stray_items
from pipeline.operations.notes import OperatorNotes
from pipeline.operations.player import FloorSource
from pipeline.operations.stock import LOW_SHARE, ProductLevel, ShelfCount, SlotLevel, product_levels, slot_levels
from pipeline.shop import Shop

_NEWEST_EVENTS, _NEWEST_RECEIPTS, _NEWEST_REFUSALS = 60, 20, 10
_SHOWN = (VisitOpened, PersonWithoutPass, VisitClosed, ShelfEvent)


@dataclass(frozen=True)
class Moment:
    """`visits`: who is inside. `items`: goods to look for. `low`: products that run out, the emptiest first. `slots`:
    every slot's level. `events`, `receipts`: the newest first; of a receipt the newest version. `payments`: visit id ->
    what its payment is. `refusals`: what gates refused lately (`at_ns`, `gate_id`, `reason`), the newest first."""

    at_ns: int
    visits: tuple[FloorVisit, ...]
    gates: tuple[GateCount, ...]
    cameras: dict[str, CameraNote]
    items: tuple[StrayItem, ...]
    low: tuple[ProductLevel, ...]
    slots: dict[str, SlotLevel]
    events: tuple[Event, ...]
    receipts: tuple[ReceiptIssued, ...]
    payments: dict[str, PaymentUpdated]
    refusals: tuple[dict[str, Any], ...]
    whose: dict[str, str]
    """Event id -> visit, of those `events` that are somebody's."""


class FloorView:
    """The floor of one shop. For any number of threads; what follows from the events is worked out once per change.

    Args:
        entries: of the gates' database; None for a recording, whose gates refused nobody.
    """

    def __init__(self, shop: Shop, source: FloorSource, notes: OperatorNotes, entries: Entries | None) -> None:
        self._shop, self.source, self.notes, self._entries = shop, source, notes, entries
        self._lock = threading.Lock()
        self._notes_known: tuple[Hashable, Sequence[ShelfCount], Collection[str]] = None, (), frozenset()
        self._states: dict[Hashable, FloorState] = {}
        self._shelves: dict[Hashable, tuple[tuple[StrayItem, ...], dict[str, SlotLevel]]] = {}

    def state(self, at_ns: int) -> FloorState:
        """Visits and identities as far as they were known by then."""
        version = self.source.version(at_ns)
        with self._lock:
            found = self._states.get(version)
        if found is None:
            events = self.source.events_until(at_ns)
            found = FloorState(events, max([at_ns, *(e.at_ns for e in events)]))
            with self._lock:
                _bounded(self._states, 8)[version] = found
        return found

    def people(self, frame: FloorFrame) -> list[tuple[str, float, float, str | None]]:
        """Track, x and y in metres, and the visit that it belongs to at that moment."""
        state = self.state(frame.at_ns)
        return [(t, x, y, state.visit_of(t, frame.at_ns)) for t, x, y in frame.people]

    def moment(self, at_ns: int) -> Moment:
        state = self.state(at_ns)
        items, slots = self._goods(at_ns, state)
        shelf = [e for e in state.events if isinstance(e, _SHOWN)][-_NEWEST_EVENTS:]
        low = tuple(level for level in product_levels(slots) if level.is_low(LOW_SHARE))
        whose = {e.event_id: visit_id for e in shelf if (visit_id := _whose(e, state)) is not None}
        return Moment(
            at_ns, tuple(state.visits.values()), tuple(state.gates([g.id for g in self._shop.layout.gates])),
            self.source.cameras(at_ns), items, low, slots, tuple(shelf[::-1]), _newest_receipts(state.events),
            _payments(state.events), self._refusals(), whose,
        )  # fmt: skip

    def version(self, at_ns: int) -> Hashable:
        """Differs when `moment` would, but for what staff note meanwhile: cheap enough to ask with every frame."""
        counted = sum(c.at_ns <= at_ns for c in self._notes_known[1])
        return self.source.version(at_ns), tuple(sorted(self.source.cameras(at_ns).items())), counted

    def cart(self, visit_id: str, at_ns: int) -> Bill:
        """What the visit has in its cart, priced as its bill would be. `KeyError` when it is not open then."""
        state, rules, store_id = self.state(at_ns), self._shop.settings.billing, self._shop.layout.store_id
        payer = not state.visits[visit_id].without_pass
        lines = price_lines(state.cart(visit_id, rules), self._shop.prices, store_id, rules, payer=payer)
        return bill_of(lines, self._shop.prices, store_id, at_ns)

    def place(self, gondola_id: str | None, slot_id: str | None) -> tuple[float, float] | None:
        """Where on the floor a slot's or a gondola's front is."""
        layout = self._shop.layout
        if slot_id in layout.slot_by_id:
            gondola, _, slot = layout.slot_by_id[slot_id]
            along_m = (slot.start_m + slot.end_m) / 2
        elif gondola_id in layout.gondola_by_id:
            gondola = layout.gondola_by_id[gondola_id]
            along_m = gondola.width_m / 2
        else:
            return None
        x, y, _ = gondola.to_world(along_m, 0.0, 0.0)
        return float(x), float(y)

    def _goods(self, at_ns: int, state: FloorState) -> tuple[tuple[StrayItem, ...], dict[str, SlotLevel]]:
        shop, rules = self._shop, self._shop.settings.billing
        noted, counts, handled = self._noted()
        known = [c for c in counts if c.at_ns <= at_ns or self.source.live]
        key = (self.source.version(at_ns), noted, len(known))
        with self._lock:
            found = self._shelves.get(key)
        if found is None:
            items = stray_items(
                state.events, shop.planogram, shop.layout, notes=state.notes(rules), rules=rules, handled=handled
            )
            found = items, slot_levels(shop.layout, shop.catalogue, shop.planogram, state.events, known, rules)
            with self._lock:
                _bounded(self._shelves, 8)[key] = found
        return found

    def _noted(self) -> tuple[Hashable, Sequence[ShelfCount], Collection[str]]:
        """What staff noted, read anew when there is something new. The floor is worth seeing without, when the database
        does not answer."""
        try:
            version = self.notes.version()
            if version != self._notes_known[0]:
                self._notes_known = version, self.notes.counts(), self.notes.handled()
        except StateError:
            pass
        return self._notes_known

    def _refusals(self) -> tuple[dict[str, Any], ...]:
        if self._entries is None:
            return ()
        try:
            return tuple(self._entries.refusals(_NEWEST_REFUSALS))
        except StateError:
            return ()


def _whose(event: Event, state: FloorState) -> str | None:
    if isinstance(event, ShelfEvent):
        return state.doer_of(event)
    return getattr(event, "visit_id", None)


def _newest_receipts(events: Sequence[Event]) -> tuple[ReceiptIssued, ...]:
    newest: dict[str, ReceiptIssued] = {}
    for event in events:
        if isinstance(event, ReceiptIssued):
            before = newest.get(event.receipt_id)
            if before is None or event.version > before.version:
                newest[event.receipt_id] = event
    ordered = sorted(newest.values(), key=lambda r: (r.left_at_ns, r.receipt_id), reverse=True)
    return tuple(ordered[:_NEWEST_RECEIPTS])


def _payments(events: Sequence[Event]) -> dict[str, PaymentUpdated]:
    return {e.visit_id: e for e in events if isinstance(e, PaymentUpdated)}


def _bounded(kept: dict, most: int) -> dict:
    while len(kept) >= most:
        del kept[next(iter(kept))]
    return kept
