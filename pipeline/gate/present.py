# SPDX-License-Identifier: AGPL-3.0-or-later
"""Who is in the shop: open visits, the floor tracks of each, and where those were seen."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field

import numpy as np

from calibration.layout import StoreLayout
from pipeline.gate.paths import GateLine, Path
from pipeline.messages import PersonWithoutPass, TrackBound, VisitOpened

Opening = VisitOpened | PersonWithoutPass


@dataclass(frozen=True)
class Bound:
    """From `from_ns` on, this track is this member of the visit. `event_id`: what says so in the log."""

    track_id: str
    member: int
    from_ns: int
    event_id: str


@dataclass
class OpenVisit:
    """A visit from its opening to its closing.

    `armed`: members who have been inside since it began. `joined`: another visit has taken over what this one did.
    `staff`: it is followed, so that nobody else is taken for them, and is in no log: nobody is billed for staff.
    `brought_ns`: when the payer let one more in, for each.
    """

    opened: Opening
    bound: list[Bound] = field(default_factory=list)
    armed: set[int] = field(default_factory=set)
    joined: bool = False
    staff: bool = False
    brought_ns: list[int] = field(default_factory=list)

    @property
    def visit_id(self) -> str:
        return self.opened.visit_id

    @property
    def has_payer(self) -> bool:
        return isinstance(self.opened, VisitOpened)

    @property
    def party_size(self) -> int:
        size = self.opened.party_size if isinstance(self.opened, VisitOpened) else 1
        return size + len(self.brought_ns)

    @property
    def members(self) -> list[int]:
        return sorted({b.member for b in self.bound})

    @property
    def track_ids(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(b.track_id for b in self.bound))

    def last_entry_ns(self) -> int:
        """When the last of those who have come in did; the tap while nobody has."""
        first: dict[int, int] = {}
        for bound in self.bound:
            first[bound.member] = min(bound.from_ns, first.get(bound.member, bound.from_ns))
        return max([self.opened.at_ns, *self.brought_ns, *first.values()])

    def free_member(self) -> int | None:
        """The number of the next one of the party, None when all have come in."""
        taken = set(self.members)
        return next((m for m in range(1, self.party_size + 1) if m not in taken), None)


class Present:
    """The state that coming in and going out share. Times are ns, places metres on the floor."""

    def __init__(self, layout: StoreLayout) -> None:
        self.store_id = layout.store_id
        self.lines = {gate.id: GateLine(gate) for gate in layout.gates}
        self.paths: dict[str, Path] = {}
        self.visits: dict[str, OpenVisit] = {}
        self.who: dict[str, tuple[str, int]] = {}
        """track id -> (visit id, member), while the visit is open; corrections of identities included."""
        self.outside: dict[str, tuple[int, str]] = {}
        """track id -> since when, and by which gate, it has been outside the line."""

    def in_order(self) -> list[OpenVisit]:
        return sorted(self.visits.values(), key=lambda v: (v.opened.at_ns, v.visit_id))

    def unbound(self) -> list[Path]:
        return [p for _, p in sorted(self.paths.items()) if p.track_id not in self.who]

    def visit_of(self, track_id: str) -> OpenVisit | None:
        return self.visits.get(self.who.get(track_id, ("", 0))[0])

    def bind(self, visit: OpenVisit, track_id: str, member: int, from_ns: int) -> TrackBound:
        bound = TrackBound(
            event_id=digest(visit.visit_id, "bound", track_id, str(from_ns)),
            store_id=self.store_id,
            at_ns=from_ns,
            visit_id=visit.visit_id,
            track_id=track_id,
            member=member,
        )
        visit.bound.append(Bound(track_id, member, from_ns, bound.event_id))
        self.who[track_id] = (visit.visit_id, member)
        return bound

    def newest(self, visit: OpenVisit, member: int) -> Path | None:
        """Where this member was seen last; None while they have not been seen."""
        mine = [t for t, whose in self.who.items() if whose == (visit.visit_id, member) and t in self.paths]
        return max((self.paths[t] for t in mine), key=lambda p: (p.seen_ns, p.track_id), default=None)

    def last_seen(self, visit: OpenVisit, member: int) -> tuple[int, np.ndarray]:
        """When and where; the tap, for somebody who has not been seen yet."""
        path = self.newest(visit, member)
        if path is None:
            return visit.opened.at_ns, self.lines[visit.opened.gate_id].tap_m
        return path.seen_ns, path.seen_xy_m

    def remove(self, visit_id: str) -> OpenVisit:
        visit = self.visits.pop(visit_id)
        for track_id in [t for t, (whose, _) in self.who.items() if whose == visit_id]:
            del self.who[track_id]
            self.outside.pop(track_id, None)
            if track_id in self.paths:
                self.paths[track_id].since_ns = self.paths[track_id].seen_ns
        return visit

    def nearest_line(self, floor_xy_m: np.ndarray) -> tuple[str, GateLine]:
        def distance(item: tuple[str, GateLine]) -> float:
            return float(np.hypot(item[1].inside_m(floor_xy_m), item[1].beside_m(floor_xy_m)))

        return min(self.lines.items(), key=distance)

    def forget(self, before_ns: int) -> None:
        """Drop tracks of nobody that were last seen before then."""
        gone = [t for t, path in self.paths.items() if path.seen_ns < before_ns and t not in self.who]
        for track_id in gone:
            del self.paths[track_id]
            self.outside.pop(track_id, None)


def digest(*parts: str) -> str:
    return hashlib.sha256("\x1f".join(parts).encode()).hexdigest()[:16]


def visit_id_of(store_id: str, gate_id: str, at_ns: int, shopper_id: str) -> str:
    """The visit that a tap opens: the same when the same footage is run again, or the same tap is read twice."""
    return f"v-{digest(store_id, gate_id, str(at_ns), shopper_id)}"
