# SPDX-License-Identifier: AGPL-3.0-or-later
"""The floor of a shop that runs now: its feed (`floor_feed`), and what its event log says meanwhile."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from pipeline.messages import Event
from pipeline.operations.floor_feed import CameraNote, FeedTail, FloorFrame

logger = logging.getLogger(__name__)

TOPICS = ("walkout.visits", "walkout.shelf-events", "walkout.receipts", "walkout.payments")
KEPT_EVENTS = 20_000
KEPT_FRAMES = 1_200
_FEED_EVERY_S, _AGAIN_S = 0.1, 5.0


class LiveFloor:
    """Implements `player.FloorSource`.

    Args:
        folder: where the shop writes its feed.
        clock: ns since the Unix epoch.

    The feed is followed in a thread from the first question to `close`; the log's events come to `listen`.
    """

    live = True
    step_ns = 100_000_000

    def __init__(self, folder: Path, store_id: str, clock: Callable[[], int] = time.time_ns) -> None:
        self._folder, self._store_id, self._clock = folder, store_id, clock
        self._lock = threading.Lock()
        self._frames: deque[FloorFrame] = deque(maxlen=KEPT_FRAMES)
        self._cameras: dict[str, CameraNote] = {}
        self._events: dict[str, Event] = {}
        self._version = 0
        self._thread: threading.Thread | None = None
        self._stop = threading.Event()

    def listen(self, events: Sequence[Event]) -> None:
        """Of the log, from whoever follows it (`pipeline.web.tail.LogTail`); in any thread."""
        with self._lock:
            for event in events:
                if event.store_id == self._store_id and event.event_id not in self._events:
                    self._events[event.event_id] = event
                    self._version += 1
            while len(self._events) > KEPT_EVENTS:
                del self._events[next(iter(self._events))]

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
            return replace(newest, cameras=dict(self._cameras))

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

    def version(self, at_ns: int) -> int:
        return self._version

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
        try:
            while not self._stop.wait(_FEED_EVERY_S):
                try:
                    frames = tail.read()
                except OSError as error:
                    logger.warning("the floor feed cannot be read: %s", error)
                    self._stop.wait(_AGAIN_S)
                    continue
                with self._lock:
                    for frame in frames:
                        self._frames.append(frame)
                        self._cameras.update(frame.cameras)
        finally:
            tail.close()
