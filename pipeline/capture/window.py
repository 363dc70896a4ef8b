# SPDX-License-Identifier: AGPL-3.0-or-later
"""Frames of all cameras, cut into fixed windows of the store's clock.

Window k is centred on `start_ns + k * window_ns`, so that a camera's nominal stamps lie in the middle of windows and
jitter of up to half a window moves nothing. A camera that gave several pictures in a window is represented by the last.
"""

from __future__ import annotations

import os
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from calibration.layout import StoreLayout
from pipeline.capture.recording import Recording
from pipeline.capture.ring import PacketRing
from pipeline.capture.sources import NS, CameraStatus, FileSource, LiveSource
from pipeline.errors import CaptureError
from pipeline.messages import Frame, FrameSet
from pipeline.reasons import NO_PICTURE_FOR, NOTHING_KEPT, PICTURES_AGAIN

StatusCallback = Callable[[CameraStatus], None]
Source = Iterable[Frame | CameraStatus]

QUEUE_FRAMES = 4
STALL_S = 1.0
LATENESS_S = 0.4


class Capture:
    """Iterate to get `FrameSet`s; use as a context manager, so that the readers end.

    `live` false (files): every window waits for every camera until its stream is past it, so that the same files give
    the same windows, and readers wait when their queue is full. `live` true: a window is closed `lateness_s` after its
    end, or as soon as every camera that is alive has passed it, and a full queue drops its oldest picture.

    `on_status` is called in the iterating thread when a camera stalls (no picture for `stall_s`), breaks, ends, or
    comes back. `CaptureError` is raised when no file gives a single picture.
    """

    def __init__(
        self,
        sources: Mapping[str, Source],
        start_ns: int,
        window_ns: int,
        *,
        live: bool = False,
        on_status: StatusCallback | None = None,
        stop: threading.Event | None = None,
        clock_ns: Callable[[], int] = time.time_ns,
        lateness_s: float = LATENESS_S,
        stall_s: float = STALL_S,
    ) -> None:
        self._start_ns = start_ns
        self._window_ns = window_ns
        self._live = live
        self._on_status = on_status or (lambda status: None)
        self._stop = stop or threading.Event()
        self._clock_ns = clock_ns
        self._lateness_ns = round(lateness_s * NS)
        self._stall_ns = round(stall_s * NS)
        self._feeds = {
            camera_id: _Feed(camera_id, _Queue(QUEUE_FRAMES, drop_oldest=live), last_ns=start_ns)
            for camera_id in sorted(sources)
        }
        self._sources = dict(sources)
        self._readers = [
            threading.Thread(target=_read, args=(sources[c], feed.queue, self._stop), name=f"read-{c}", daemon=True)
            for c, feed in self._feeds.items()
        ]

    def __enter__(self) -> Capture:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Stop the readers. One that waits for a dead camera ends by itself when its time-out is over."""
        self._stop.set()
        for feed in self._feeds.values():
            feed.queue.close()
        deadline = time.monotonic() + 2
        for reader in self._readers:
            if reader.is_alive():
                reader.join(max(0.0, deadline - time.monotonic()))

    def between(self, camera_id: str, t0_ns: int, t1_ns: int) -> Iterator[Frame]:
        """What a camera captured from `t0_ns` to `t1_ns`, in order, as far as it is still there: of a file all of it,
        of a live camera what its ring holds. `CaptureError` where nothing is kept. From any thread."""
        source = self._sources.get(camera_id)
        if source is None or not hasattr(source, "between"):
            raise CaptureError(NOTHING_KEPT.format(camera=camera_id))
        return source.between(t0_ns, t1_ns)

    def __iter__(self) -> Iterator[FrameSet]:
        for reader in self._readers:
            reader.start()
        index, any_frame = 0, False
        while not self._stop.is_set():
            begin_ns = self._start_ns + index * self._window_ns - self._window_ns // 2
            frames = {}
            for camera_id, feed in self._feeds.items():
                frame = self._collect(feed, begin_ns)
                if frame is not None:
                    frames[camera_id] = frame
            if all(feed.over and feed.head is None for feed in self._feeds.values()) and not frames:
                break
            self._watch_stalls(begin_ns + self._window_ns)
            if frames or not self._live:  # after a pause of the whole shop there is nothing to catch up with
                any_frame = any_frame or bool(frames)
                yield FrameSet(index, begin_ns, self._window_ns, frames)
            else:
                self._stop.wait(max(0.0, (begin_ns + self._window_ns + self._lateness_ns - self._clock_ns()) / NS))
            index += 1
        if not any_frame and not self._live:
            reasons = "; ".join(f"{feed.camera_id}: {feed.reason}" for feed in self._feeds.values())
            raise CaptureError(f"no camera gave a picture: {reasons}")

    def _collect(self, feed: _Feed, begin_ns: int) -> Frame | None:
        """The camera's last frame in the window; waits for it as long as the mode allows."""
        end_ns = begin_ns + self._window_ns
        chosen = None
        while True:
            if feed.head is None:
                if feed.over:
                    break
                item = feed.queue.get(self._patience_s(feed, end_ns))
                if item is None:
                    break
                if isinstance(item, BaseException):
                    raise item
                if isinstance(item, CameraStatus):
                    self._tell(feed, item)
                    continue
                feed.head = item
            if feed.head.captured_at_ns >= end_ns:
                break
            frame, feed.head = feed.head, None
            feed.last_ns = max(feed.last_ns, frame.captured_at_ns)
            if feed.state != "live":
                self._tell(feed, CameraStatus(feed.camera_id, "live", PICTURES_AGAIN, frame.captured_at_ns))
            if frame.captured_at_ns >= begin_ns:
                chosen = frame
        return chosen

    def _patience_s(self, feed: _Feed, end_ns: int) -> float | None:
        if not self._live:
            return None
        if feed.state != "live":
            return 0.0
        return max(0.0, (end_ns + self._lateness_ns - self._clock_ns()) / NS)

    def _watch_stalls(self, now_ns: int) -> None:
        for feed in self._feeds.values():
            silent_ns = now_ns - feed.last_ns
            if feed.state == "live" and not feed.over and silent_ns > self._stall_ns:
                reason = NO_PICTURE_FOR.format(seconds=f"{silent_ns / NS:.1f}")
                self._tell(feed, CameraStatus(feed.camera_id, "stalled", reason, now_ns))

    def _tell(self, feed: _Feed, status: CameraStatus) -> None:
        if not self._live and status.state in ("broken", "ended"):
            feed.over = True  # a file says nothing after that
        feed.state, feed.reason = status.state, status.reason
        self._on_status(status)


def capture_recording(
    recording: Recording, on_status: StatusCallback | None = None, window_s: float | None = None
) -> Capture:
    """The windows of a recording, one a frame of its fastest camera unless `window_s` says otherwise.

    `CaptureError` when a video has another size than the layout says.
    """
    cameras = {spec.id: spec for spec in recording.layout.cameras}
    threads = max(1, (os.cpu_count() or 1) // len(recording.videos))
    sources = {
        video.camera_id: FileSource(
            video.camera_id, video.path, cameras[video.camera_id].size_px, recording.start_ns, video.frames, threads
        )
        for video in recording.videos
    }
    for source in sources.values():
        source.check_size()
    window_s = window_s or 1 / max(cameras[camera_id].fps for camera_id in sources)
    return Capture(sources, recording.start_ns, round(window_s * NS), on_status=on_status)


def capture_store(
    layout: StoreLayout,
    on_status: StatusCallback | None = None,
    window_s: float | None = None,
    clock_ns: Callable[[], int] = time.time_ns,
    ring: Callable[[], PacketRing] | None = None,
) -> Capture:
    """The windows of a store's live cameras, from now on, for ever. `ring` makes what keeps a camera's last seconds.

    Where every `url` is a video file, these are played from now on as a recording is: every picture counts, and it
    ends. `CaptureError` names the cameras whose `url` the layout does not give, or a file of another size.
    """
    silent = [spec.id for spec in layout.cameras if not spec.url]
    if silent:
        raise CaptureError(f"store {layout.store_id}: the layout gives no url for camera {', '.join(silent)}")
    stop = threading.Event()
    threads = max(1, (os.cpu_count() or 1) // len(layout.cameras))
    window_ns = round((window_s or 1 / max(spec.fps for spec in layout.cameras)) * NS)
    start_ns = clock_ns()
    files = {spec.id: Path((spec.url or "").removeprefix("file://")) for spec in layout.cameras}
    if all(path.is_file() for path in files.values()):
        played = {
            spec.id: FileSource(spec.id, files[spec.id], spec.size_px, start_ns, threads=threads)
            for spec in layout.cameras
        }
        for source in played.values():
            source.check_size()
        return Capture(played, start_ns, window_ns, on_status=on_status)
    live = {
        spec.id: LiveSource(
            spec.id, spec.url or "", spec.size_px, stop, clock_ns, threads=threads, ring=ring() if ring else None
        )
        for spec in layout.cameras
    }
    return Capture(live, start_ns, window_ns, live=True, on_status=on_status, stop=stop, clock_ns=clock_ns)


@dataclass
class _Feed:
    """What the iterating thread knows of one camera. `head`: a frame that belongs to a later window."""

    camera_id: str
    queue: _Queue
    last_ns: int
    state: str = "live"
    reason: str = ""
    head: Frame | None = None
    over: bool = False


@dataclass
class _Queue:
    """Bounded hand-over from a reader to the iterating thread. Only frames are ever dropped, never a status."""

    size: int
    drop_oldest: bool
    _items: deque = field(default_factory=deque)
    _changed: threading.Condition = field(default_factory=threading.Condition)
    _closed: bool = False

    def put(self, item: Frame | CameraStatus | BaseException) -> bool:
        """False when nobody takes items any more."""
        with self._changed:
            if self.drop_oldest and sum(isinstance(i, Frame) for i in self._items) >= self.size:
                self._items.remove(next(i for i in self._items if isinstance(i, Frame)))
            self._changed.wait_for(lambda: self._closed or self.drop_oldest or len(self._items) < self.size)
            if not self._closed:
                self._items.append(item)
                self._changed.notify_all()
            return not self._closed

    def get(self, timeout_s: float | None):
        """The next item; None when there is none in time."""
        with self._changed:
            self._changed.wait_for(lambda: self._items or self._closed, timeout_s)
            if not self._items:
                return None
            item = self._items.popleft()
            self._changed.notify_all()
            return item

    def close(self) -> None:
        with self._changed:
            self._closed = True
            self._changed.notify_all()


def _read(source: Source, queue: _Queue, stop: threading.Event) -> None:
    """A reader's thread: a fault of ours reaches the iterating thread instead of ending the camera in silence."""
    try:
        for item in source:
            if stop.is_set() or not queue.put(item):
                return
    except Exception as error:
        queue.put(error)
