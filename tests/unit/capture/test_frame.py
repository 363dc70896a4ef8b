# SPDX-License-Identifier: AGPL-3.0-or-later
"""A frame shows the same picture whether it came as BGR or as the decoder's planes."""

import cv2
import numpy as np
import pytest

from pipeline.messages import SMALL_SIDE_PX, Frame


def picture(width: int, height: int) -> np.ndarray:
    y, x = np.mgrid[0:height, 0:width]
    image = np.stack([x * 255 // width, y * 255 // height, (x + y) * 255 // (width + height)], -1)
    return image.astype(np.uint8)


@pytest.mark.parametrize("size", [(1280, 720), (640, 360), (1000, 562), (720, 1280)])
def test_planes_and_bgr_show_the_same(size):
    image = picture(*size)
    planar = Frame("cam1", 1, cv2.cvtColor(image, cv2.COLOR_BGR2YUV_I420))
    plain = Frame("cam1", 1, image)
    assert planar.size_px == plain.size_px == size
    assert planar.image.shape == image.shape
    assert np.abs(planar.image.astype(int) - image).mean() < 3
    assert planar.small.shape == plain.small.shape
    assert max(planar.small.shape) <= SMALL_SIDE_PX
    assert np.abs(planar.small.astype(int) - plain.small).mean() < 3


@pytest.mark.parametrize("box", [(100, 50, 300, 200), (101, 51, 302, 203), (-20, -5, 77, 33), (600, 300, 9999, 9999)])
def test_a_crop_is_the_piece_of_the_image(box):
    planes = cv2.cvtColor(picture(640, 360), cv2.COLOR_BGR2YUV_I420)
    crop = Frame("cam1", 1, planes).crop(*box)
    x1, y1, x2, y2 = max(box[0], 0), max(box[1], 0), min(box[2], 640), min(box[3], 360)
    whole = Frame("cam1", 1, planes).image[y1:y2, x1:x2]
    assert crop.shape == whole.shape
    assert np.abs(crop.astype(int) - whole).max() <= 2


def test_a_crop_outside_is_empty():
    assert Frame("cam1", 1, picture(64, 48)).crop(100, 0, 120, 20).shape == (0, 0, 3)
