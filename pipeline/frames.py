# SPDX-License-Identifier: AGPL-3.0-or-later
"""Pictures in memory: one camera's `Frame`, and the `FrameSet` of all cameras of one window. Part of the vocabulary:
import them from `pipeline.messages`."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

SMALL_SIDE_PX = 640


@dataclass(frozen=True, eq=False)
class Frame:
    """One picture of one camera, as the decoder left it; colour conversion happens when somebody looks.

    `pixels`: uint8, either (H, W, 3) BGR as OpenCV keeps it, or (H * 3 / 2, W) planar I420 (luma, then both chroma
    planes at half size; H and W even), which is what video holds: half the memory of BGR. Use `image` for the whole
    picture, `small` for the network and for looking at, `crop` for a piece at native resolution. None of them may be
    written to.
    """

    camera_id: str
    captured_at_ns: int
    pixels: np.ndarray

    @property
    def size_px(self) -> tuple[int, int]:
        """Width and height at native resolution."""
        height, width = self.pixels.shape[:2]
        return (width, height) if self.pixels.ndim == 3 else (width, height * 2 // 3)

    @cached_property
    def image(self) -> np.ndarray:
        """uint8 (H, W, 3) BGR at native resolution; converted the first time (1 ms at 1280x720), then kept."""
        return self.pixels if self.pixels.ndim == 3 else _i420_to_bgr(self.planes)

    @cached_property
    def small(self) -> np.ndarray:
        """uint8 (h, w, 3) BGR, the whole picture at most `SMALL_SIDE_PX` wide and high; scale is w / W."""
        import cv2

        width, height = self.size_px
        scale = min(1.0, SMALL_SIDE_PX / max(width, height))
        if scale == 1:
            return self.image
        if self.pixels.ndim == 3:
            return cv2.resize(self.pixels, (round(width * scale), round(height * scale)), interpolation=cv2.INTER_AREA)
        # Planes are made small before colour is made of them: a quarter of the work.
        size = (round(width * scale / 2), round(height * scale / 2))
        luma = cv2.resize(self.planes[0], (2 * size[0], 2 * size[1]), interpolation=cv2.INTER_AREA)
        chroma = [cv2.resize(plane, size, interpolation=cv2.INTER_AREA) for plane in self.planes[1:]]
        return _i420_to_bgr((luma, *chroma))

    def crop(self, x1: int, y1: int, x2: int, y2: int) -> np.ndarray:
        """uint8 BGR at native resolution of pixels x1 <= x < x2, y1 <= y < y2, cut at the picture's edge."""
        width, height = self.size_px
        x1, y1, x2, y2 = max(int(x1), 0), max(int(y1), 0), min(int(x2), width), min(int(y2), height)
        if x2 <= x1 or y2 <= y1:
            return np.zeros((0, 0, 3), np.uint8)
        if self.pixels.ndim == 3 or "image" in self.__dict__:
            return self.image[y1:y2, x1:x2]
        # Chroma comes in pairs of pixels, so the cut is made on even ones and trimmed afterwards.
        left, top, right, bottom = x1 // 2, y1 // 2, (x2 + 1) // 2, (y2 + 1) // 2
        luma, *chroma = self.planes
        piece = _i420_to_bgr(
            (luma[2 * top : 2 * bottom, 2 * left : 2 * right], *(p[top:bottom, left:right] for p in chroma))
        )
        return piece[y1 - 2 * top : y2 - 2 * top, x1 - 2 * left : x2 - 2 * left]

    @property
    def planes(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Views on luma (H, W) and chroma (H / 2, W / 2) twice; only where `pixels` is I420."""
        width, height = self.size_px
        quarter = (height // 2) * (width // 2)
        flat = self.pixels.reshape(-1)
        blue, red = flat[height * width :][:quarter], flat[height * width + quarter :][:quarter]
        half = (height // 2, width // 2)
        return self.pixels[:height], blue.reshape(half), red.reshape(half)


def _i420_to_bgr(planes: tuple[np.ndarray, np.ndarray, np.ndarray]) -> np.ndarray:
    """BT.601, limited range: what video without a colour tag means."""
    import cv2

    flat = np.concatenate([np.ascontiguousarray(plane).reshape(-1) for plane in planes])
    height, width = planes[0].shape
    return cv2.cvtColor(flat.reshape(height * 3 // 2, width), cv2.COLOR_YUV2BGR_I420)


@dataclass(frozen=True)
class FrameSet:
    """The frames of all cameras that fall into one fixed window; a camera that gave none is absent from `frames`."""

    index: int
    window_start_ns: int
    window_ns: int
    frames: dict[str, Frame]

    @property
    def mid_ns(self) -> int:
        return self.window_start_ns + self.window_ns // 2
