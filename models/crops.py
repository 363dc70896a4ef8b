# SPDX-License-Identifier: AGPL-3.0-or-later
"""The one way to cut a crop for the product network, used in training and in the shop alike.

A crop is a square of whole native pixels around a point, scaled to `CROP_PX`. Products are some 20 to 40 pixels wide in
a frame of 1280x720; a window of `NATIVE_PX` shows them twice as large, which a network with stride 8 needs.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

CROP_PX = 320
NATIVE_PX = 160
PADDING_GREY = 114


@dataclass(frozen=True)
class CropWindow:
    """Where a crop lies in its frame: the square's top left corner and side, whole native pixels.

    Box coordinates count from the left and upper edge of the first pixel, as detection boxes do.
    """

    left: int
    top: int
    native_px: int

    @property
    def scale(self) -> float:
        """Crop pixels per frame pixel."""
        return CROP_PX / self.native_px

    def to_frame(self, xyxy_crop: np.ndarray) -> np.ndarray:
        """Boxes (..., 4) or points (..., 2) of the crop in the frame's pixels."""
        return np.asarray(xyxy_crop) / self.scale + self._offset(xyxy_crop)

    def to_crop(self, xyxy_frame: np.ndarray) -> np.ndarray:
        """Boxes (..., 4) or points (..., 2) of the frame in the crop's pixels; not clipped to the crop."""
        return (np.asarray(xyxy_frame) - self._offset(xyxy_frame)) * self.scale

    def _offset(self, values: np.ndarray) -> np.ndarray:
        return np.resize([self.left, self.top], np.shape(values)[-1])


def window_at(centre_px: np.ndarray, native_px: int = NATIVE_PX) -> CropWindow:
    """The window around a point of the frame. `native_px`: side, larger where the camera is nearer or finer."""
    left, top = np.round(np.asarray(centre_px, float) - native_px / 2).astype(int)
    return CropWindow(int(left), int(top), int(native_px))


def windows_over(xyxy_px: np.ndarray, native_px: int = NATIVE_PX, overlap: float = 0.25) -> list[CropWindow]:
    """The fewest equally spread windows that cover a box of the frame, neighbours sharing at least `overlap`."""
    x1, y1, x2, y2 = (float(v) for v in xyxy_px)
    return [
        window_at(np.array([x, y]), native_px)
        for y in _centres(y1, y2, native_px, overlap)
        for x in _centres(x1, x2, native_px, overlap)
    ]


def _centres(low: float, high: float, side: float, overlap: float) -> np.ndarray:
    if high - low <= side:
        return np.array([(low + high) / 2])
    count = int(np.ceil((high - low - side) / (side * (1 - overlap)))) + 1
    return np.linspace(low + side / 2, high - side / 2, count)


def cut(image: np.ndarray, window: CropWindow) -> np.ndarray:
    """uint8 (CROP_PX, CROP_PX, 3): the window's pixels, grey where it reaches beyond the frame."""
    height, width = image.shape[:2]
    x1, y1 = max(window.left, 0), max(window.top, 0)
    x2, y2 = min(window.left + window.native_px, width), min(window.top + window.native_px, height)
    if (x1, y1, x2, y2) == (
        window.left,
        window.top,
        window.left + window.native_px,
        window.top + window.native_px,
    ):
        native = image[y1:y2, x1:x2]
    else:
        native = np.full((window.native_px, window.native_px, 3), PADDING_GREY, np.uint8)
        if x2 > x1 and y2 > y1:
            native[y1 - window.top : y2 - window.top, x1 - window.left : x2 - window.left] = image[y1:y2, x1:x2]
    method = cv2.INTER_AREA if window.native_px > CROP_PX else cv2.INTER_LINEAR
    return cv2.resize(native, (CROP_PX, CROP_PX), interpolation=method)
