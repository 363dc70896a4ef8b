# SPDX-License-Identifier: AGPL-3.0-or-later
"""A live store's gate: taps that the desk let in, and a memory that outlives the process.

After each window that said something, and every two seconds, the keeper's state goes into the database with the log's
ends. A restart takes the newest state and reads what the log says since.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Sequence

from pipeline.capture.recording import GateTap
from pipeline.errors import EventLogError, StateError
from pipeline.eventlog import EventLog
from pipeline.gate.entries import Entries
from pipeline.gate.keeper import GateKeeper
from pipeline.gate.taps import Taps
from pipeline.messages import Event

logger = logging.getLogger(__name__)

S = 1_000_000_000
TOPICS = ("walkout.visits", "walkout.shelf-events")
_EVERY_NS = 2 * S
_RESUME_S = 120.0
"""For so long a restart waits for what the log holds since the newest state."""


class LiveGate:
    """Beside a `GateKeeper`: gives it its taps and keeps what it says.

    Args:
        other: further taps, as from a file that a simple reader appends to.
    """

    def __init__(self, keeper: GateKeeper, entries: Entries, log: EventLog, store_id: str, other: Taps) -> None:
        self._keeper, self._entries, self._log, self._other = keeper, entries, log, other
        self._store_id = store_id
        self._given: list[str] = []
        self._saved_ns = 0

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
        try:
            if self._given:
                self._entries.take(self._given, at_ns)
                self._given = []
            waiting = self._entries.waiting()
        except StateError as error:  # they wait there; the shop goes on
            logger.warning("taps wait: %s", error)
            waiting = []
        due = [(entry_id, tap) for entry_id, tap in waiting if tap.at_ns < at_ns]
        self._given = [entry_id for entry_id, _ in due]
        return sorted([*self._other.until(at_ns), *(tap for _, tap in due)], key=lambda t: t.at_ns)

    def follow(self, events: Sequence[Event], at_ns: int) -> None:
        """What the keeper said is in the log: note it, and the keeper's state."""
        # A tap that says nothing in the log (of staff, of a friend brought in) is only in the state.
        if events or self._given or abs(at_ns - self._saved_ns) >= _EVERY_NS:
            places = [[topic, partition, offset] for (topic, partition), offset in self._log.ends(TOPICS).items()]
            body = json.dumps({"gate": self._keeper.snapshot(), "positions": places}, separators=(",", ":"))
            self._entries.follow(events, body, at_ns)
            self._saved_ns = at_ns

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
