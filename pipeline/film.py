# SPDX-License-Identifier: AGPL-3.0-or-later
"""The annotated film of a run: all cameras in a grid, people in their colours, the plan of the floor beside them."""

from __future__ import annotations

import os
import queue
import threading
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np

from calibration.layout import StoreLayout
from pipeline.draw import INK, PAPER, QUIET, FloorPlan, colour_of, plain, put_label, put_text, to_int
from pipeline.errors import OutputError
from pipeline.evidence.pixels import cover
from pipeline.heads import Heads
from pipeline.messages import CameraTracks, FloorTrack, FrameSet

NS = 1_000_000_000
TRAIL_POINTS = 60
CAPTION_PX = 50
SKELETON = (
    (5, 7), (7, 9), (6, 8), (8, 10), (5, 6), (5, 11), (6, 12), (11, 12), (11, 13), (13, 15), (12, 14), (14, 16),
    (0, 5), (0, 6),
)  # fmt: skip
LEAST_KEYPOINT = 0.4


@dataclass
class _Window:
    frame_set: FrameSet
    camera_tracks: Mapping[str, CameraTracks]
    floor_tracks: Sequence[FloorTrack]
    captions: Sequence[str]
    labels: Mapping[str, str] = field(default_factory=dict)


class MosaicWriter:
    """All cameras in a grid with boxes and skeletons in their person's colour, the plan of the floor in the last tile,
    what happened as text below it. Drawn and encoded in a thread of its own.

    Heads are covered for good, unless `covered` is false: a film is looked at to see what the trackers do, and is
    copied about.

    Use as a context manager: the film is complete, and at `path`, after `close`; an error on the way leaves none.
    `OutputError` (from `add` or `close`) when it cannot be written.
    """

    def __init__(
        self,
        path: Path,
        layout: StoreLayout,
        camera_ids: Sequence[str],
        fps: float,
        tile_px: tuple[int, int] = (384, 216),
        *,
        covered: bool = True,
    ) -> None:
        self._path = Path(path)
        self._part = self._path.with_name(self._path.name + ".tmp")
        self._ids = list(camera_ids)
        self._tile_px = tile_px
        self._columns = int(np.ceil(np.sqrt(len(self._ids) + 1)))
        self._rows = int(np.ceil((len(self._ids) + 1) / self._columns))
        self._plan = FloorPlan(layout, (tile_px[0], tile_px[1] - CAPTION_PX), names=False)
        self._heads = Heads(layout) if covered else None
        self._trails: dict[str, deque] = {}
        self._canvas = np.full((self._rows * tile_px[1], self._columns * tile_px[0], 3), INK, np.uint8)
        self._start_ns: int | None = None
        self._fps = fps
        self._error: Exception | None = None
        self._queue: queue.Queue[_Window | None] = queue.Queue(maxsize=4)
        self._thread = threading.Thread(target=self._write, name="mosaic", daemon=True)
        self._thread.start()

    def __enter__(self) -> MosaicWriter:
        return self

    def __exit__(self, kind, *_: object) -> None:
        if kind is None:
            self.close()
        else:
            self.abort()

    def add(
        self,
        frame_set: FrameSet,
        camera_tracks: Mapping[str, CameraTracks],
        floor_tracks: Sequence[FloorTrack],
        captions: Sequence[str] = (),
        labels: Mapping[str, str] | None = None,
    ) -> None:
        """One window. `captions`: the lines below the plan, newest last; `labels`: track id -> what to call it."""
        self._raise_error()
        self._queue.put(_Window(frame_set, camera_tracks, list(floor_tracks), list(captions), dict(labels or {})))

    def close(self) -> None:
        """Finish the film."""
        self._queue.put(None)
        self._thread.join()
        self._raise_error()
        try:
            os.replace(self._part, self._path)
        except OSError as error:
            raise OutputError(f"{self._path}: the film cannot be written: {error.strerror}") from None

    def abort(self) -> None:
        """Stop and leave no film."""
        self._queue.put(None)
        self._thread.join()
        self._part.unlink(missing_ok=True)

    def _raise_error(self) -> None:
        if self._error is None:
            return
        self._part.unlink(missing_ok=True)
        if isinstance(self._error, (OSError, av.FFmpegError)):
            reason = getattr(self._error, "strerror", None) or self._error
            raise OutputError(f"{self._path}: the film cannot be written: {reason}") from self._error
        raise self._error

    def _write(self) -> None:
        over = False
        try:
            with av.open(str(self._part), "w", format="mp4", options={"movflags": "faststart"}) as out:
                stream = out.add_stream("libx264", rate=Fraction(self._fps).limit_denominator(1000))
                stream.height, stream.width = self._canvas.shape[:2]
                stream.pix_fmt = "yuv420p"
                stream.time_base = stream.codec_context.time_base = Fraction(1, 1000)
                stream.options = {"preset": "ultrafast", "crf": "26"}
                stream.codec_context.thread_count = 1
                while (window := self._queue.get()) is not None:
                    self._start_ns = window.frame_set.mid_ns if self._start_ns is None else self._start_ns
                    planes = cv2.cvtColor(self._draw(window), cv2.COLOR_BGR2YUV_I420)  # half the time of swscale
                    picture = av.VideoFrame.from_ndarray(planes, "yuv420p")
                    picture.pts = (window.frame_set.mid_ns - self._start_ns) // 1_000_000
                    picture.time_base = Fraction(1, 1000)
                    out.mux(stream.encode(picture))
                over = True
                out.mux(stream.encode())
        except Exception as error:
            self._error = error
            while not over:  # let the caller come to the error instead of waiting for room
                over = self._queue.get() is None

    def _draw(self, window: _Window) -> np.ndarray:
        owner = {(c, row): track.track_id for track in window.floor_tracks for c, row in track.sources.items()}
        for k, camera_id in enumerate(self._ids):
            tile = self._tile(k)
            frame = window.frame_set.frames.get(camera_id)
            if frame is None:
                tile[:] = tile // 2 + 16
                put_text(tile, f"{camera_id}: no picture", np.array([8, 18]), PAPER, 0.45)
                continue
            small = frame.small
            fit = min(self._tile_px[0] / small.shape[1], self._tile_px[1] / small.shape[0])
            size = (round(small.shape[1] * fit), round(small.shape[0] * fit))
            if size != self._tile_px:
                tile[:] = INK
            cv2.resize(small, size, dst=tile[: size[1], : size[0]], interpolation=cv2.INTER_LINEAR)
            tracks = window.camera_tracks.get(camera_id)
            if self._heads is not None:
                for head in self._heads.boxes(camera_id, window.frame_set.mid_ns, tracks, window.floor_tracks):
                    cover(tile[: size[1], : size[0]], head, size[0] / frame.size_px[0])
            if tracks is not None:
                self._draw_people(tile, tracks, size[0] / frame.size_px[0], owner, window.labels)
            put_label(tile, camera_id, (6, 6), INK)
        self._draw_plan(self._tile(len(self._ids)), window)
        return self._canvas

    def _tile(self, k: int) -> np.ndarray:
        row, column = divmod(k, self._columns)
        width, height = self._tile_px
        return self._canvas[row * height : (row + 1) * height, column * width : (column + 1) * width]

    def _draw_people(
        self, tile: np.ndarray, tracks: CameraTracks, scale: float, owner: Mapping, labels: Mapping[str, str]
    ) -> None:
        people = tracks.detections
        for row in range(len(people)):
            track_id = owner.get((tracks.camera_id, row))
            if track_id is None and people.score[row] < LEAST_KEYPOINT:
                continue
            colour = colour_of(track_id) if track_id else QUIET
            x1, y1, x2, y2 = (int(v) for v in people.xyxy_px[row] * scale)
            cv2.rectangle(tile, (x1, y1), (x2, y2), colour, 2 if track_id else 1, cv2.LINE_AA)
            if not track_id:
                continue
            points = people.keypoints_px[row]
            for a, b in SKELETON:
                if points[a, 2] > LEAST_KEYPOINT and points[b, 2] > LEAST_KEYPOINT:
                    cv2.line(tile, to_int(points[a, :2] * scale), to_int(points[b, :2] * scale), colour, 1, cv2.LINE_AA)
            for k in (9, 10):
                if points[k, 2] > LEAST_KEYPOINT:
                    cv2.circle(tile, to_int(points[k, :2] * scale), 3, PAPER, -1, cv2.LINE_AA)
            put_label(tile, labels.get(track_id, track_id), (x1, max(y1 - 14, 0)), colour)

    def _draw_plan(self, tile: np.ndarray, window: _Window) -> None:
        tile[:] = PAPER
        plan = tile[: self._plan.base.shape[0]]
        plan[:] = self._plan.base
        for track in window.floor_tracks:
            trail = self._trails.setdefault(track.track_id, deque(maxlen=TRAIL_POINTS))
            trail.append(track.floor_xy_m)
            self._plan.path(plan, np.array(trail), colour_of(track.track_id), 2)
        for track in window.floor_tracks:
            self._plan.person(plan, track, window.labels.get(track.track_id, track.track_id))
        seconds = (window.frame_set.mid_ns - (self._start_ns or 0)) / NS
        put_text(tile, f"{seconds:6.1f} s", np.array([self._tile_px[0] - 62, self._tile_px[1] - 6]), QUIET, 0.4)
        for k, line in enumerate(reversed(window.captions[-3:])):
            y = self._tile_px[1] - 6 - 15 * k
            put_text(tile, plain(line)[:52], np.array([8, y]), INK if k == 0 else QUIET, 0.38)
