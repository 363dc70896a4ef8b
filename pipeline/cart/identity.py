# SPDX-License-Identifier: AGPL-3.0-or-later
"""Whom the labels of floor tracks mean, at each moment, after the tracker's corrections.

A label stands for a person. A merge lets a second label stand for the same one, a swap exchanges two, an ambiguity
leaves open which is which. Corrections are applied by the time from which they hold, whatever the order in which they
are read, so that what is found out late is billed as if it had been known.

Each label has a distribution over people: identity at first; a swap exchanges two rows, a merge copies one, an
ambiguity of n labels with exchange probability p mixes them: (1 - p) of a label's own row and p / (n - 1) of each of
the others'. Doubt about who did something is then a probability like any other, and the store's rules decide.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from pipeline.messages import (
    IDENTITY_CORRECTIONS,
    Event,
    PersonWithoutPass,
    TrackAmbiguous,
    TrackBound,
    TracksKept,
    TracksMerged,
    TracksSwapped,
)

Owner = tuple[str, int]
"""Visit id and member of its party."""
Row = Mapping[str, float]
"""Person -> probability. A person is named after the label that they had first."""


@dataclass(frozen=True)
class Doer:
    """Who did something: most probably a member of `visit_id` (None: somebody without a visit).

    `probability` is the visit's, not the member's: within a party it makes no difference to the bill. `confused`: the
    tracker may have exchanged people before.
    """

    visit_id: str | None
    member: int
    probability: float
    confused: bool


class Identities:
    """Built from the bindings and corrections of a store, or of those tracks that matter (`connected`)."""

    def __init__(self, events: Iterable[Event]) -> None:
        events = list(events)
        settled = {i for e in events if isinstance(e, TracksSwapped | TracksKept) for i in e.settles}
        self._rows: dict[str, Row] = {}
        self._aliases: set[str] = set()
        """Labels that a merge gave to somebody who has another one."""
        self._owners: dict[str, list[tuple[int, Owner]]] = {}
        self._times: list[int] = []
        self._snapshots: list[dict[str, Row]] = []
        for event in sorted((e for e in events if isinstance(e, _KINDS)), key=_order):
            if event.event_id not in settled:
                self._apply(event)

    def doer(self, persons: Iterable[tuple[str, float]], at_ns: int) -> Doer:
        """Who did what happened at `at_ns`, given (track label, probability) of each candidate.

        Tracks of one visit add up; each person without a visit is somebody of their own.
        """
        chances: dict[tuple[bool, str], float] = {}
        members: dict[tuple[str, int], float] = {}
        confused = False
        for label, given in persons:
            row = self._row_at(label, at_ns)
            confused |= len(row) > 1
            for person, share in row.items():
                owner = self._owner(person, at_ns)
                key = (owner is not None, owner[0] if owner else person)
                chances[key] = chances.get(key, 0.0) + given * share
                if owner:
                    members[owner] = members.get(owner, 0.0) + given * share
        (has_visit, name), probability = max(chances.items(), key=lambda kv: (round(kv[1], 12), kv[0]))
        mine = {member: p for (visit_id, member), p in members.items() if visit_id == name} if has_visit else {1: 1.0}
        member = max(mine, key=lambda m: (round(mine[m], 12), -m))
        return Doer(name if has_visit else None, member, min(probability, 1.0), confused)

    def shares(self, persons: Iterable[tuple[str, float]], at_ns: int) -> dict[str | None, float]:
        """Visit id -> how probably somebody of it did what happened at `at_ns`; None: people without a visit. For
        those who look at it; what is billed is `doer`'s."""
        found: dict[str | None, float] = {}
        for label, given in persons:
            for person, share in self._row_at(label, at_ns).items():
                owner = self._owner(person, at_ns)
                visit_id = owner[0] if owner else None
                found[visit_id] = found.get(visit_id, 0.0) + given * share
        return found

    # --- building ---

    def _apply(self, event: Event) -> None:
        if isinstance(event, TrackBound | PersonWithoutPass):
            self._bind(event)
            return
        if isinstance(event, TracksSwapped):
            a, b = event.track_id, event.other_track_id
            self._rows[a], self._rows[b] = self._row(b), self._row(a)
            flags = (b in self._aliases, a in self._aliases)
            self._aliases -= {a, b}
            self._aliases |= {label for label, flag in zip((a, b), flags, strict=True) if flag}
        elif isinstance(event, TracksMerged):
            if event.track_id != event.other_track_id:
                self._rows[event.other_track_id] = self._row(event.track_id)
                self._aliases.add(event.other_track_id)
        else:
            self._mix(event)
        self._keep(event.at_ns)

    def _mix(self, event: TrackAmbiguous) -> None:
        labels = list(dict.fromkeys(event.track_ids))
        if len(labels) < 2:
            return
        rows = [self._row(label) for label in labels]
        stays, goes = 1 - event.exchange_probability, event.exchange_probability / (len(labels) - 1)
        for i, label in enumerate(labels):
            mixed: dict[str, float] = {}
            for j, row in enumerate(rows):
                for person, p in row.items():
                    mixed[person] = mixed.get(person, 0.0) + (stays if i == j else goes) * p
            self._rows[label] = {person: p for person, p in mixed.items() if p > 0}

    def _bind(self, event: TrackBound | PersonWithoutPass) -> None:
        """A binding is of the person who has the label now. If that is open, it is a person of its own: the pass was
        shown by whoever it was. A second label of somebody who has a visit brings no other one with it."""
        row = self._row(event.track_id)
        if len(row) == 1:
            (person,) = row
        else:
            person = f"{event.track_id}@{event.at_ns}"
            self._rows[event.track_id] = {person: 1.0}
            self._keep(event.at_ns)
        if event.track_id in self._aliases and self._owner(person, event.at_ns):
            return
        self._owners.setdefault(person, []).append((event.at_ns, (event.visit_id, getattr(event, "member", 1))))

    def _row(self, label: str) -> Row:
        return self._rows.get(label, {label: 1.0})

    def _keep(self, at_ns: int) -> None:
        self._times.append(at_ns)
        self._snapshots.append(dict(self._rows))

    # --- asking ---

    def _row_at(self, label: str, at_ns: int) -> Row:
        index = bisect_right(self._times, at_ns) - 1
        return (self._snapshots[index] if index >= 0 else {}).get(label, {label: 1.0})

    def _owner(self, person: str, at_ns: int) -> Owner | None:
        """The visit that the person was last bound to at that moment."""
        owner = None
        for since_ns, candidate in self._owners.get(person, ()):
            if since_ns <= at_ns:
                owner = candidate
        return owner


def tracks_of(correction: Event) -> frozenset[str]:
    """The labels that a correction speaks of; none for `TracksKept`, which speaks of other corrections."""
    if isinstance(correction, TracksMerged | TracksSwapped):
        return frozenset((correction.track_id, correction.other_track_id))
    return frozenset(correction.track_ids) if isinstance(correction, TrackAmbiguous) else frozenset()


def connected(track_ids: Iterable[str], corrections: Iterable[Event]) -> tuple[frozenset[str], tuple[Event, ...]]:
    """The tracks that corrections connect with `track_ids`, these among them, and the corrections that do.

    A closing names those corrections, and what the other tracks did: any of it may be the visit's.
    """
    tracks, used = set(track_ids), {}
    waiting = [c for c in corrections if isinstance(c, IDENTITY_CORRECTIONS)]
    grown = True
    while grown:
        grown = False
        for correction in waiting:
            settles = set(getattr(correction, "settles", ())) & used.keys()
            if correction.event_id not in used and (tracks_of(correction) & tracks or settles):
                used[correction.event_id] = correction
                tracks |= tracks_of(correction)
                grown = True
    return frozenset(tracks), tuple(sorted(used.values(), key=lambda c: (c.at_ns, c.event_id)))


_KINDS = (TrackBound, PersonWithoutPass, TracksMerged, TracksSwapped, TrackAmbiguous)


def _order(event: Event) -> tuple[int, bool, str]:
    """By time; at one moment corrections go first: a label that begins is told whose it is before it is bound."""
    return event.at_ns, isinstance(event, TrackBound | PersonWithoutPass), event.event_id
