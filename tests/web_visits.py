# SPDX-License-Identifier: AGPL-3.0-or-later
"""Visits that a script writes into a site's event log, step by step, as a running shop does."""

from __future__ import annotations

import itertools
import time
from dataclasses import dataclass, field

from pipeline.eventlog import open_log
from pipeline.messages import Candidate, Event, ShelfEvent, TrackBound, VisitClosed, VisitOpened
from pipeline.site import Site

_NUMBERS = itertools.count(1)
S = 1_000_000_000


@dataclass
class ScriptedVisit:
    """`shopper` walks in when this is made; each call is in the log when it returns."""

    site: Site
    shopper: str
    party_size: int = 1
    written: list[Event] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.number = next(_NUMBERS)
        self.visit_id, self.tracks = f"visit-{self.number}", [f"w{self.number}-{k}" for k in range(self.party_size)]
        self._at_ns = time.time_ns()
        opened = VisitOpened(
            **self._base(), visit_id=self.visit_id, gate_id="gate", shopper_id=self.shopper, party_size=self.party_size
        )
        bound = [
            TrackBound(**self._base(), visit_id=self.visit_id, track_id=track, member=k + 1)
            for k, track in enumerate(self.tracks)
        ]
        self._append(opened, *bound)

    def pick(self, gtin: str, **kwargs) -> ShelfEvent:
        return self._shelf("pick", gtin, **kwargs)

    def put_back(self, gtin: str, **kwargs) -> ShelfEvent:
        return self._shelf("put_back", gtin, **kwargs)

    def leave(self) -> None:
        named = tuple(e.event_id for e in self.written)
        self._append(VisitClosed(**self._base(), visit_id=self.visit_id, gate_id="gate", event_ids=named))

    def _shelf(
        self, kind: str, gtin: str, *, sure: float = 0.97, quantity: int = 1, member: int = 1, also: str | None = None
    ) -> ShelfEvent:
        """`also`: another product that it may be, with what `sure` leaves."""
        base = self._base()
        products = [Candidate(value=gtin, probability=sure)]
        products += [Candidate(value=also, probability=1 - sure)] if also else []
        event = ShelfEvent(
            **base, kind=kind, kind_probability=0.97, products=tuple(products), gondola_id="g", slot_id="g-0",
            persons=(Candidate(value=self.tracks[member - 1], probability=0.97),),
            quantities=(Candidate(value=str(quantity), probability=0.97),), t0_ns=base["at_ns"] - 1,
            t1_ns=base["at_ns"] + 1,
        )  # fmt: skip
        self._append(event)
        return event

    def _base(self) -> dict:
        self._at_ns = max(self._at_ns + 1, time.time_ns())
        return {"event_id": f"scripted-{next(_NUMBERS)}", "store_id": self.site.store_id, "at_ns": self._at_ns}

    def _append(self, *events: Event) -> None:
        log = open_log(self.site.log_url)
        log.append(events)
        log.close()
        self.written += events
