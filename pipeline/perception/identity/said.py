# SPDX-License-Identifier: AGPL-3.0-or-later
"""What holds in the end of all that was said of who is who: doubts that were settled later are left out."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from pipeline.messages import Event, TrackAmbiguous, TracksMerged, TracksSwapped


@dataclass(frozen=True)
class Said:
    """Of two labels. `kind`: `swapped`, `merged` or `ambiguous` (never settled); `chance`: of an exchange, of those."""

    kind: str
    labels: tuple[str, ...]
    since_ns: int
    until_ns: int
    chance: float | None = None


def said(events: Iterable[Event]) -> list[Said]:
    """In time order. `events`: in any order, of any kind."""
    events = list(events)
    settled = {event_id for e in events for event_id in getattr(e, "settles", ())}
    out = []
    for e in events:
        if isinstance(e, TracksSwapped | TracksMerged):
            out.append(Said(e.type.removeprefix("tracks-"), (e.track_id, e.other_track_id), e.at_ns, e.at_ns))
        elif isinstance(e, TrackAmbiguous) and e.event_id not in settled:
            out.append(Said("ambiguous", e.track_ids, e.at_ns, e.until_ns, e.exchange_probability))
    return sorted(out, key=lambda s: (s.since_ns, s.labels))
