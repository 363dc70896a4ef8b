# SPDX-License-Identifier: AGPL-3.0-or-later
"""Where pictures come from: a video file with known capture times, or a live camera that comes and goes.

A source is an iterable of `Frame`s in capture order, mixed with a `CameraStatus` wherever the camera's state changes.
What goes wrong with one camera is an item of its stream, never an exception: the others go on.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import av
import numpy as np

from pipeline.capture.ring import PacketRing
from pipeline.errors import CaptureError
from pipeline.messages import Frame
from pipeline.reasons import (
    FILE_DAMAGED,
    FILE_ENDED,
    FILE_NOT_OPENED,
    FILE_WITHOUT_VIDEO,
    NOT_DECODED,
    NOTHING_KEPT,
    SEPARATOR,
    STREAM_ENDED,
    WRONG_SIZE,
)

CameraState = Literal["live", "stalled", "broken", "ended"]

NS = 1_000_000_000


@dataclass(frozen=True)
class CameraStatus:
    """A change in a camera's state.

    `live`: pictures come (again). `stalled`: none came for a while. `broken`: it cannot be opened, what comes cannot
    be decoded or has another size, or the file is cut off. `ended`: the file is over. `at_ns`: when, store clock.
    """

    camera_id: str
    state: CameraState
    reason: str
    at_ns: int


@dataclass(frozen=True)
class FileSource:
    """A video file; a picture's capture time is `start_ns` + pts * time base.

    `expected_frames`: how many there should be, to notice a file that was cut off; None takes the file's own count.
    """

    camera_id: str
    path: Path
    size_px: tuple[int, int]
    start_ns: int
    expected_frames: int | None = None
    threads: int = 1

    def check_size(self) -> None:
        """`CaptureError` when the file says another size than the layout. A file that cannot be opened passes: that
        one is reported, and left behind, when it is read."""
        try:
            with av.open(str(self.path)) as container:
                stream = container.streams.video[0]
                found = (stream.codec_context.width, stream.codec_context.height)
        except (av.FFmpegError, IndexError):
            return
        if found != self.size_px:
            raise CaptureError(
                f"camera {self.camera_id}: {self.path.name} is {found[0]}x{found[1]}, but the layout says "
                f"{self.size_px[0]}x{self.size_px[1]}; correct size_px and the camera's calibration, or the file"
            )

    def __iter__(self) -> Iterator[Frame | CameraStatus]:
        last_ns, count = self.start_ns, 0
        try:
            container = av.open(str(self.path))
        except av.FFmpegError as error:
            reason = FILE_NOT_OPENED.format(file=self.path.name, why=error.strerror)
            yield self._status("broken", reason, last_ns)
            return
        with container:
            if not container.streams.video:
                yield self._status("broken", FILE_WITHOUT_VIDEO.format(file=self.path.name), last_ns)
                return
            stream = container.streams.video[0]
            expected = self.expected_frames or stream.frames or 0
            stop = ""
            for item in _decode(container, stream, self.threads):
                if isinstance(item, str):
                    stop = item
                    continue
                if item.pts is None:
                    continue
                at_ns = self.start_ns + round(item.pts * item.time_base * NS)
                if count and at_ns <= last_ns:
                    continue
                frame = _frame(self.camera_id, at_ns, item)
                if frame.size_px != self.size_px:
                    stop = _wrong_size(frame, self.size_px)
                    break
                last_ns, count = at_ns, count + 1
                yield frame
        if count < expected or stop:
            reason = FILE_DAMAGED.format(file=self.path.name, count=count, expected=expected)
            yield self._status("broken", SEPARATOR.join(filter(None, (reason, stop))), last_ns)
        else:
            yield self._status("ended", FILE_ENDED.format(file=self.path.name), last_ns)

    def between(self, t0_ns: int, t1_ns: int) -> Iterator[Frame]:
        """The pictures captured from `t0_ns` to `t1_ns`, read from the file again; as far as they can be read."""
        try:
            with av.open(str(self.path)) as container:
                stream = container.streams.video[0]
                begin = round(max(t0_ns - self.start_ns, 0) / NS / stream.time_base)
                container.seek(begin, stream=stream)
                for item in _decode(container, stream, self.threads):
                    if isinstance(item, str):
                        return
                    if item.pts is None:
                        continue
                    at_ns = self.start_ns + round(item.pts * item.time_base * NS)
                    if at_ns > t1_ns:
                        return
                    if at_ns >= t0_ns:
                        yield Frame(self.camera_id, at_ns, _pixels(item))
        except (av.FFmpegError, IndexError):
            return

    def _status(self, state: CameraState, reason: str, at_ns: int) -> CameraStatus:
        return CameraStatus(self.camera_id, state, reason, at_ns)


@dataclass(frozen=True)
class LiveSource:
    """A camera at a URL (RTSP, HTTP, UDP, a device; whatever FFmpeg opens), reconnected for ever with growing pauses.

    Capture times are the stream's own stamps laid on the store's clock, see `ClockMap`. `open_timeout_s` and
    `read_timeout_s` bound how long a dead camera can hold its reader. `stop` ends the iteration. `ring`: keeps what the
    camera sent, for looking back.
    """

    camera_id: str
    url: str
    size_px: tuple[int, int]
    stop: threading.Event
    clock_ns: Callable[[], int] = time.time_ns
    open_timeout_s: float = 5.0
    read_timeout_s: float = 5.0
    first_pause_s: float = 0.5
    longest_pause_s: float = 30.0
    threads: int = 1
    ring: PacketRing | None = None

    def between(self, t0_ns: int, t1_ns: int) -> Iterator[Frame]:
        """The pictures captured from `t0_ns` to `t1_ns` that are still in the ring."""
        if self.ring is None:
            raise CaptureError(NOTHING_KEPT.format(camera=self.camera_id))
        for at_ns, picture in self.ring.between(t0_ns, t1_ns):
            yield Frame(self.camera_id, at_ns, _pixels(picture))

    def __iter__(self) -> Iterator[Frame | CameraStatus]:
        pause_s, said = self.first_pause_s, ""
        while not self.stop.is_set():
            reason = STREAM_ENDED
            try:
                for item in self._connection():
                    if isinstance(item, str):
                        reason = item
                        break
                    if pause_s != self.first_pause_s or said:
                        pause_s, said = self.first_pause_s, ""
                    yield item
            except (av.FFmpegError, OSError, IndexError) as error:
                reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
            if self.stop.is_set():
                return
            if reason != said:  # once for each outage, not for each attempt
                yield CameraStatus(self.camera_id, "broken", reason, self.clock_ns())
                said = reason
            self.stop.wait(pause_s)
            pause_s = min(2 * pause_s, self.longest_pause_s)

    def _connection(self) -> Iterator[Frame | str]:
        """Frames of one connection; a text, at most one and last, says why it is given up."""
        options = {"rtsp_transport": "tcp"} if self.url.startswith("rtsp") else {}
        stamps = ClockMap()
        last_ns = 0
        with av.open(self.url, options=options, timeout=(self.open_timeout_s, self.read_timeout_s)) as container:
            stream = container.streams.video[0]
            if self.ring is not None:
                self.ring.connected(stream)
            for item in _decode(container, stream, self.threads, self.ring):
                if self.stop.is_set():
                    return
                if isinstance(item, str):
                    yield item
                    return
                pts_ns = None if item.pts is None else round(item.pts * item.time_base * NS)
                at_ns = stamps.to_clock(pts_ns, self.clock_ns())
                if at_ns <= last_ns:
                    continue
                last_ns = at_ns
                if self.ring is not None:
                    self.ring.decoded(item.pts, at_ns)
                frame = _frame(self.camera_id, at_ns, item)
                if frame.size_px != self.size_px:
                    yield _wrong_size(frame, self.size_px)
                    return
                yield frame


class ClockMap:
    """A stream's own time stamps laid on the store's clock.

    Network and decoder only ever delay, so the smallest lag seen is the best estimate of the offset; the stream's
    stamps then take the jitter out of the arrival times. A stream whose stamps jump is anchored anew.
    """

    def __init__(self, jump_ns: int = NS) -> None:
        self._jump_ns = jump_ns
        self._offset_ns: int | None = None

    def to_clock(self, pts_ns: int | None, arrived_ns: int) -> int:
        if pts_ns is None:
            return arrived_ns
        lag_ns = arrived_ns - pts_ns
        if self._offset_ns is None or lag_ns < self._offset_ns or lag_ns - self._offset_ns > self._jump_ns:
            self._offset_ns = lag_ns
        return pts_ns + self._offset_ns


MAX_BAD_PACKETS = 50


def _decode(container, stream, threads: int, ring: PacketRing | None = None) -> Iterator[av.VideoFrame | str]:
    """Whole pictures of a stream; a text says why it ends before its end. `ring` is given the packets.

    A damaged packet costs its picture; only a run of `MAX_BAD_PACKETS` of them ends the stream.
    """
    stream.codec_context.thread_count = threads
    stream.codec_context.thread_type = "AUTO" if threads > 1 else "SLICE"
    bad = 0
    try:
        for packet in container.demux(stream):
            if ring is not None:
                ring.add(packet)
            try:
                pictures = packet.decode()
            except av.error.InvalidDataError as error:
                bad += 1
                if bad >= MAX_BAD_PACKETS:
                    yield NOT_DECODED.format(count=bad, why=error.strerror)
                    return
                continue
            for picture in pictures:
                if picture.is_corrupt:
                    continue
                bad = 0
                yield picture
    except av.error.EOFError:
        return
    except av.FFmpegError as error:
        yield error.strerror


def _wrong_size(frame: Frame, expected_px: tuple[int, int]) -> str:
    (width, height), (expected_width, expected_height) = frame.size_px, expected_px
    return WRONG_SIZE.format(size=f"{width}x{height}", expected_size=f"{expected_width}x{expected_height}")


def _frame(camera_id: str, at_ns: int, picture: av.VideoFrame) -> Frame:
    """Made small here, in the reader's thread."""
    frame = Frame(camera_id, at_ns, _pixels(picture))
    _ = frame.small
    return frame


def _pixels(picture: av.VideoFrame) -> np.ndarray:
    """The decoder's planes copied out: it wants its buffers back."""
    if picture.width % 2 or picture.height % 2:
        pixels = picture.to_ndarray(format="bgr24")
    elif picture.format.name == "yuv420p":
        pixels = picture.to_ndarray()
    else:
        pixels = picture.reformat(format="yuv420p").to_ndarray()
    return np.ascontiguousarray(pixels)
