# SPDX-License-Identifier: AGPL-3.0-or-later
"""Where everybody is, window by window, for whoever watches the floor while the shop runs.

A stream of lines in files beside the log, and not a topic of it: ten messages a second and store, each of interest for
some seconds, would be most of what the log holds and would be kept as long as receipts are. Nothing is billed from
them, so they need no order among the events, no sync to the disk and no second copy. One line a window with all tracks
is about 200 bytes for ten people; files are cut at `SEGMENT_BYTES` and only the newest `SEGMENTS` are kept, an hour or
more of a busy shop. Names of tracks end with the visit, as everywhere.

A line is JSON: `at` (ns), `p` (track, x and y in metres), where a camera's state changed, `c` (camera id to state and
reason), while the event log is away, `w` (events that wait for it), and while bills wait, `b`.
The first line of each file has all cameras.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

logger = logging.getLogger(__name__)

FOLDER = "floor"
SEGMENT_BYTES = 16_000_000
SEGMENTS = 2
_RECENT_BYTES = 64_000

Dot = tuple[str, float, float]
"""Track id, x and y on the floor in metres."""
CameraNote = tuple[str, str]
"""State (`live`, `stalled`, `broken`, `ended`) and the reason, empty where there is none to give."""


@dataclass(frozen=True)
class Waiting:
    """What of a shop waits for something that is away: so many `events` for the event log; whether `bills` do, for the
    log or the database."""

    events: int = 0
    bills: bool = False


NOTHING_WAITS = Waiting()


@dataclass(frozen=True)
class FloorFrame:
    """Everybody at one instant. `cameras`: those whose state changed since the frame before."""

    at_ns: int
    people: tuple[Dot, ...] = ()
    cameras: Mapping[str, CameraNote] = field(default_factory=dict)
    waiting: Waiting = NOTHING_WAITS

    def line(self) -> str:
        body: dict = {"at": self.at_ns, "p": [[t, round(x, 3), round(y, 3)] for t, x, y in self.people]}
        if self.cameras:
            body["c"] = {camera_id: list(note) for camera_id, note in self.cameras.items()}
        if self.waiting.events:
            body["w"] = self.waiting.events
        if self.waiting.bills:
            body["b"] = 1
        return json.dumps(body, separators=(",", ":"), ensure_ascii=False) + "\n"

    @classmethod
    def of_line(cls, line: str) -> FloorFrame | None:
        """None for what is not a whole line of ours, as after a power cut."""
        try:
            body = json.loads(line)
            people = tuple((str(t), float(x), float(y)) for t, x, y in body["p"])
            cameras = {str(c): (str(s), str(r)) for c, (s, r) in body.get("c", {}).items()}
            return cls(int(body["at"]), people, cameras, Waiting(int(body.get("w", 0)), bool(body.get("b"))))
        except (ValueError, KeyError, TypeError, AttributeError):
            return None


class FeedWriter:
    """Writes the feed into `folder`/floor. A disk that is full does not stop the shop: it is logged once."""

    def __init__(self, folder: Path, segment_bytes: int = SEGMENT_BYTES, segments: int = SEGMENTS) -> None:
        self.folder = folder / FOLDER
        self._segment_bytes, self._segments = segment_bytes, segments
        self._file, self._size = None, 0
        self._cameras: dict[str, CameraNote] = {}
        self._complained = False

    def add(
        self, at_ns: int, people: Sequence[Dot], cameras: Mapping[str, CameraNote], waiting: Waiting = NOTHING_WAITS
    ) -> None:
        """`cameras`: all of them as they are now."""
        changed = {c: note for c, note in cameras.items() if self._cameras.get(c) != note}
        self._cameras.update(changed)
        try:
            if self._file is None or self._size >= self._segment_bytes:
                self._begin(at_ns)
                changed = dict(self._cameras)
            line = FloorFrame(at_ns, tuple(people), changed, waiting).line()
            self._file.write(line)
            self._file.flush()
            self._size += len(line)
        except OSError as error:
            if not self._complained:
                logger.warning("the floor cannot be shown live: %s: %s", self.folder, error.strerror or error)
            self._complained = True

    def close(self) -> None:
        if self._file is not None:
            try:
                self._file.close()
            except OSError:
                logger.warning("the end of the floor feed was not written: %s", self.folder)
            self._file = None

    def _begin(self, at_ns: int) -> None:
        self.close()
        self.folder.mkdir(parents=True, exist_ok=True)
        for old in segments(self.folder)[: -self._segments + 1 or None]:
            old.unlink(missing_ok=True)
        self._file = (self.folder / f"{at_ns:020d}.jsonl").open("a", encoding="utf-8", newline="\n")
        self._size = 0


class FeedTail:
    """Follows the feed in `folder`/floor as it grows, from a little before now."""

    def __init__(self, folder: Path, recent_bytes: int = _RECENT_BYTES) -> None:
        self.folder = folder / FOLDER
        self._recent_bytes = recent_bytes
        self._file, self._path, self._rest = None, None, ""

    def read(self) -> list[FloorFrame]:
        """The frames that came since the last call; the first call gives what was written lately."""
        frames: list[FloorFrame] = []
        if self._file is None and not self._open_newest():
            return frames
        while True:
            frames += self._take()
            later = [p for p in segments(self.folder) if p.name > self._path.name]
            if not later:
                return frames
            frames += self._take()  # written between our last look and the cut
            self._open(later[0])

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    def _open_newest(self) -> bool:
        found = segments(self.folder)
        if not found:
            return False
        with found[-1].open(encoding="utf-8") as file:
            first = FloorFrame.of_line(file.readline())
        self._open(found[-1])
        size = found[-1].stat().st_size
        if size > self._recent_bytes:
            self._file.seek(size - self._recent_bytes)
            self._file.readline()  # the rest of a line
            self._first = first
        else:
            self._first = None
        return True

    def _open(self, path: Path) -> None:
        self.close()
        # Bytes are ASCII but for reasons of cameras; a seek into the middle of a letter must not stop the reader.
        self._file, self._path, self._rest = path.open(encoding="utf-8", errors="replace"), path, ""
        self._first = None

    def _take(self) -> list[FloorFrame]:
        text = self._rest + self._file.read()
        lines = text.split("\n")
        self._rest = lines.pop()
        frames = [frame for line in lines if (frame := FloorFrame.of_line(line)) is not None]
        if self._first is not None and frames:  # the cameras' states stand in the file's first line
            known = {**self._first.cameras, **frames[0].cameras}
            frames[0] = replace(frames[0], cameras=known)
            self._first = None
        return frames


def segments(folder: Path) -> list[Path]:
    """The feed's files, oldest first."""
    return sorted(folder.glob("[0-9]*.jsonl")) if folder.is_dir() else []
