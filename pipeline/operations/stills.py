# SPDX-License-Identifier: AGPL-3.0-or-later
"""A camera's picture for the floor page: small, and nobody can be recognised in it.

People are filled, not blurred: whoever watches the floor needs to see that a camera works and what it looks at. Where
it is not known where people stand in a picture, all of it is made coarse.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from pipeline.errors import CaptureError
from pipeline.messages import CameraTracks, FrameSet
from pipeline.operations.floor_feed import FOLDER
from pipeline.run_files import DETECTIONS

WIDTH_PX = 320
STILLS = "stills"
_EVERY_S = 2.0
_FILL_BGR = (150, 140, 130)
_MARGIN = 0.08
"""Boxes are drawn wider by so much of their size: hair and hands stick out."""
_COARSE_PX = 20
_NEAR_NS = 600_000_000
_KEPT = 64


def anonymous(image_bgr: np.ndarray, boxes_xyxy_px: np.ndarray | None, size_px: tuple[int, int]) -> np.ndarray:
    """uint8 (h, w, 3) BGR, at most `WIDTH_PX` wide, people filled.

    Args:
        image_bgr: uint8 (H, W, 3), of any size.
        boxes_xyxy_px: (N, 4) in pixels of the camera at `size_px`; None: nobody knows where people are.
        size_px: the camera's width and height.
    """
    import cv2

    height, width = image_bgr.shape[:2]
    scale = min(1.0, WIDTH_PX / width)
    small = cv2.resize(image_bgr, (round(width * scale), round(height * scale)), interpolation=cv2.INTER_AREA)
    if boxes_xyxy_px is None:
        tiny = cv2.resize(small, (_COARSE_PX, max(_COARSE_PX * height // width, 1)), interpolation=cv2.INTER_AREA)
        return cv2.resize(tiny, (small.shape[1], small.shape[0]), interpolation=cv2.INTER_NEAREST)
    small = small.copy()
    to_small = small.shape[1] / size_px[0]
    for x1, y1, x2, y2 in np.asarray(boxes_xyxy_px, float).reshape(-1, 4) * to_small:
        mx, my = _MARGIN * (x2 - x1) + 1, _MARGIN * (y2 - y1) + 1
        corner, opposite = (int(x1 - mx), int(y1 - my)), (int(np.ceil(x2 + mx)), int(np.ceil(y2 + my)))
        cv2.rectangle(small, corner, opposite, _FILL_BGR, cv2.FILLED)
    return small


def jpeg(image_bgr: np.ndarray) -> bytes:
    import cv2

    return cv2.imencode(".jpg", image_bgr, [cv2.IMWRITE_JPEG_QUALITY, 72])[1].tobytes()


class StillWriter:
    """Keeps a picture of each camera in `folder`/floor/stills while a shop runs, a new one every two seconds at most.

    A picture is only taken when the detector has looked at it: then it is known where people are.
    """

    def __init__(self, folder: Path, every_s: float = _EVERY_S) -> None:
        self._folder, self._every_ns = folder / FOLDER / STILLS, int(every_s * 1e9)
        self._written_ns: dict[str, int] = {}

    def add(self, frame_set: FrameSet, looks: Mapping[str, CameraTracks]) -> None:
        for camera_id, tracks in looks.items():
            frame = frame_set.frames.get(camera_id)
            at_ns = frame_set.mid_ns
            if frame is None or abs(at_ns - self._written_ns.get(camera_id, -self._every_ns)) < self._every_ns:
                continue
            self._written_ns[camera_id] = at_ns
            picture = anonymous(frame.small, tracks.detections.xyxy_px, frame.size_px)
            try:
                self._folder.mkdir(parents=True, exist_ok=True)
                part = self._folder / f".{camera_id}.part"
                part.write_bytes(jpeg(picture))
                part.replace(self._folder / f"{camera_id}.jpg")
            except OSError:
                continue  # the feed beside it says so once; the next picture is two seconds away


def live_still(folder: Path, camera_id: str) -> tuple[bytes, float] | None:
    """The newest picture and its age in seconds; None when there is none. `camera_id` must be one of the layout's."""
    path = folder / FOLDER / STILLS / f"{camera_id}.jpg"
    try:
        return path.read_bytes(), max(time.time() - path.stat().st_mtime, 0.0)
    except OSError:
        return None


class RecordedStills:
    """Pictures out of a recording's videos, with the people that its run found filled. Not for several threads."""

    def __init__(self, run: Path, videos: Mapping[str, tuple[Path, tuple[int, int]]], start_ns: int) -> None:
        """`videos`: camera id -> file, and the camera's size; `start_ns`: of the files' first moment."""
        self._videos, self._start_ns = videos, start_ns
        self._boxes: dict[str, tuple[np.ndarray, np.ndarray, np.ndarray]] = {}
        self._kept: OrderedDict[tuple[str, int], bytes] = OrderedDict()
        path = run / DETECTIONS
        if path.exists():
            with np.load(path) as arrays:
                for camera_id in videos:
                    names = [f"{camera_id}.{name}" for name in ("looked_ns", "at_ns", "xyxy_px")]
                    if all(name in arrays for name in names):
                        self._boxes[camera_id] = tuple(arrays[name] for name in names)

    def still(self, camera_id: str, at_ns: int) -> bytes:
        """JPEG of what the camera saw then, to the half second; `CaptureError` when its video cannot be read.
        `KeyError` for a camera that was not recorded."""
        path, size_px = self._videos[camera_id]
        key = (camera_id, at_ns // 500_000_000)
        if key in self._kept:
            self._kept.move_to_end(key)
            return self._kept[key]
        image, taken_ns = self._frame(path, at_ns)
        picture = jpeg(anonymous(image, self.boxes(camera_id, taken_ns), size_px))
        self._kept[key] = picture
        while len(self._kept) > _KEPT:
            self._kept.popitem(last=False)
        return picture

    def boxes(self, camera_id: str, at_ns: int) -> np.ndarray | None:
        """(N, 4), everybody found within a moment of `at_ns`; None when the detector did not look then."""
        if camera_id not in self._boxes:
            return None
        looked, at, xyxy = self._boxes[camera_id]
        if not len(looked) or np.abs(looked - at_ns).min() > _NEAR_NS:
            return None
        nearest = np.abs(looked - at_ns).min()
        return xyxy[np.abs(at - at_ns) <= nearest + 150_000_000]

    def _frame(self, path: Path, at_ns: int) -> tuple[np.ndarray, int]:
        """The last picture up to that moment (or the first one), with its time."""
        import av

        wanted_s = max((at_ns - self._start_ns) / 1e9, 0.0)
        best = None
        try:
            with av.open(str(path)) as container:
                stream = container.streams.video[0]
                if wanted_s > 1:
                    container.seek(int(wanted_s / stream.time_base), stream=stream, backward=True)
                for frame in container.decode(stream):
                    if best is not None and frame.pts * stream.time_base > wanted_s:
                        break
                    best = frame
                if best is None:
                    raise CaptureError(f"{path}: no picture in it")
                taken_ns = self._start_ns + round(best.pts * stream.time_base * 1_000_000_000)
                return best.to_ndarray(format="bgr24"), taken_ns
        except (av.FFmpegError, IndexError, OSError) as error:
            raise CaptureError(f"{path}: cannot be read: {error}") from None
