# SPDX-License-Identifier: AGPL-3.0-or-later
"""Pictures that go into a video come out of it alike."""

from __future__ import annotations

import av
import numpy as np
import pytest

from sim.video import VideoWriter, to_yuv420

COLOURS = [(0, 0, 0), (255, 255, 255), (255, 0, 0), (0, 255, 0), (0, 0, 255), (120, 60, 200), (35, 190, 180)]


@pytest.mark.parametrize("bgr", COLOURS)
def test_colours_come_back_from_the_planes(bgr):
    image = np.tile(np.array(bgr, np.uint8), (32, 48, 1))
    frame = av.VideoFrame.from_ndarray(to_yuv420(image), format="yuv420p")
    assert frame.to_ndarray(format="bgr24")[16, 24] == pytest.approx(bgr, abs=3)


def test_the_colour_of_four_pixels_is_their_mean():
    """Else noise in the colours is twice as strong."""
    image = np.zeros((2, 2, 3), np.uint8)
    image[0, 0], image[1, 1] = (255, 0, 0), (0, 0, 255)
    even = np.full((2, 2, 3), image.reshape(4, 3).mean(axis=0).round(), np.uint8)
    assert to_yuv420(image)[2].tolist() == pytest.approx(to_yuv420(even)[2].tolist(), abs=1)


def test_a_video_has_the_pictures_and_stamps_that_were_written(tmp_path):
    y, x = np.mgrid[0:96, 0:128]
    images = [
        np.stack([x, y, 128 + 60 * np.sin((x + y) / 20 + k)], axis=-1).clip(0, 255).astype(np.uint8) for k in range(5)
    ]
    writer = VideoWriter(tmp_path / "a.mp4", (128, 96), 10)
    stamps = [0, 9_001, 17_990, 27_000, 36_100]
    for image, pts in zip(images, stamps, strict=True):
        writer.write(image, pts)
    writer.close()
    with av.open(str(tmp_path / "a.mp4")) as container:
        frames = list(container.decode(video=0))
    assert [f.pts for f in frames] == stamps and writer.frames == 5
    for frame, image in zip(frames, images, strict=True):
        error = frame.to_ndarray(format="bgr24").astype(float) - image
        assert abs(error.mean()) < 2 and error.std() < 6
