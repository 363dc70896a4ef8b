# SPDX-License-Identifier: AGPL-3.0-or-later
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.crops import CROP_PX, NATIVE_PX, cut, window_at, windows_over

coordinate = st.floats(-200, 2000, allow_nan=False)


@given(coordinate, coordinate, st.integers(40, 700), st.lists(coordinate, min_size=4, max_size=4))
def test_boxes_survive_the_way_into_a_crop_and_back(x, y, side, box):
    window = window_at(np.array([x, y]), side)
    assert window.to_frame(window.to_crop(np.array(box))) == pytest.approx(box, abs=1e-6)


def test_a_marked_square_is_where_the_window_says():
    frame = np.zeros((720, 1280, 3), np.uint8)
    frame[300:320, 500:530] = 255
    window = window_at(np.array([520.0, 310.0]))
    crop = cut(frame, window)
    assert crop.shape == (CROP_PX, CROP_PX, 3)
    rows, columns = np.nonzero(crop[..., 0] > 127)
    found = np.array([columns.min(), rows.min(), columns.max() + 1, rows.max() + 1])
    assert found == pytest.approx(window.to_crop(np.array([500, 300, 530, 320])), abs=1)


@pytest.mark.parametrize("centre", [(0, 0), (1279, 719), (-500, 100), (640, 5000)])
def test_windows_beyond_the_frame_are_grey_there(centre):
    crop = cut(np.full((720, 1280, 3), 200, np.uint8), window_at(np.array(centre, float)))
    assert crop.shape == (CROP_PX, CROP_PX, 3)
    assert (crop[0, 0] == 114).all() or (crop[-1, -1] == 114).all()


@given(coordinate, coordinate, st.floats(1, 900), st.floats(1, 900))
def test_windows_cover_the_box(x, y, width, height):
    windows = windows_over(np.array([x, y, x + width, y + height]))
    # Corners and middle of the box each lie in a window, up to the rounding to whole pixels.
    for px, py in [(x, y), (x + width, y), (x, y + height), (x + width, y + height), (x + width / 2, y + height / 2)]:
        assert any(
            w.left - 1 <= px <= w.left + NATIVE_PX + 1 and w.top - 1 <= py <= w.top + NATIVE_PX + 1 for w in windows
        )
