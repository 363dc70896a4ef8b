# SPDX-License-Identifier: AGPL-3.0-or-later
"""A shop's own copy of what it says, on its own disk, which a thread sends on to the log behind it.

Cameras go on while that log is away: what they saw is safe when `append` returns, and is sent, in order, when the log
is back. A crash between sending and noting that it was sent sends it once more, with the same event ids: readers drop
repeats. What has been sent is kept for a while, since a gate that is started again reads what was said last.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from pipeline.errors import EventLogError
from pipeline.eventlog.embedded import EmbeddedLog, EmbeddedReader
from pipeline.eventlog.log import Assigned, Batch, EventLog, Positions
from pipeline.messages import TOPIC_OF, Event
from pipeline.observe import metrics

logger = logging.getLogger(__name__)

GROUP = "sent-on"
KEEP = 20_000
"""Records that have been sent and are kept: a busy shop's day."""
_BATCH = 500
_IDLE_S = 0.5
_PAUSE_S = 1.0
_AWAY_S = 3.0
"""Sending takes longer than this: the log behind is away."""
_TIDY_EVERY = 1_000


class SpooledLog:
    """An event log in one file before another log. Reading it, `ends` and offsets are the file's own.

    Args:
        path: the file, made when it is not there; what it still held from the process before is sent first.
        open_behind: opens the log behind; called in the thread, and again after each failure.
    """

    def __init__(self, path: Path | str, open_behind: Callable[[], EventLog]) -> None:
        self.path = Path(path)
        self._here = EmbeddedLog(self.path)
        self._open_behind = open_behind
        self._new, self._stop = threading.Event(), threading.Event()
        self._sending_since: float | None = None
        self._said_away = False
        self._sent = 0
        if left := self.waiting():
            logger.warning("%d events of before wait in %s and are sent first", left, self.path)
        self._thread = threading.Thread(target=self._run, name="spool", daemon=True)
        self._thread.start()

    @property
    def away(self) -> bool:
        """Whether the log behind does not take what is there for it."""
        since = self._sending_since
        return since is not None and time.monotonic() - since > _AWAY_S

    def waiting(self) -> int:
        """How many events the log behind does not have yet."""
        number = self._here.waiting(GROUP)
        metrics.SPOOLED.set(number)
        return number

    def append(self, events: Sequence[Event]) -> None:
        self._here.append(events)
        self._new.set()
        if self.away:  # else the thread says how many there are
            self.waiting()

    def begin_append(self, events: Sequence[Event]) -> Callable[[], None]:
        self.append(events)
        return lambda: None

    def read(self, group: str, topics: Sequence[str], assigned: Assigned | None = None) -> EmbeddedReader:
        return self._here.read(group, topics, assigned)

    def ends(self, topics: Sequence[str]) -> Positions:
        return self._here.ends(topics)

    def flush(self, timeout_s: float) -> bool:
        """Whether the log behind has everything; waits for it, but not while it is away."""
        deadline = time.monotonic() + timeout_s
        while (left := self.waiting()) and not self.away and time.monotonic() < deadline:
            self._new.set()
            time.sleep(0.05)
        return not left

    def close(self) -> None:
        """What has not been sent stays in the file."""
        self._stop.set()
        self._new.set()
        self._thread.join(_AWAY_S)
        if left := self.waiting():
            logger.warning("%d events wait in %s and are sent at the next start", left, self.path)
        if not self._thread.is_alive():  # else it ends with the process: nothing in the file depends on it
            self._here.close()

    def _run(self) -> None:
        reader, behind, batch = self._here.read(GROUP, sorted(set(TOPIC_OF.values()))), None, Batch.empty()
        while not self._stop.is_set():
            try:
                batch = batch if batch.positions else reader.poll(0, _BATCH)
                if not batch.positions:
                    self._new.wait(_IDLE_S)
                    self._new.clear()
                    continue
                self._sending_since = self._sending_since or time.monotonic()
                behind = behind or self._open_behind()
                behind.append([record.event for record in batch.records])
                reader.commit(batch.positions)
                self._note_sent(len(batch.records))
                batch = Batch.empty()
            except EventLogError as error:
                self._note_away(error)
                behind = _dropped(behind)
                self._stop.wait(_PAUSE_S)
        _dropped(behind)

    def _note_sent(self, number: int) -> None:
        if not self.waiting() and self._said_away:
            logger.warning("the event log is back: everything that waited in %s has been sent", self.path)
            self._said_away = False
        self._sending_since = time.monotonic() if self._said_away else None
        before, self._sent = self._sent, self._sent + number
        if before // _TIDY_EVERY != self._sent // _TIDY_EVERY:
            self._here.drop_read(GROUP, KEEP)

    def _note_away(self, error: EventLogError) -> None:
        if not self._said_away:
            logger.warning("events wait in %s and are sent when the event log is back: %s", self.path, error)
        self._said_away = True


def _dropped(log: EventLog | None) -> None:
    """After a failure a log is opened anew: what its client may still have under way is not to be counted on."""
    if log is not None:
        with suppress(EventLogError):
            log.close()
