# SPDX-License-Identifier: AGPL-3.0-or-later
"""A live store's gate: taps that the desk let in, and a memory that outlives the process.

After each window that said something, and every two seconds, the keeper's state goes into the database with the log's
ends. A restart takes the newest state and reads what the log says since.

A database that is away stops neither cameras nor bills: taps wait in it, what was to be noted waits here, and it is
tried again now and then. A process that dies meanwhile loses nothing either, since the log has it all.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Sequence

from pipeline.capture.recording import GateTap
from pipeline.errors import EventLogError, StateError, StateUnreachableError
from pipeline.eventlog import EventLog
from pipeline.gate.entries import Entries
from pipeline.gate.keeper import GateKeeper
from pipeline.gate.taps import Taps
from pipeline.messages import Event, PersonWithoutPass, VisitClosed

logger = logging.getLogger(__name__)

S = 1_000_000_000
TOPICS = ("walkout.visits", "walkout.shelf-events")
_EVERY_NS = 2 * S
_RESUME_S = 120.0
"""For so long a restart waits for what the log holds since the newest state."""
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.5, 10.0
"""Between attempts to reach a database that is away. One that does not even refuse takes seconds of the cameras."""


class LiveGate:
    """Beside a `GateKeeper`: gives it its taps and keeps what it says.

    Args:
        entries: on a database that is tried once, not waited for (`Database(wait_s=0)`).
        other: further taps, as from a file that a simple reader appends to.
    """

    def __init__(self, keeper: GateKeeper, entries: Entries, log: EventLog, store_id: str, other: Taps) -> None:
        self._keeper, self._entries, self._log, self._other = keeper, entries, log, other
        self._store_id = store_id
        self._given: list[str] = []
        self._untold: list[Event] = []
        self._saved_ns = 0
        self._away_since_s: float | None = None
        self._pause_s, self._again_s = _FIRST_PAUSE_S, 0.0

    def resume(self) -> int:
        """Take over what the process before knew; how many visits are open."""
        text = self._entries.snapshot()
        if text is not None:
            saved = json.loads(text)
            places = {(topic, partition): offset for topic, partition, offset in saved["positions"]}
            since = self._read_since(places)
            self._keeper.restore(saved["gate"], since)
            self._entries.follow(since, None, 0)
        return len(self._keeper.open_visits())

    def until(self, at_ns: int) -> list[GateTap]:
        """Taps before `at_ns`. Those given the last time are in the log by now, and are ticked off."""
        due: list[tuple[str, GateTap]] = []
        if self._may_try():
            try:
                if self._given:
                    self._entries.take(self._given, at_ns)
                    self._given = []
                due = [(entry_id, tap) for entry_id, tap in self._entries.waiting() if tap.at_ns < at_ns]
                self._given = [entry_id for entry_id, _ in due]
            except StateUnreachableError as error:
                self._is_away(error)
            except StateError as error:  # they wait there; the shop goes on
                logger.warning("taps wait: %s", error)
        return sorted([*self._other.until(at_ns), *(tap for _, tap in due)], key=lambda t: t.at_ns)

    def follow(self, events: Sequence[Event], at_ns: int) -> None:
        """What the keeper said is in the log: note it, and the keeper's state."""
        self._untold += [e for e in events if isinstance(e, PersonWithoutPass | VisitClosed)]
        if not self._may_try():
            return
        # A tap that says nothing in the log (of staff, of a friend brought in) is only in the state.
        if self._untold or events or self._given or abs(at_ns - self._saved_ns) >= _EVERY_NS:
            places = [[topic, partition, offset] for (topic, partition), offset in self._log.ends(TOPICS).items()]
            body = json.dumps({"gate": self._keeper.snapshot(), "positions": places}, separators=(",", ":"))
            try:
                self._entries.follow(self._untold, body, at_ns)
            except StateUnreachableError as error:
                self._is_away(error)
                return
            self._untold = []
            self._saved_ns = at_ns
            if self._away_since_s is not None:
                logger.warning("the gate's database is back after %.1f s", time.monotonic() - self._away_since_s)
            self._away_since_s, self._pause_s = None, _FIRST_PAUSE_S

    def _may_try(self) -> bool:
        return self._away_since_s is None or time.monotonic() >= self._again_s

    def _is_away(self, error: StateUnreachableError) -> None:
        """Said once; the pause doubles with each attempt."""
        now_s = time.monotonic()
        if self._away_since_s is None:
            self._away_since_s = now_s
            logger.warning("%s; the shop goes on, taps wait there", error)
        self._again_s = now_s + self._pause_s
        self._pause_s = min(2 * self._pause_s, _LONGEST_PAUSE_S)

    def _read_since(self, places: dict[tuple[str, int], int]) -> list[Event]:
        """What the log says from `places` on, in its order, what hands did before what closings say of it."""
        ends = self._log.ends(TOPICS)
        read = dict(places)
        reader = self._log.read(
            f"walkout-gate-{self._store_id}", TOPICS, lambda given: {place: places.get(place, 0) for place in given}
        )
        events: list[Event] = []
        deadline = time.monotonic() + _RESUME_S
        try:
            while any(read.get(place, 0) < end for place, end in ends.items()):
                if time.monotonic() > deadline:
                    raise EventLogError(
                        f"the event log did not give back within {_RESUME_S:g} s what was written to it"
                    )
                batch = reader.poll(timeout_s=1.0)  # empty while a group's places are being given out
                read.update(batch.positions)
                events += [r.event for r in batch.records if r.event.store_id == self._store_id]
        finally:
            reader.close()
        return sorted(events, key=lambda e: e.type != "shelf-event")
