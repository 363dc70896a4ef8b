# SPDX-License-Identifier: AGPL-3.0-or-later
"""The floor of a finished run, at any moment of it: tracks.csv, events.jsonl, receipts.json and run.json."""

from __future__ import annotations

import json
import threading
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
from pydantic import TypeAdapter, ValidationError

from pipeline.errors import RecordingError
from pipeline.messages import Event, PaymentUpdated, PersonWithoutPass, ReceiptIssued, VisitOpened
from pipeline.operations.floor_feed import CameraNote, FloorFrame
from pipeline.run_files import EVENTS, RECEIPTS, SUMMARY, TRACKS

_EVENT = TypeAdapter(Event)
_DEFAULT_STEP_NS = 100_000_000


class RecordedFloor:
    """Implements `player.FloorSource`. Frames lie on the run's windows, also where nobody was in the shop.

    Raises `RecordingError` when a file of the run cannot be read.
    """

    live = False

    def __init__(self, run: Path) -> None:
        self._summary = _json(run / SUMMARY)
        self._at_ns, self._first, self._tracks, self._xy_m = _read_tracks(run / TRACKS)
        self._lock = threading.Lock()
        self._by_id: dict[str, Event] = {}
        self._events: list[Event] = []
        self._event_ns: list[int] = []
        self._add(_read_events(run))
        self._visits = {e.visit_id for e in self._events if isinstance(e, VisitOpened | PersonWithoutPass)}
        windows = self._summary.get("windows") or 0
        footage_ns = int(float(self._summary.get("footage_s") or 0) * 1e9)
        self.step_ns = max(footage_ns // windows, 1_000_000) if windows else _DEFAULT_STEP_NS
        self._reports = sorted(self._summary.get("camera_reports") or [], key=lambda r: r["at_ns"])
        self._span = self._find_span(footage_ns)

    def span(self) -> tuple[int, int]:
        return self._span

    def frame_at(self, at_ns: int) -> FloorFrame:
        """The newest window that had begun by then; with the states of all cameras."""
        return FloorFrame(at_ns, self._people(at_ns), self.cameras(at_ns))

    def frames_after(self, at_ns: int, step_ns: int = 0) -> Iterator[FloorFrame]:
        """One frame a window from just after `at_ns` to the end; `step_ns`: at least so far apart."""
        step_ns = max(step_ns, self.step_ns)
        known = self.cameras(at_ns)
        begin, end = self._span
        now = max(at_ns, begin)
        while now < end:
            now = min(now + step_ns, end)
            cameras = self.cameras(now)
            yield FloorFrame(now, self._people(now), {c: n for c, n in cameras.items() if known.get(c) != n})
            known = cameras

    def trail(self, at_ns: int, seconds: float) -> list[FloorFrame]:
        """The frames of the last seconds up to `at_ns`."""
        first = max(at_ns - int(seconds * 1e9), self._span[0])
        count = max((at_ns - first) // self.step_ns, 0)
        times = [at_ns - k * self.step_ns for k in range(count, -1, -1)]
        return [FloorFrame(t, self._people(t)) for t in times]

    def events_until(self, at_ns: int) -> Sequence[Event]:
        """In the order of time. At the end of the run everything, also what was settled later."""
        with self._lock:
            return self._events[: self._count(at_ns)]

    def version(self, at_ns: int) -> tuple[int, int]:
        with self._lock:
            return self._count(at_ns), len(self._events)

    def listen(self, events: Sequence[Event]) -> None:
        """Receipts and payments of the run's visits that came later; a log may be shared with other runs."""
        later = [e for e in events if isinstance(e, ReceiptIssued | PaymentUpdated) and e.visit_id in self._visits]
        with self._lock:
            self._add(later)

    def marks(self, limit: int = 2000) -> list[Event]:
        """What the time line shows: all but receipts and payments, thinned out when there are very many."""
        found = [e for e in self._events if e.type not in ("receipt-issued", "payment-updated", "track-bound")]
        return found[:: len(found) // limit + 1]

    def cameras(self, at_ns: int) -> dict[str, CameraNote]:
        notes: dict[str, CameraNote] = dict.fromkeys(self._summary.get("cameras") or {}, ("live", ""))
        for report in self._reports:
            if report["at_ns"] <= at_ns:
                notes[report["camera_id"]] = (report["state"], report["reason"])
        return notes

    def close(self) -> None:
        pass

    def _add(self, events: Iterable[Event]) -> None:
        new = {e.event_id: e for e in events if e.event_id not in self._by_id}
        if new:
            self._by_id |= new
            self._events = sorted(self._by_id.values(), key=lambda e: (e.at_ns, e.event_id))
            self._event_ns = [e.at_ns for e in self._events]

    def _count(self, at_ns: int) -> int:
        return len(self._events) if at_ns >= self._span[1] else bisect_right(self._event_ns, at_ns)

    def _people(self, at_ns: int) -> tuple[tuple[str, float, float], ...]:
        index = int(np.searchsorted(self._at_ns, at_ns, side="right")) - 1
        if index < 0 or at_ns - int(self._at_ns[index]) > 1.5 * self.step_ns:
            return ()
        rows = range(self._first[index], self._first[index + 1])
        return tuple((self._tracks[i], float(self._xy_m[i, 0]), float(self._xy_m[i, 1])) for i in rows)

    def _find_span(self, footage_ns: int) -> tuple[int, int]:
        """The windows are known by their number alone, so the footage ends where the last camera did."""
        moments = [e.at_ns for e in self._events if not isinstance(e, ReceiptIssued | PaymentUpdated)]
        moments += [r["at_ns"] for r in self._reports]
        moments += [int(self._at_ns[0]), int(self._at_ns[-1])] if len(self._at_ns) else []
        if not moments:
            return 0, max(footage_ns, 1)
        begin, end = min(moments), max(moments)
        return min(begin, end - footage_ns), max(end, begin + 1)


def _read_tracks(path: Path) -> tuple[np.ndarray, np.ndarray, list[str], np.ndarray]:
    """Times int64 (T,), first row of each int64 (T + 1,), track ids of N rows, float64 (N, 2)."""
    at, tracks, xy = [], [], []
    try:
        with path.open(encoding="utf-8") as file:
            next(file, None)
            for line in file:
                moment, track, x, y = line.rstrip("\n").split(",")
                at.append(int(moment))
                tracks.append(track)
                xy.append((float(x), float(y)))
    except OSError as error:
        raise RecordingError(f"{path}: {error.strerror}; is {path.parent} a finished run?") from None
    except ValueError:
        raise RecordingError(f"{path}:{len(xy) + 2}: expected at_ns,track,x_m,y_m; run it again") from None
    times, first = np.unique(np.array(at, np.int64), return_index=True)
    if len(at) and np.any(np.diff(np.array(at, np.int64)) < 0):
        raise RecordingError(f"{path}: its rows are not in the order of time; run it again")
    return times, np.append(first, len(at)), tracks, np.array(xy, float).reshape(-1, 2)


def _read_events(run: Path) -> list[Event]:
    path = run / EVENTS
    events: list[Event] = []
    try:
        with path.open(encoding="utf-8") as file:
            for number, line in enumerate(file, 1):
                try:
                    events.append(_EVENT.validate_json(line))
                except ValidationError:
                    raise RecordingError(f"{path}:{number}: not an event of this walkout; run it again") from None
    except OSError as error:
        raise RecordingError(f"{path}: {error.strerror}; is {run} a finished run?") from None
    for body in _json(run / RECEIPTS).get("receipts", ()):
        try:
            events.append(ReceiptIssued.model_validate(body))
        except ValidationError:
            raise RecordingError(f"{run / RECEIPTS}: not receipts of this walkout; run it again") from None
    return events


def _json(path: Path) -> dict:
    try:
        body = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise RecordingError(f"{path}: not readable ({error}); is {path.parent} a finished run?") from None
    if not isinstance(body, dict):
        raise RecordingError(f"{path}: expected an object; is {path.parent} a finished run?")
    return body
