# SPDX-License-Identifier: AGPL-3.0-or-later
"""What the log says about a visit: the events that its closing names, and who may have done each of them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from sqlalchemy import Connection, select

from pipeline.cart.identity import Identities
from pipeline.cart.tables import events, exits
from pipeline.eventlog.codec import decode
from pipeline.messages import Event, ReceiptLine, ShelfEvent, TrackBound
from pipeline.state.bulk import is_in


@dataclass(frozen=True)
class Material:
    """The events of one visit, `visit_id`'s, by time."""

    visit_id: str
    events: tuple[Event, ...]

    @cached_property
    def identities(self) -> Identities:
        return Identities(self.events)

    @cached_property
    def by_id(self) -> dict[str, Event]:
        return {e.event_id: e for e in self.events}

    @cached_property
    def tracks(self) -> tuple[str, ...]:
        """Floor tracks that were bound to the visit."""
        bound = [e.track_id for e in self.events if getattr(e, "visit_id", None) == self.visit_id and _binds(e)]
        return tuple(dict.fromkeys(bound))

    def shelf_events(self, line: ReceiptLine) -> tuple[ShelfEvent, ...]:
        """What a line is made of, by time; events that are not here (any more) are left out."""
        found = [self.by_id[i] for i in line.event_ids if i in self.by_id]
        return tuple(sorted((e for e in found if isinstance(e, ShelfEvent)), key=lambda e: (e.at_ns, e.event_id)))

    def shares(self, event: ShelfEvent) -> dict[str | None, float]:
        """Visit id -> probability that somebody of it did it; None: somebody without a visit."""
        return self.identities.shares([(c.value, c.probability) for c in event.persons], event.at_ns)

    def took_probability(self, line: ReceiptLine) -> float | None:
        """How probably the visit took the line, as far as its events say: the least over its picks of person times
        product times kind. None when no pick is known."""
        found = [
            self.shares(e).get(self.visit_id, 0.0) * _of(e, line.gtin) * e.kind_probability
            for e in self.shelf_events(line)
            if e.kind == "pick"
        ]
        return min(found, default=None)


def load(db: Connection, visit_id: str) -> Material:
    """What the state has kept of the visit; empty when it is not known here or has been erased."""
    closing = db.execute(
        select(events.c.body).join(exits, exits.c.event_id == events.c.event_id).where(exits.c.visit_id == visit_id)
    ).scalar_one_or_none()
    if closing is None:
        return Material(visit_id, ())
    closed = decode(closing)
    rows = db.execute(select(events.c.body).where(is_in(db, events.c.event_id, closed.event_ids))).scalars()
    found = [decode(body) for body in rows]
    return Material(visit_id, tuple(sorted([*found, closed], key=lambda e: (e.at_ns, e.event_id))))


def _binds(event: Event) -> bool:
    return isinstance(event, TrackBound) or event.type == "person-without-pass"


def _of(event: ShelfEvent, gtin: str) -> float:
    return sum(c.probability for c in event.products if c.value == gtin)
