# SPDX-License-Identifier: AGPL-3.0-or-later
"""`GateKeeper`: visits from the tap to the exit. Pure: time comes with the tracks."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from calibration.layout import StoreLayout
from pipeline.gate import snapshot
from pipeline.gate.arrivals import Arrivals
from pipeline.gate.departures import Departures, Exit
from pipeline.gate.ledger import Ledger
from pipeline.gate.paths import Path, S
from pipeline.gate.present import Bound, OpenVisit, Present, digest, visit_id_of
from pipeline.gate.settings import GateSettings
from pipeline.messages import (
    Event,
    FloorTrack,
    PersonWithoutPass,
    TrackBound,
    TracksMerged,
    TracksSwapped,
    VisitClosed,
    VisitOpened,
)


@dataclass(frozen=True)
class GateUpdate:
    events: tuple[Event, ...] = ()
    exits: tuple[Exit, ...] = ()


class GateKeeper:
    """Opens a visit at each tap, binds it to the floor tracks of its party, and sees it out.

    Once a window: `update`. For every exit that it returns: settle the shelf events of the exit's tracks, `note` them,
    and publish what `close` returns. `note` wants every shelf event and every identity correction of the store, as it
    comes. Who came in on nobody's pass is a visit without a payer: what they take is nobody else's.
    """

    def __init__(self, layout: StoreLayout, settings: GateSettings | None = None) -> None:
        self._settings = settings or GateSettings()
        self._present = Present(layout)
        self._departures = Departures(self._present, self._settings)
        self._arrivals = Arrivals(self._present, self._departures, self._settings)
        self._ledger = Ledger()

    def update(self, at_ns: int, tracks: Sequence[FloorTrack], taps: Iterable = ()) -> GateUpdate:
        """One window: `tracks` at `at_ns`, and the taps (`GateTap`) since the last one."""
        events: list[Event] = []
        for tap in taps:
            how = {"join": self._join, "bring": self._bring}.get(tap.kind, self._open)
            events += how(tap)
        for track in sorted(tracks, key=lambda t: t.track_id):
            path = self._present.paths.setdefault(track.track_id, Path.of(track))
            if path.add(track):
                self._arrivals.watch(path, at_ns)
                self._departures.watch(path, at_ns)
        events += self._arrivals.update(at_ns)
        events = [e for e in events if not self._is_staffs(e)]
        self._ledger.note(events)
        exits = self._exits(at_ns, round(self._settings.lost_s * S))
        before_ns = at_ns - round(self._settings.forget_s * S)
        since_ns = min([before_ns, *(v.opened.at_ns for v in self._present.visits.values())])
        self._present.forget(before_ns)
        self._ledger.forget(self._present.paths.keys(), self._present.visits.values(), since_ns)
        return GateUpdate(tuple(events), tuple(exits))

    def finish(self, at_ns: int) -> GateUpdate:
        """The last window has been: who was on the way out has left; others stay in the shop, unbilled."""
        return GateUpdate((), tuple(self._exits(at_ns, -1)))

    def note(self, events: Iterable[Event]) -> None:
        """Remember events for the closings that will name them, and follow corrections of who is who."""
        events = list(events)
        self._ledger.note(events)
        who = self._present.who
        for event in events:
            if isinstance(event, TracksMerged):
                kept, other = event.track_id, event.other_track_id
                for known, new in ((kept, other), (other, kept)):
                    if known in who and new not in who:
                        who[new] = who[known]
            elif isinstance(event, TracksSwapped):
                a, b = event.track_id, event.other_track_id
                for label, owner in ((a, who.pop(b, None)), (b, who.pop(a, None))):
                    if owner is not None:
                        who[label] = owner

    def close(self, left: Exit) -> VisitClosed:
        """The closing of a visit that `update` or `finish` reported as left; names everything its bill is made from."""
        visit = self._present.visits[left.visit_id]
        event_ids = self._ledger.named(visit, left.at_ns)
        self._present.remove(left.visit_id)
        self._ledger.closed(left.visit_id)
        return VisitClosed(
            event_id=digest(left.visit_id, "closed"),
            store_id=self._present.store_id,
            at_ns=left.at_ns,
            visit_id=left.visit_id,
            gate_id=left.gate_id,
            event_ids=event_ids,
        )

    def open_visits(self) -> tuple[OpenVisit, ...]:
        """Everybody who is in the shop now, oldest first; not to be changed."""
        return tuple(self._present.in_order())

    # --- over a restart ---

    def snapshot(self) -> dict[str, Any]:
        """Everything that `restore` needs, as JSON can hold it."""
        return snapshot.dump(self._present, self._ledger)

    def restore(self, body: dict[str, Any], since: Iterable[Event] = ()) -> None:
        """Take over from the keeper that made the snapshot; `since`: what it published afterwards. To be called before
        the first `update`, whose tracks are all new: whoever was inside is found again by where they were seen last."""
        snapshot.load(body, self._present, self._ledger)
        for event in since:
            if isinstance(event, VisitOpened | PersonWithoutPass):
                self._present.visits.setdefault(event.visit_id, OpenVisit(event))
            visit = self._present.visits.get(getattr(event, "visit_id", ""))
            if isinstance(event, TrackBound | PersonWithoutPass) and visit is not None:
                member = getattr(event, "member", 1)
                bound = Bound(event.track_id, member, event.at_ns, event.event_id)
                if bound not in visit.bound:
                    visit.bound.append(bound)
                    visit.armed.add(member)
                self._present.who[event.track_id] = (event.visit_id, member)
            elif isinstance(event, VisitClosed) and visit is not None:
                self._present.remove(event.visit_id)
            self.note([event])
        self._arrivals.resumed = True

    # --- taps ---

    def _open(self, tap) -> list[Event]:
        """A tap that was read twice opens nothing twice."""
        visit_id = visit_id_of(self._present.store_id, tap.gate_id, tap.at_ns, tap.shopper_id)
        if visit_id in self._present.visits:
            return []
        opened = VisitOpened(
            event_id=digest(visit_id, "opened"),
            store_id=self._present.store_id,
            at_ns=tap.at_ns,
            visit_id=visit_id,
            gate_id=tap.gate_id,
            shopper_id=tap.shopper_id,
            party_size=tap.party_size,
        )
        self._present.visits[visit_id] = OpenVisit(opened, staff=tap.kind == "staff")
        return [opened]

    def _bring(self, tap) -> list[Event]:
        """One more place on the visit of a shopper who is inside."""
        for visit in self._present.in_order():
            if visit.has_payer and not visit.staff and visit.opened.shopper_id == tap.shopper_id:
                if tap.at_ns not in visit.brought_ns:
                    visit.brought_ns.append(tap.at_ns)
                break
        return []

    def _is_staffs(self, event: Event) -> bool:
        visit = self._present.visits.get(getattr(event, "visit_id", ""))
        return visit is not None and visit.staff

    def _exits(self, at_ns: int, lost_ns: int) -> list[Exit]:
        """Of shoppers; staff who have left are forgotten."""
        found = []
        for left in self._departures.exits(at_ns, lost_ns):
            if self._present.visits[left.visit_id].staff:
                self._present.remove(left.visit_id)
            else:
                found.append(left)
        return found

    def _join(self, tap) -> list[Event]:
        """What an open visit has done and will do goes to another one's bill. A join that fits nobody does nothing."""
        visits = [v for v in self._present.in_order() if not v.staff]
        into = [v for v in visits if v.has_payer and v.opened.shopper_id == tap.shopper_id]
        others = [v for v in visits if v.bound and not v.joined]
        if tap.joins is None:
            others = [v for v in others if not v.has_payer]
        else:
            others = [v for v in others if tap.joins in (v.visit_id, getattr(v.opened, "shopper_id", None))]
        if not into or not others or others[-1] is into[-1]:
            return []
        return list(self._arrivals.joined(others[-1], into[-1]))
