# SPDX-License-Identifier: AGPL-3.0-or-later
"""Slots that began to look different and wait for a decision: until every good camera has had its say."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from pipeline.shelf.change import SlotChange, SlotWatch
from pipeline.shelf.settings import ShelfSettings
from pipeline.shelf.views import SlotView

_APART_NS = 1_000_000_000


@dataclass
class Episode:
    """One slot that looks different. `changes`: camera id -> what it looked like before all of it, and last.

    `early`: not every camera that sees the slot well has seen it clear since. `asked_ns`: when that was last tried.
    `known_ns`: a camera saw then what has been decided before, so all of this is later.
    """

    slot_id: str
    gondola_id: str
    started_ns: int
    latest_ns: int
    early: bool = False
    asked_ns: int = 0
    known_ns: int = 0
    changes: dict[str, SlotChange] = field(default_factory=dict)

    @property
    def interval_ns(self) -> tuple[int, int]:
        """Between which two instants the slot was touched, as far as all cameras together know."""
        after = min(c.after_ns for c in self.changes.values())
        before = max((c.before_ns for c in self.changes.values() if c.before_ns < after), default=after)
        return min(max(before, self.known_ns), after), after

    def parts(self, seen_ns: Callable[[SlotView], int]) -> list[Episode]:
        """The episode, or several, one after the other: what a camera saw before the slot was hidden from it may be
        less than what another one saw afterwards.

        `seen_ns`: until when a view showed what it shows now.
        """
        parts: list[Episode] = []
        until_ns = 0
        for camera_id, change in sorted(self.changes.items(), key=lambda item: (item[1].after_ns, item[0])):
            if not parts or change.after_ns > until_ns + _APART_NS:
                known_ns = max(self.known_ns, until_ns)
                parts.append(replace(self, started_ns=change.after_ns, known_ns=known_ns, changes={}))
            parts[-1].changes[camera_id] = change
            until_ns = max(until_ns, seen_ns(change.view))
        return parts


class Episodes:
    """Gathers the changes of all cameras by slot, forgets what turns back, and says what is ready to be decided."""

    def __init__(self, views: Mapping[str, tuple[SlotView, ...]], watch: SlotWatch, settings: ShelfSettings) -> None:
        self._views = views
        self._watch = watch
        self._settings = settings
        self._open: dict[str, Episode] = {}
        self._known_ns: dict[str, int] = {}

    def add(self, change: SlotChange) -> None:
        slot_id, camera_id = change.view.slot_id, change.view.camera_id
        episode = self._open.get(slot_id)
        if episode is None:
            known_ns = self._known_ns.get(slot_id, 0)
            episode = Episode(slot_id, change.view.gondola_id, change.after_ns, change.after_ns, known_ns=known_ns)
            self._open[slot_id] = episode
        earlier = episode.changes.get(camera_id)
        if earlier is not None:
            gap = self._watch.gap(change.view, earlier.samples, self._watch.samples(change.view))
            if gap < self._settings.same_view:
                del episode.changes[camera_id]  # as it was: a shadow, or taken and put back
                if not episode.changes:
                    del self._open[slot_id]
                return
            change = replace(earlier, after=change.after, difference=gap, after_ns=change.after_ns)
        episode.changes[camera_id] = change
        episode.latest_ns = max(episode.latest_ns, change.after.at_ns)

    @property
    def open(self) -> tuple[Episode, ...]:
        return tuple(self._open.values())

    @property
    def gondola_ids(self) -> set[str]:
        return {e.gondola_id for e in self._open.values()}

    def ready(self, now_ns: int, touched_ns: Mapping[str, int]) -> list[Episode]:
        """Take out the episodes that can be decided: everybody who can see the slot well has seen it, or the time is
        up, or a hand is about to change it again. `touched_ns`: slots a hand is at, and since when."""
        done = [e for e in self._open.values() if self._is_ready(e, now_ns, touched_ns.get(e.slot_id))]
        for episode in done:
            del self._open[episode.slot_id]
        return sorted(done, key=lambda e: (e.interval_ns, e.slot_id))

    def reopen(self, episode: Episode) -> None:
        """Wait on with one that could not be decided early."""
        self._open[episode.slot_id] = episode

    def decided(self, episode: Episode) -> None:
        """Whatever happens at the slot from now on is later than what a camera saw of this."""
        seen_ns = max(self._watch.seen_ns(change.view) for change in episode.changes.values())
        self._known_ns[episode.slot_id] = max(seen_ns, self._known_ns.get(episode.slot_id, 0))

    def take(self, slot_ids: set[str] | None = None) -> list[Episode]:
        """Take out the episodes of these slots, or all, however little is known."""
        done = [e for e in self._open.values() if slot_ids is None or e.slot_id in slot_ids]
        for episode in done:
            episode.early = False
            del self._open[episode.slot_id]
        return sorted(done, key=lambda e: (e.interval_ns, e.slot_id))

    def _is_ready(self, episode: Episode, now_ns: int, touched_ns: int | None) -> bool:
        s = self._settings
        episode.early = False
        if now_ns - episode.latest_ns >= s.decide_at_last_s * 1e9:
            return True
        waited_s = (now_ns - max(episode.latest_ns, episode.asked_ns)) / 1e9
        if touched_ns is None and waited_s >= s.decide_after_s and self._all_saw(episode):
            return True
        # A reach that began after the change makes another one; the one that made this goes on a little.
        again = touched_ns is not None and touched_ns > max(episode.latest_ns, episode.asked_ns)
        if again or waited_s >= s.decide_latest_s:
            episode.early, episode.asked_ns = True, now_ns
            return True
        return False

    def _all_saw(self, episode: Episode) -> bool:
        """Has every camera that sees the slot about as well as the best one seen it clear since it changed?"""
        views = self._views[episode.slot_id]
        best = max(v.px_per_cm for v in views)
        return not any(
            view.camera_id not in episode.changes
            and view.px_per_cm >= 0.6 * best
            and (self._watch.is_unsettled(view) or self._watch.seen_ns(view) < episode.started_ns)
            for view in views
        )
