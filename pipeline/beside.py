# SPDX-License-Identifier: AGPL-3.0-or-later
"""Work on the event log beside a live shop's cameras, in a thread of its own.

A payment provider that takes seconds, or a log or a database that is away for an hour, must not stop the cameras. While
one is away both are opened again and again; the work goes on from what the state database knows.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import closing
from typing import Protocol

from pipeline.errors import EventLogError, StateUnreachableError, WalkoutError
from pipeline.eventlog import EventLog, open_log
from pipeline.observe import metrics
from pipeline.observe.logs import get_logger
from pipeline.state import Database

_POLL_S = 0.2
_OPEN_S = 5.0
"""A start waits so long for what can be wrong with settings to be found; an outage of the log is not waited for."""
_AGAIN_S = 1.0
_AGAIN_AT_END_S = 0.1
_ANSWER_S = 5.0
"""An end waits so long for somebody who is being asked something."""
log = get_logger(__name__)


class Work(Protocol):
    def step(self, timeout_s: float) -> bool:
        """Take what is there, waiting so long for the first; whether anything was done."""

    def finish(self, timeout_s: float) -> None:
        """Everything in the log has been taken before this returns. Raises `EventLogError` when time is over."""

    def close(self) -> None: ...


class Beside:
    """Some work and its thread.

    Args:
        name: in the log and in what is said when it stops.
        log_url: the thread has a connection of its own to the event log.
        state_url: the state, opened as `database`; waited for now and never later, so that an outage is told at once.
        make: the work on that log and on the state, whatever else it needs opened; closed by its `close`. Called again,
            with the log opened again, after an `EventLogError` or a `StateUnreachableError`.

    `waits_for`: what is away and what it said, while the work cannot go on; else empty.

    What cannot be opened is raised here, or by a later `step` when it takes longer than five seconds, as is what goes
    wrong later; nothing but those two is tried again.
    """

    def __init__(self, name: str, log_url: str, state_url: str, make: Callable[[EventLog, Database], Work]) -> None:
        self.name = name
        self._log_url, self._make = log_url, make
        self.database = Database.waited_for_once(state_url)
        self._ready, self._changed, self._end = threading.Event(), threading.Event(), threading.Event()
        self._finish_by: float | None = None
        self._error: WalkoutError | None = None
        self._said = self.waits_for = ""
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()
        self._ready.wait(_OPEN_S)
        try:
            self._raise()
        except WalkoutError:
            self.database.close()
            raise

    def step(self) -> bool:
        """Whether anything was done since the last time. Waits for nobody."""
        self._raise()
        changed = self._changed.is_set()
        self._changed.clear()
        return changed

    def finish(self, timeout_s: float) -> None:
        """Everything in the log has been taken and everything that was due is done, even if an outage has just ended
        and nobody had looked again yet. Unless somebody does not answer for that long: then what is left is written
        down, and the next start goes on with it."""
        self._finish_by = time.monotonic() + timeout_s
        self._end.set()
        self._thread.join(timeout_s + _ANSWER_S)
        if self._thread.is_alive():
            log.warning(f"{self.name}: the rest is left for the next start: no answer", waited_s=timeout_s)
        self._raise()

    def close(self) -> None:
        self._finish_by = None
        self._end.set()
        self._thread.join(_ANSWER_S)
        self.database.close()

    def _raise(self) -> None:
        if self._error is not None:
            raise self._error

    def _run(self) -> None:
        try:
            while self._wanted():
                try:
                    self._work()
                    return
                except (EventLogError, StateUnreachableError) as error:
                    self._tell(error)
                if self._end.wait(_AGAIN_S):  # the end is no reason to leave what an outage has held up
                    time.sleep(_AGAIN_AT_END_S)
            if self._finish_by is not None:
                log.warning(f"{self.name}: the rest is left for the next start", reason=self._said)
        except WalkoutError as error:
            self._error = error
        except Exception as error:  # a fault of ours: the shop must not go on as if this were done
            log.exception(f"{self.name}: stopped")
            self._error = WalkoutError(f"{self.name}: stopped: {type(error).__name__}: {error}")
        finally:
            self._ready.set()

    def _wanted(self) -> bool:
        """Whether to open the log (again)."""
        return not self._end.is_set() or (self._finish_by is not None and time.monotonic() < self._finish_by)

    def _work(self) -> None:
        with closing(open_log(self._log_url)) as event_log, closing(self._make(event_log, self.database)) as work:
            self._ready.set()
            self.waits_for = ""
            metrics.STATE_REACHABLE.set(1)
            while not self._end.is_set():
                if work.step(_POLL_S):
                    self._changed.set()
                    self._goes_on()
            if self._finish_by is not None:
                work.finish(max(_POLL_S, self._finish_by - time.monotonic()))
                self._changed.set()

    def _tell(self, error: WalkoutError) -> None:
        """Once an outage."""
        if str(error) != self._said:
            log.warning(f"{self.name}: waiting for the event log or the database", reason=str(error))
        self._said = self.waits_for = str(error)
        if isinstance(error, StateUnreachableError):
            metrics.STATE_REACHABLE.set(0)

    def _goes_on(self) -> None:
        if self._said:
            log.warning(f"{self.name}: goes on")
        self._said = ""
