# SPDX-License-Identifier: AGPL-3.0-or-later
"""Which visit an event belongs to, and whether somebody on the floor is of that visit."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable

from pipeline.cart.identity import Identities, tracks_of
from pipeline.messages import IDENTITY_CORRECTIONS, Event, PersonWithoutPass, ShelfEvent, TrackBound

SURE = 0.9
"""From here on a label is taken to mean its visit; below, whoever has it is blurred."""


_KINDS = (TrackBound, PersonWithoutPass, *IDENTITY_CORRECTIONS)
_REMEMBERED = 5_000
"""Bindings and corrections that are kept: those of some thousand visits, of which clips need the last few."""


class Whose:
    """What is known of bindings and corrections. One thread notes, any may ask."""

    def __init__(self) -> None:
        self._events: deque[Event] = deque(maxlen=_REMEMBERED)
        self._identities: Identities | None = None
        self._lock = threading.Lock()

    def note(self, events: Iterable[Event]) -> None:
        new = [e for e in events if isinstance(e, _KINDS)]
        if new:
            with self._lock:
                self._events += new
                self._identities = None

    def visits(self, event: ShelfEvent) -> list[str]:
        """Every visit that the event may belong to, the likeliest first; none when none of its people has a visit."""
        chances: dict[str, float] = {}
        for person in event.persons:
            doer = self._known().doer([(person.value, person.probability)], event.at_ns)
            if doer.visit_id is not None:
                chances[doer.visit_id] = chances.get(doer.visit_id, 0.0) + doer.probability
        return sorted(chances, key=lambda v: (-chances[v], v))

    def subject(self, event: ShelfEvent) -> str | None:
        """The visit of whoever most probably did it; None when that is somebody without a visit."""
        people = [(p.value, p.probability) for p in event.persons]
        return self._known().doer(people, event.at_ns).visit_id

    def is_mine(self, visit_id: str | None, event: ShelfEvent) -> Callable[[str, int], bool]:
        """Does a floor track at a time mean somebody of this visit? `visit_id` None: nobody is."""
        known = self._known()
        with self._lock:
            corrections = [e for e in self._events if tracks_of(e)]

        def answer(label: str, at_ns: int) -> bool:
            if visit_id is None:
                return False
            doer = known.doer([(label, 1.0)], at_ns)
            if doer.visit_id is None and at_ns < event.at_ns and not _corrected(corrections, label, at_ns, event.at_ns):
                doer = known.doer([(label, 1.0)], event.at_ns)  # seen before the pass was shown: the same person
            return doer.visit_id == visit_id and doer.probability >= SURE

        return answer

    def _known(self) -> Identities:
        with self._lock:
            if self._identities is None:
                self._identities = Identities(self._events)
            return self._identities


def _corrected(events: Iterable[Event], label: str, since_ns: int, until_ns: int) -> bool:
    return any(since_ns < e.at_ns <= until_ns and label in tracks_of(e) for e in events)
