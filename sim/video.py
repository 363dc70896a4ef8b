# SPDX-License-Identifier: AGPL-3.0-or-later
"""H.264 in mp4 with exact capture times."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np

from sim.cameras import TICKS_PER_S


class VideoWriter:
    """One camera's video. Stamps are in 1/90000 s and rise strictly; a key frame about every second.

    The encoder runs in one thread, so equal pictures give an equal file. On the noise of a sensor `ultrafast` at 26 is
    as good and as small as `superfast` at 24 and takes half the time.
    """

    def __init__(self, path: Path, size_px: tuple[int, int], fps: float, crf: int = 26) -> None:
        self.frames = 0
        # The container's own clock defaults to milliseconds, too coarse for the first picture's stamp.
        self._container = av.open(str(path), "w", options={"movie_timescale": str(TICKS_PER_S)})
        self._stream = self._container.add_stream("libx264", rate=Fraction(fps).limit_denominator(1000))
        self._stream.width, self._stream.height = size_px
        self._stream.pix_fmt = "yuv420p"
        self._stream.codec_context.thread_count = 1
        self._stream.time_base = self._stream.codec_context.time_base = Fraction(1, TICKS_PER_S)
        self._stream.options = {
            "preset": "ultrafast", "crf": str(crf), "bf": "0",
            "g": str(max(1, round(fps))), "flags": "+cgop", "x264-params": "scenecut=0",
        }  # fmt: skip

    def write(self, image: np.ndarray, pts: int) -> None:
        """Append a picture, uint8 (H, W, 3) BGR."""
        frame = av.VideoFrame.from_ndarray(to_yuv420(image), format="yuv420p")
        frame.pts, frame.time_base = int(pts), Fraction(1, TICKS_PER_S)
        self._container.mux(self._stream.encode(frame))
        self.frames += 1

    def close(self) -> None:
        self._container.mux(self._stream.encode(None))
        self._container.close()


def to_yuv420(image: np.ndarray) -> np.ndarray:
    """uint8 (H, W, 3) BGR to (3 H / 2, W): planes Y, U and V in the narrow range of BT.601; H and W even.

    In half of the time that the encoder's own conversion takes. OpenCV's to I420 would be quicker still, but takes
    the colour of each four pixels from the first alone, and with it twice the noise.
    """
    height, width = image.shape[:2]
    out = np.empty((height * 3 // 2, width), np.uint8)
    cv2.convertScaleAbs(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY), out[:height], 219 / 255, 16)
    half = cv2.resize(image, (width // 2, height // 2), interpolation=cv2.INTER_AREA)
    _, red, blue = cv2.split(cv2.cvtColor(half, cv2.COLOR_BGR2YCrCb))
    for plane, colour in zip(out[height:].reshape(2, height // 2, width // 2), (blue, red), strict=True):
        cv2.convertScaleAbs(colour, plane, 224 / 255, 128 * (1 - 224 / 255))
    return out
