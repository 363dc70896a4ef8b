# SPDX-License-Identifier: AGPL-3.0-or-later
"""H.264 in mp4 that a browser plays and steps through: each picture has its capture time, key frames are close, no
picture waits for a later one, and the index comes first."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from fractions import Fraction
from pathlib import Path

import av

from pipeline.errors import EvidenceError
from pipeline.evidence.pixels import Planes, to_i420
from pipeline.reasons import CLIP_NOT_ENCODED

TICKS = 90_000
"""Units a second in which times are kept; the same in every clip."""
NS = 1_000_000_000


class FilmWriter:
    """Pictures in, `finish` gives the bytes, `close` in any case. `EvidenceError` when it cannot be encoded.

    One thread encodes, so that the same pictures give the same bytes.
    """

    def __init__(self, size_px: tuple[int, int], fps: float, crf: int, key_every: int) -> None:
        with _errors():
            self._folder = tempfile.TemporaryDirectory(prefix="walkout-clip-")
        self._path = Path(self._folder.name) / "clip.mp4"
        self._first_ns: int | None = None
        self._step = round(TICKS / fps)
        try:
            with _errors():
                self._open(size_px, fps, crf, key_every)
        except BaseException:
            self._folder.cleanup()
            raise

    def _open(self, size_px: tuple[int, int], fps: float, crf: int, key_every: int) -> None:
        container = {"movflags": "faststart", "video_track_timescale": str(TICKS)}
        self._out = av.open(str(self._path), "w", options=container)
        options = {"preset": "superfast", "crf": str(crf), "sc_threshold": "0", "bf": "0", "threads": "1"}
        self._stream = self._out.add_stream("libx264", rate=round(fps) or 1, options=options)
        self._stream.width, self._stream.height = size_px
        self._stream.pix_fmt = "yuv420p"
        self._stream.time_base = self._stream.codec_context.time_base = Fraction(1, TICKS)
        self._stream.codec_context.gop_size = key_every

    def add(self, planes: Planes, at_ns: int) -> float:
        """One picture; its time in the film, in seconds."""
        if self._first_ns is None:
            self._first_ns = at_ns
        picture = av.VideoFrame.from_ndarray(to_i420(planes), format="yuv420p")
        ticks = round((at_ns - self._first_ns) * TICKS / NS)
        picture.pts, picture.time_base = ticks, Fraction(1, TICKS)
        with _errors():
            self._mux(self._stream.encode(picture))
        return ticks / TICKS

    def _mux(self, packets) -> None:
        for packet in packets:
            packet.duration = self._step  # the last one's; between pictures, their times decide
            self._out.mux(packet)

    def finish(self) -> bytes:
        """The whole film."""
        with _errors():
            self._mux(self._stream.encode())
            self._out.close()
            return self._path.read_bytes()

    def close(self) -> None:
        """Leave nothing behind; also after an error, and once more."""
        with suppress(av.FFmpegError, OSError):
            self._out.close()
        self._folder.cleanup()


@contextmanager
def _errors() -> Iterator[None]:
    try:
        yield
    except (av.FFmpegError, OSError) as error:
        raise EvidenceError(CLIP_NOT_ENCODED.format(why=error)) from error
