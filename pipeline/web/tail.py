# SPDX-License-Identifier: AGPL-3.0-or-later
"""Follows the event log in one thread of a web process, for everybody in it who wants to know.

Nothing is committed and nothing is written: a tail starts a number of records before the log's end, which is enough to
know who is inside, and goes on from there. When the log is away it tries again; nobody who reads a page waits for it.
"""

from __future__ import annotations

import logging
import threading
import uuid
from collections.abc import Callable, Sequence

from pipeline.errors import EventLogError
from pipeline.eventlog import EventLog, Place, Positions
from pipeline.messages import Event

logger = logging.getLogger(__name__)

Listener = Callable[[Sequence[Event]], None]

BACK = 20_000
"""Records of each place that are read again at the start: a busy store's day or so."""
_POLL_S = 0.25
_PAUSE_S = 1.0
_QUIET = 20
"""Polls without a record, some five seconds."""


class LogTail:
    """One reader of `topics` and its thread.

    Args:
        open_log: opens the log for this thread alone; called again after an error.
        listeners: told of the events of each batch, in log order, in the tail's thread. An exception of one of them is
            logged and reaches nobody else.
        idle: called about every quarter of a second, in the same thread.
    """

    def __init__(
        self,
        open_log: Callable[[], EventLog],
        topics: Sequence[str],
        listeners: Sequence[Listener],
        *,
        idle: Callable[[], None] | None = None,
        back: int = BACK,
    ) -> None:
        self._open_log, self._topics, self._back = open_log, tuple(topics), back
        self._listeners, self._idle = tuple(listeners), idle
        self._stop, self._caught_up = threading.Event(), threading.Event()
        self._next: dict[Place, int] = {}
        self._quiet = 0
        self._thread = threading.Thread(target=self._run, name="log-tail", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(10)

    def wait(self, timeout_s: float) -> bool:
        """Until everything that was in the log at the start has been told; False: not within that time."""
        return self._caught_up.wait(timeout_s)

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                log = self._open_log()
                try:
                    self._follow(log)
                finally:
                    log.close()
            except EventLogError as error:
                logger.warning("the log is not followed at the moment: %s", error)
                self._stop.wait(_PAUSE_S)

    def _follow(self, log: EventLog) -> None:
        ends = log.ends(self._topics)
        reader = log.read(f"walkout-web-{uuid.uuid4().hex[:12]}", self._topics, lambda given: self._start(given, ends))
        self._quiet = 0
        try:
            while not self._stop.is_set():
                batch = reader.poll(_POLL_S)
                self._next.update(batch.positions)
                self._quiet = 0 if batch.positions else self._quiet + 1
                if batch.records:
                    self._tell([record.event for record in batch.records])
                if not self._caught_up.is_set() and self._is_behind(ends):
                    continue
                self._caught_up.set()
                if self._idle is not None:
                    self._guarded(self._idle)
        finally:
            reader.close()

    def _start(self, given: frozenset[Place], ends: Positions) -> Positions:
        start = {place: self._next.get(place, max(0, ends.get(place, 0) - self._back)) for place in given}
        self._next.update(start)
        self._quiet = 0
        return start

    def _is_behind(self, ends: Positions) -> bool:
        """Offsets have gaps where a log is written in transactions, so its end itself may never be read: a log whose
        places are ours and that is quiet for a while has been read."""
        ours = self._next.keys() >= ends.keys()
        return not ours or (self._quiet < _QUIET and any(self._next[place] < end for place, end in ends.items()))

    def _tell(self, events: Sequence[Event]) -> None:
        for listener in self._listeners:
            self._guarded(lambda listener=listener: listener(events))

    @staticmethod
    def _guarded(call: Callable[[], None]) -> None:
        try:
            call()
        except Exception:
            logger.exception("whoever follows the log failed; the others go on")
