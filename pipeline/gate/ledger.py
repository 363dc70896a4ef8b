# SPDX-License-Identifier: AGPL-3.0-or-later
"""What closings name: a visit's own events, and everything that a bill made from them depends on."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any

from pydantic import TypeAdapter

from pipeline.cart.identity import connected
from pipeline.gate.present import OpenVisit
from pipeline.messages import (
    IDENTITY_CORRECTIONS,
    Event,
    PersonWithoutPass,
    ShelfEvent,
    TrackBound,
)

_EVENTS = TypeAdapter(list[Event])


class Ledger:
    """Remembers events by track and by visit until they can matter no more."""

    def __init__(self) -> None:
        self._bindings: dict[str, dict[str, int]] = {}
        """track id -> event id -> from when, of bindings to visits open and closed."""
        self._shelf: dict[str, dict[str, ShelfEvent]] = {}
        """track id -> shelf events in which it is among the persons."""
        self._corrections: dict[str, Event] = {}
        self._others: dict[str, dict[str, int]] = {}
        """visit id -> coupons and decisions of staff."""

    def note(self, events: Iterable[Event]) -> None:
        for event in events:
            if isinstance(event, ShelfEvent):
                for person in event.persons:
                    self._shelf.setdefault(person.value, {})[event.event_id] = event
            elif isinstance(event, TrackBound | PersonWithoutPass):
                self._bindings.setdefault(event.track_id, {})[event.event_id] = event.at_ns
            elif isinstance(event, IDENTITY_CORRECTIONS):
                self._corrections[event.event_id] = event
            elif event.type in ("coupon-presented", "staff-decision"):
                self._others.setdefault(event.visit_id, {})[event.event_id] = event.at_ns

    def named(self, visit: OpenVisit, left_ns: int) -> tuple[str, ...]:
        """Ids for the visit's closing: opening and bindings, corrections, what the tracks did while they were its, and
        whatever says whose the other candidates' tracks are. Of one that was joined to another nothing is left."""
        if visit.joined:
            return (visit.opened.event_id, *(b.event_id for b in visit.bound if b.event_id != visit.opened.event_id))
        since: dict[str, int] = {}
        for bound in visit.bound:
            since[bound.track_id] = min(bound.from_ns, since.get(bound.track_id, bound.from_ns))
        mine, corrections = connected(since, self._corrections.values())
        first_ns = min(since.values(), default=visit.opened.at_ns)
        shelf = {
            e.event_id: e
            for track_id in mine
            for e in self._shelf.get(track_id, {}).values()
            if since.get(track_id, first_ns) <= e.at_ns <= left_ns
        }
        people, more = connected({p.value for e in shelf.values() for p in e.persons}, self._corrections.values())
        others = sorted((people | mine) - set(visit.track_ids))
        return tuple(
            dict.fromkeys(
                [
                    visit.opened.event_id,
                    *(b.event_id for b in visit.bound),
                    *(event_id for track_id in others for event_id in self._bindings.get(track_id, ())),
                    *(c.event_id for c in (*corrections, *more)),
                    *(e.event_id for e in sorted(shelf.values(), key=lambda e: (e.at_ns, e.event_id))),
                    *self._others.get(visit.visit_id, ()),
                ]
            )
        )

    def forget(self, known: Collection[str], visits: Iterable[OpenVisit], before_ns: int) -> None:
        """Drop tracks that are not `known` any more, but for those that a correction connects with a visit which is
        still open: what was done under such a label may be the visit's. And corrections from before `before_ns`."""
        gone = (self._bindings.keys() | self._shelf.keys()).difference(known)
        if gone:
            gone -= connected({t for visit in visits for t in visit.track_ids}, self._corrections.values())[0]
        for track_id in gone:
            self._bindings.pop(track_id, None)
            self._shelf.pop(track_id, None)
        for event_id in [i for i, c in self._corrections.items() if c.at_ns < before_ns]:
            del self._corrections[event_id]

    def dump(self) -> dict[str, Any]:
        """JSON-able; `load` takes it back."""
        events = {e.event_id: e for of_track in self._shelf.values() for e in of_track.values()} | self._corrections
        return {
            "events": [events[i].model_dump(mode="json") for i in sorted(events)],
            "bindings": self._bindings,
            "others": self._others,
        }

    def load(self, body: dict[str, Any]) -> None:
        self.note(_EVENTS.validate_python(body["events"]))
        self._bindings.update(body["bindings"])
        self._others.update(body["others"])

    def closed(self, visit_id: str) -> None:
        self._others.pop(visit_id, None)
