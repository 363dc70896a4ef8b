# SPDX-License-Identifier: AGPL-3.0-or-later
"""What a run said of who is who, held against the truth: identities of visits before and after its corrections."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import TypeAdapter

from pipeline.messages import Event, TracksMerged, TracksSwapped
from pipeline.perception.identity.said import said
from sim.identity_score import Flag, VisitIdentity, visit_identities
from sim.tracking_score import Positions

_EVENTS = TypeAdapter(list[Event])
_WHO = ("tracks-merged", "tracks-swapped", "track-ambiguous", "tracks-kept")


@dataclass(frozen=True)
class IdentityCounts:
    """Of visits, one per person of a party, and of changes of label.

    `held`, `flagged`, `wrong`, `wrong_flagged` are of labels as the run corrected them: what bills are made from.
    `tracker_...` are of the labels as the tracker gave them; `tracker_wrong_told`: corrected later, or flagged.
    """

    visits: int = 0
    held: int = 0
    flagged: int = 0
    wrong: int = 0
    wrong_flagged: int = 0
    tracker_held: int = 0
    tracker_wrong: int = 0
    tracker_wrong_told: int = 0

    def __add__(self, other: IdentityCounts) -> IdentityCounts:
        return IdentityCounts(*(a + b for a, b in zip(vars(self).values(), vars(other).values(), strict=True)))

    def shares(self) -> dict[str, float | None]:
        """The figures; None where there is nothing to share out."""

        def share(part: int, of: int) -> float | None:
            return part / of if of else None

        return {
            "held": share(self.held, self.visits),
            "wrong_flagged_before": share(self.wrong_flagged, self.wrong),
            "visits_flagged": share(self.flagged, self.visits),
            "tracker_held": share(self.tracker_held, self.visits),
            "tracker_wrong_told": share(self.tracker_wrong_told, self.tracker_wrong),
        }


def identities(
    truth: Positions, tracks: Positions, visits: Sequence[dict], events: Iterable[Event], gate_m: float = 0.5
) -> tuple[list[VisitIdentity], IdentityCounts]:
    """Identities of the visits after the events' corrections, and the counts. `events`: in any order, of any kind."""
    events = list(events)
    names = Names(events)
    doubts = _doubts(events)
    raw = visit_identities(truth, tracks, visits, warnings(events), gate_m)
    named = {t: ([names.of(label, t) for label in labels], xy) for t, (labels, xy) in tracks.items()}
    renamed = [Flag(tuple(names.of(k, f.since_ns) for k in f.track_ids), f.since_ns, f.until_ns) for f in doubts]
    found = visit_identities(truth, named, visits, renamed, gate_m)
    changes, tracker = ([c for v in side for c in v.changes] for side in (found, raw))
    return found, IdentityCounts(
        visits=len(found),
        held=sum(v.held for v in found),
        flagged=sum(v.flagged for v in found),
        wrong=len(changes),
        wrong_flagged=sum(c.flagged for c in changes),
        tracker_held=sum(v.held for v in raw),
        tracker_wrong=len(tracker),
        tracker_wrong_told=sum(c.flagged for c in tracker),
    )


class Names:
    """Which person a label means at a moment, by the merges and swaps of a run; a person is called by a label."""

    def __init__(self, events: Iterable[Event]) -> None:
        self._steps: list[tuple[int, dict[str, str]]] = [(0, {})]
        corrections = [e for e in events if isinstance(e, TracksMerged | TracksSwapped)]
        for event in sorted(corrections, key=lambda e: (e.at_ns, e.event_id)):
            names = dict(self._steps[-1][1])
            a, b = event.track_id, event.other_track_id
            names[b], swapped = names.get(a, a), names.get(b, b)
            if isinstance(event, TracksSwapped):
                names[a] = swapped
            self._steps.append((event.at_ns, names))

    def of(self, label: str, at_ns: int) -> str:
        names = next(names for since_ns, names in reversed(self._steps) if since_ns <= at_ns)
        return names.get(label, label)


def warnings(events: Iterable[Event]) -> list[Flag]:
    """Moments of which the run said that labels were, or may have been, exchanged."""
    return [Flag(s.labels, s.since_ns, s.until_ns) for s in said(events) if s.kind != "merged"]


def read_events(path: Path) -> list[Event]:
    """What a run's `events.jsonl` says of who is who; nothing where there is no such file."""
    if not path.exists():
        return []
    rows = (json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.strip())
    return _EVENTS.validate_python([row for row in rows if row["type"] in _WHO])


def _doubts(events: Sequence[Event]) -> list[Flag]:
    """What was told as ambiguous and never settled."""
    return [Flag(s.labels, s.since_ns, s.until_ns) for s in said(events) if s.kind == "ambiguous"]
