# SPDX-License-Identifier: AGPL-3.0-or-later
"""Evidence while a shop runs: what the windows bring is remembered, and events become clips.

A recording's clips are cut when it is over: all bindings and corrections are known then, and the files are the buffer.
A live store's are cut in the background as soon as the cameras have gone far enough past the event; whatever goes wrong
there leaves a row that says so, and the shop goes on.
"""

from __future__ import annotations

import os
import queue
import threading
import time
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from calibration.layout import StoreLayout
from pipeline.errors import WalkoutError
from pipeline.evidence.cutter import Cutter, Footage
from pipeline.evidence.path import NS
from pipeline.evidence.people import People
from pipeline.evidence.settings import EvidenceSettings
from pipeline.evidence.store import EvidenceStore
from pipeline.evidence.whose import Whose
from pipeline.messages import CameraTracks, Event, FloorTrack, ShelfEvent
from pipeline.observe.logs import get_logger
from pipeline.observe.metrics import EVIDENCE
from pipeline.reasons import CLIPS_BEHIND, CLIPS_STOPPED

log = get_logger(__name__)

_EXPIRE_EVERY_S = 3600.0
_LAST_S = 30.0
"""How long a shop that is stopped waits for the clips that are still to be cut."""


@dataclass
class Counts:
    """What has become of the shelf events: how many were cut, the clips and stills that were stored and their bytes,
    and those that could not be."""

    events: int = 0
    items: int = 0
    bytes: int = 0
    missing: int = 0


class EvidenceKeeper:
    """`window` once a window, in order; `finish` at the end, `close` in any case."""

    def __init__(
        self, layout: StoreLayout, footage: Footage, store: EvidenceStore, settings: EvidenceSettings, *, live: bool
    ) -> None:
        keep_ns = round((settings.ring_s + settings.lost_s + 1) * NS) if live else None
        self.counts = Counts()
        self._people, self._whose, self._live = People(keep_ns), Whose(), live
        self._cutter = Cutter(layout, footage, self._people, self._whose, store, settings)
        self._store, self._settings = store, settings
        self._pending: deque[ShelfEvent] = deque()
        self._lock = threading.Lock()
        self._worker = _Worker(self, settings.queue) if live else None

    def window(
        self, at_ns: int, cameras: Mapping[str, CameraTracks], tracks: Iterable[FloorTrack], events: Sequence[Event]
    ) -> None:
        """What was seen in a window, and the events that came of it."""
        self._people.note(at_ns, cameras, tracks)
        self._whose.note(events)
        self._pending += [e for e in events if isinstance(e, ShelfEvent)]
        if self._worker is None:
            return
        for _ in range(len(self._pending)):
            event = self._pending.popleft()
            if self._cutter.span_ns(event)[1] <= at_ns:
                self._worker.take(event)
            else:
                self._pending.append(event)

    def finish(self, events: Sequence[Event] = ()) -> None:
        """`events`: what came after the last window. All clips are there, or say why not, when this returns."""
        self._whose.note(events)
        self._pending += [e for e in events if isinstance(e, ShelfEvent)]
        if self._worker is not None:
            while self._pending:
                self._worker.take(self._pending.popleft())
            self._worker.end(_LAST_S)
            return
        with ThreadPoolExecutor(max_workers=max(1, min(4, os.cpu_count() or 1)), thread_name_prefix="clips") as pool:
            for done in [pool.submit(self.cut, event) for event in self._pending]:
                done.result()
        self._pending.clear()

    def close(self) -> None:
        if self._worker is not None:
            self._worker.end(0.0)

    def cut(self, event: ShelfEvent, instead: str = "") -> None:
        """The clips of one event, or rows with the reason `instead`. Of people without a visit nothing is kept."""
        if not self._whose.visits(event):
            return
        try:
            if instead:
                self._cutter.give_up(event, instead)
                return
            made = self._cutter.cut(event)
        except WalkoutError as error:
            log.warning("no evidence of an event", event_id=event.event_id, reason=str(error))
            return
        with self._lock:
            self.counts.events += 1
            self.counts.items += sum(clip.state == "ready" for clip in made)
            self.counts.bytes += sum(clip.bytes for clip in made)
            self.counts.missing += sum(clip.state == "missing" for clip in made)
        for clip in made:
            EVIDENCE.labels(clip.state).inc()
            if clip.state == "missing":
                log.warning("evidence is missing", event_id=clip.event_id, camera=clip.camera_id, reason=clip.reason)

    def expire(self) -> None:
        try:
            self._store.expire()
        except WalkoutError as error:
            log.warning("evidence cannot be expired for now", reason=str(error))


class _Worker:
    """Cuts in the background, one event after the other; at most `size` wait, more are given up with a reason."""

    def __init__(self, keeper: EvidenceKeeper, size: int) -> None:
        self._keeper, self._size = keeper, size
        self._jobs: queue.Queue[tuple[ShelfEvent, str] | None] = queue.Queue()
        self._waiting = 0
        self._given_up = ""
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._run, name="evidence", daemon=True)
        self._thread.start()

    def take(self, event: ShelfEvent) -> None:
        with self._lock:
            behind = self._waiting >= self._size
            self._waiting += not behind
        reason = CLIPS_BEHIND.format(count=self._size) if behind else ""
        self._jobs.put((event, reason))  # one that is given up costs a row, not a film

    def end(self, wait_s: float) -> None:
        """Cut what waits for at most `wait_s`; what is left then gets rows that say so."""
        self._jobs.put(None)
        self._thread.join(wait_s)
        if self._thread.is_alive():
            self._given_up = CLIPS_STOPPED
            self._thread.join(_LAST_S)

    def _run(self) -> None:
        expired_s = float("-inf")
        while True:
            if time.monotonic() - expired_s > _EXPIRE_EVERY_S:
                expired_s = time.monotonic()
                self._keeper.expire()
            try:
                job = self._jobs.get(timeout=60)
            except queue.Empty:
                continue
            if job is None:
                return
            event, reason = job
            try:
                self._keeper.cut(event, reason or self._given_up)
            except Exception:  # a fault of ours in one clip must not end the evidence of the day
                log.exception("a clip could not be cut", event_id=event.event_id)
            finally:
                if not reason:
                    with self._lock:
                        self._waiting -= 1
