# SPDX-License-Identifier: AGPL-3.0-or-later
"""The floor of a shop that runs now: its feed (`floor_feed`) and its event log, followed in a thread of their own."""

from __future__ import annotations

import logging
import secrets
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from pipeline.errors import EventLogError
from pipeline.eventlog import EventLog, EventReader
from pipeline.messages import Event
from pipeline.operations.floor_feed import CameraNote, FeedTail, FloorFrame

logger = logging.getLogger(__name__)

TOPICS = ("walkout.visits", "walkout.shelf-events", "walkout.receipts", "walkout.payments")
KEPT_EVENTS = 20_000
KEPT_FRAMES = 1_200
_FEED_EVERY_S, _LOG_EVERY_S, _AGAIN_S = 0.1, 0.25, 5.0
_READ_BACK = 20_000


class LiveFloor:
    """Implements `player.FloorSource`.

    Args:
        folder: where the shop writes its feed.
        open_log: opens the shop's event log; called in the thread that reads it, for a log is one thread's.
        clock: ns since the Unix epoch.

    The thread starts with the first question and ends with `close`.
    """

    live = True
    step_ns = 100_000_000

    def __init__(
        self, folder: Path, open_log: Callable[[], EventLog], store_id: str, clock: Callable[[], int] = time.time_ns
    ) -> None:
        self._folder, self._open_log, self._store_id, self._clock = folder, open_log, store_id, clock
        self._lock = threading.Lock()
        self._frames: deque[FloorFrame] = deque(maxlen=KEPT_FRAMES)
        self._cameras: dict[str, CameraNote] = {}
        self._events: dict[str, Event] = {}
        self._thread: threading.Thread | None = None
        self._stop = threading.Event()
        self.trouble = ""
        """Why the log cannot be followed at the moment; empty when it can."""

    def span(self) -> tuple[int, int]:
        """From the oldest frame that is kept to now."""
        self._start()
        with self._lock:
            first = self._frames[0].at_ns if self._frames else self._clock()
        return first, max(self._clock(), first)

    def frame_at(self, at_ns: int) -> FloorFrame:
        """The newest frame, whatever `at_ns`: a floor that runs has no other."""
        self._start()
        with self._lock:
            newest = self._frames[-1] if self._frames else FloorFrame(self._clock())
            return FloorFrame(newest.at_ns, newest.people, dict(self._cameras))

    def frames_after(self, at_ns: int, step_ns: int = 0) -> Iterator[FloorFrame]:
        """Those that have come since; ends with the newest."""
        self._start()
        with self._lock:
            found = []
            for frame in reversed(self._frames):
                if frame.at_ns <= at_ns:
                    break
                found.append(frame)
        return iter(found[::-1])

    def trail(self, at_ns: int, seconds: float) -> list[FloorFrame]:
        return list(self.frames_after(at_ns - int(seconds * 1e9)))

    def events_until(self, at_ns: int) -> Sequence[Event]:
        """All that is known, in the order of time: what a shop has just written may lie a little ahead of its feed."""
        self._start()
        with self._lock:
            events = list(self._events.values())
        return sorted(events, key=lambda e: (e.at_ns, e.event_id))

    def marks(self, limit: int = 2000) -> list[Event]:
        return []

    def cameras(self, at_ns: int) -> dict[str, CameraNote]:
        self._start()
        with self._lock:
            return dict(self._cameras)

    def age_s(self) -> float | None:
        """How old the newest frame is; None when there is none."""
        with self._lock:
            return (self._clock() - self._frames[-1].at_ns) / 1e9 if self._frames else None

    def close(self) -> None:
        self._stop.set()
        if self._thread is not None:
            self._thread.join(timeout=10)

    # --- the thread ---

    def _start(self) -> None:
        with self._lock:
            if self._thread is None and not self._stop.is_set():
                self._thread = threading.Thread(target=self._follow, name="floor", daemon=True)
                self._thread.start()

    def _follow(self) -> None:
        tail = FeedTail(self._folder)
        log, reader, next_log_s = None, None, 0.0
        try:
            while not self._stop.wait(_FEED_EVERY_S):
                try:
                    self._note_frames(tail.read())
                except OSError as error:
                    logger.warning("the floor feed cannot be read: %s", error)
                    self._stop.wait(_AGAIN_S)
                if time.monotonic() < next_log_s:
                    continue
                next_log_s = time.monotonic() + _LOG_EVERY_S
                try:
                    if reader is None:
                        log = self._open_log()
                        reader = self._reader(log)
                    self._note_events(reader)
                    self.trouble = ""
                except EventLogError as error:
                    if not self.trouble:
                        logger.warning("the floor does not follow the event log: %s", error)
                    self.trouble = str(error)
                    next_log_s = time.monotonic() + _AGAIN_S
        finally:
            tail.close()
            if reader is not None:
                reader.close()
            if log is not None:
                log.close()

    def _reader(self, log: EventLog) -> EventReader:
        """From a little before the log's end, alone in its group: every page needs all of it."""
        ends = log.ends(TOPICS)
        group = f"walkout-floor-{self._store_id}-{secrets.token_hex(4)}"
        return log.read(group, TOPICS, lambda places: {p: max(ends.get(p, 0) - _READ_BACK, 0) for p in places})

    def _note_frames(self, frames: Sequence[FloorFrame]) -> None:
        with self._lock:
            for frame in frames:
                self._frames.append(frame)
                self._cameras.update(frame.cameras)

    def _note_events(self, reader: EventReader) -> None:
        while records := reader.poll(timeout_s=0.05).records:
            with self._lock:
                for record in records:
                    if record.event.store_id == self._store_id:
                        self._events[record.event.event_id] = record.event
                while len(self._events) > KEPT_EVENTS:
                    del self._events[next(iter(self._events))]
            if self._stop.is_set():
                return
