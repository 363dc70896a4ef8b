# SPDX-License-Identifier: AGPL-3.0-or-later
"""Names of floor tracks that are unique in a store for ever: a tracker counts from one again whenever it starts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from pipeline.messages import Event, FloorTrack, ShelfEvent


class Labels:
    """Puts `prefix` before every track's name on its way out of perception and shelf; none for a recording."""

    def __init__(self, prefix: str = "") -> None:
        self._prefix = prefix

    def tracks(self, tracks: Sequence[FloorTrack]) -> list[FloorTrack]:
        if not self._prefix:
            return list(tracks)
        return [replace(track, track_id=self._prefix + track.track_id) for track in tracks]

    def events(self, events: Sequence[Event]) -> list[Event]:
        return [self._event(event) for event in events] if self._prefix else list(events)

    def inner(self, track_id: str) -> str | None:
        """The tracker's own name of a track; None for one of an earlier start."""
        return track_id.removeprefix(self._prefix) if track_id.startswith(self._prefix) else None

    def _event(self, event: Event) -> Event:
        if isinstance(event, ShelfEvent):
            persons = tuple(c.model_copy(update={"value": self._prefix + c.value}) for c in event.persons)
            return event.model_copy(update={"persons": persons})
        named = {
            name: self._prefix + getattr(event, name) for name in ("track_id", "other_track_id") if hasattr(event, name)
        }
        if hasattr(event, "track_ids"):
            named["track_ids"] = tuple(self._prefix + t for t in event.track_ids)
        return event.model_copy(update=named)
