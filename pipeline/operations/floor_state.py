# SPDX-License-Identifier: AGPL-3.0-or-later
"""What a shop's events say about its floor at one moment: open visits, who is whose, gates, doubtful carts. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from pipeline.cart.fold import CartState, cart_of, fold
from pipeline.cart.identity import Identities
from pipeline.cart.rules import BillingRules
from pipeline.cart.units import Cart
from pipeline.messages import (
    IDENTITY_CORRECTIONS,
    Event,
    PersonWithoutPass,
    ReviewNote,
    ShelfEvent,
    TrackBound,
    VisitClosed,
    VisitOpened,
)


@dataclass(frozen=True)
class FloorVisit:
    """Somebody who is in the shop, or a party that pays together. No name: the floor does not need one.

    `without_pass`: nobody showed a pass for them; `behind_visit_id`: at whose heels they came in.
    """

    visit_id: str
    since_ns: int
    gate_id: str
    party_size: int = 1
    without_pass: bool = False
    behind_visit_id: str | None = None

    @property
    def label(self) -> str:
        return visit_label(self.visit_id)


@dataclass(frozen=True)
class GateCount:
    """Since the events begin. `without_pass` are among the entries."""

    gate_id: str
    entries: int = 0
    exits: int = 0
    without_pass: int = 0
    last_ns: int = 0


def visit_label(visit_id: str) -> str:
    """Four characters, enough to speak of somebody on the floor, on the pages and over a radio."""
    return visit_id.removeprefix("v-")[:4].upper()


class FloorState:
    """The events up to `at_ns`, and what follows from them. Made anew when there is a new event."""

    def __init__(self, events: Iterable[Event], at_ns: int) -> None:
        self.at_ns = at_ns
        self.events: tuple[Event, ...] = tuple(e for e in events if e.at_ns <= at_ns)
        self._identities = Identities(
            e for e in self.events if isinstance(e, (TrackBound, PersonWithoutPass, *IDENTITY_CORRECTIONS))
        )
        closed = {e.visit_id for e in self.events if isinstance(e, VisitClosed)}
        self.visits: dict[str, FloorVisit] = {}
        for event in self.events:
            if isinstance(event, VisitOpened | PersonWithoutPass) and event.visit_id not in closed:
                self.visits.setdefault(event.visit_id, _visit(event))

    def visit_of(self, track_id: str, at_ns: int | None = None) -> str | None:
        """The open visit to which what this track does belongs now; None for staff and for who is not bound yet."""
        doer = self._identities.doer([(track_id, 1.0)], self.at_ns if at_ns is None else at_ns)
        return doer.visit_id if doer.visit_id in self.visits else None

    def doer_of(self, event: ShelfEvent) -> str | None:
        """The visit, open or closed, that most probably did it."""
        return self._identities.doer([(c.value, c.probability) for c in event.persons], event.at_ns).visit_id

    def cart(self, visit_id: str, rules: BillingRules) -> Cart:
        """What the visit has in its cart. `KeyError` when it is not open."""
        return cart_of(self._carts(self.visits[visit_id].since_ns), visit_id, rules)

    def notes(self, rules: BillingRules) -> list[tuple[str, ReviewNote]]:
        """What is doubtful in the carts of everybody who is inside and is no line of a bill."""
        if not self.visits:
            return []
        carts = self._carts(min(v.since_ns for v in self.visits.values()))
        return [(visit_id, note) for visit_id in self.visits for note in cart_of(carts, visit_id, rules).notes]

    def gates(self, gate_ids: Sequence[str]) -> list[GateCount]:
        count = {gate_id: [0, 0, 0, 0] for gate_id in gate_ids}
        for event in self.events:
            if isinstance(event, VisitOpened | PersonWithoutPass | VisitClosed) and event.gate_id in count:
                at = count[event.gate_id]
                at[0] += not isinstance(event, VisitClosed)
                at[1] += isinstance(event, VisitClosed)
                at[2] += isinstance(event, PersonWithoutPass)
                at[3] = max(at[3], event.at_ns)
        return [GateCount(gate_id, *numbers) for gate_id, numbers in count.items()]

    def _carts(self, since_ns: int) -> CartState:
        """Enough of the events for the carts of visits that opened then or later: a shop's day is long. Bindings and
        corrections of identities count from the start, shelf events only since."""
        wanted = (VisitOpened, PersonWithoutPass, TrackBound, *IDENTITY_CORRECTIONS)
        return fold(
            CartState(),
            *(
                e for e in self.events
                if (isinstance(e, wanted) or not isinstance(e, ShelfEvent) or e.at_ns >= since_ns)
            ),
        )  # fmt: skip


def _visit(event: VisitOpened | PersonWithoutPass) -> FloorVisit:
    if isinstance(event, PersonWithoutPass):
        return FloorVisit(
            event.visit_id, event.at_ns, event.gate_id, without_pass=True, behind_visit_id=event.behind_visit_id
        )
    return FloorVisit(event.visit_id, event.at_ns, event.gate_id, event.party_size)
