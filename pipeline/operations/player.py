# SPDX-License-Identifier: AGPL-3.0-or-later
"""Playing a floor: frames from a moment on at a speed, whether it was recorded or happens now."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Hashable, Iterator, Sequence
from dataclasses import replace
from typing import Protocol

from pipeline.messages import Event
from pipeline.operations.floor_feed import CameraNote, FloorFrame

FULL_SPEED = 0.0
_SHORTEST_S = 0.04
"""Between two frames on a screen; faster ones are left out."""
_FULL_FRAMES, _FULL_PAUSE_S = 2_000, 0.01
"""At full speed a recording is at most so many frames, however long it is."""
_LIVE_EVERY_S = 0.1


class FloorSource(Protocol):
    """Where frames and events come from; `span` in ns. `version` differs when `events_until` would; `listen` takes what
    the event log says, from whoever follows it and in any thread."""

    live: bool
    step_ns: int

    def span(self) -> tuple[int, int]: ...

    def frame_at(self, at_ns: int) -> FloorFrame: ...

    def frames_after(self, at_ns: int, step_ns: int = 0) -> Iterator[FloorFrame]: ...

    def trail(self, at_ns: int, seconds: float) -> list[FloorFrame]: ...

    def events_until(self, at_ns: int) -> Sequence[Event]: ...

    def version(self, at_ns: int) -> Hashable: ...

    def listen(self, events: Sequence[Event]) -> None: ...

    def marks(self, limit: int = 2000) -> list[Event]: ...

    def cameras(self, at_ns: int) -> dict[str, CameraNote]: ...

    def close(self) -> None: ...


async def play(
    source: FloorSource,
    from_ns: int | None = None,
    speed: float = 1.0,
    *,
    now_s: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> AsyncIterator[FloorFrame]:
    """The frame at `from_ns`, then the next ones when they are due.

    `speed`: footage seconds in a second; `FULL_SPEED` as fast as they are taken. A floor that is live goes at its own
    pace from now on, for ever; a recorded one ends.
    """
    begin, end = source.span()
    at_ns = end if source.live else min(max(begin if from_ns is None else from_ns, begin), end)
    first = source.frame_at(at_ns)
    yield first
    if source.live:
        async for frame in _live(source, first.at_ns, sleep):
            yield frame
        return
    if speed <= FULL_SPEED:
        for frame in source.frames_after(at_ns, (end - begin) // _FULL_FRAMES):
            yield frame
            await sleep(_FULL_PAUSE_S)
        return
    start_s = shown_s = now_s()
    changed: dict[str, CameraNote] = {}
    for frame in source.frames_after(at_ns):
        changed.update(frame.cameras)  # also of frames that are left out
        due_s = start_s + (frame.at_ns - at_ns) / 1e9 / speed
        if due_s - shown_s < _SHORTEST_S and frame.at_ns < end:
            continue
        if (wait_s := due_s - now_s()) > 0:
            await sleep(wait_s)
        shown_s = due_s
        yield replace(frame, cameras=changed)
        changed = {}


async def _live(
    source: FloorSource, at_ns: int, sleep: Callable[[float], Awaitable[None]]
) -> AsyncIterator[FloorFrame]:
    """A beat without a new frame gives the last one again: what is shown beside the dots may have changed."""
    newest = source.frame_at(at_ns)
    while True:
        await sleep(_LIVE_EVERY_S)
        came = list(source.frames_after(newest.at_ns))
        if came:
            cameras = {c: note for frame in came for c, note in frame.cameras.items()}
            newest = replace(came[-1], cameras=cameras)
            yield newest
        else:
            yield replace(newest, cameras={})
