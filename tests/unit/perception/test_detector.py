# SPDX-License-Identifier: AGPL-3.0-or-later
"""Which pictures the network gets to see, and where its people are in the native picture."""

import numpy as np
import pytest

from pipeline.messages import Detections, Frame, FrameSet
from pipeline.perception.detector import PersonDetector

STEP_NS = 100_000_000


class BrightSpots:
    """Finds a person where the picture is bright: a network small enough to reason about."""

    def __init__(self):
        self.pictures = 0

    def infer(self, images):
        self.pictures += len(images)
        found = []
        for image in images:
            ys, xs = np.nonzero(image[..., 0] > 200)
            if not len(xs):
                found.append(Detections.empty())
                continue
            box = np.array([[xs.min(), ys.min(), xs.max() + 1, ys.max() + 1]], np.float32)
            keypoints = np.zeros((1, 17, 3), np.float32)
            keypoints[0, :, :2] = xs.mean(), ys.mean()
            found.append(Detections(box, np.ones(1, np.float32), keypoints))
        return found


def empty(seed=0):
    noise = np.random.default_rng(seed).normal(0, 4, (720, 1280, 1))
    return np.clip(90 + noise, 0, 255).astype(np.uint8).repeat(3, 2)


def with_person(left, seed=0):
    image = empty(seed)
    image[200:600, left : left + 160] = 255
    return image


def run(detector, pictures, cameras=("cam1",)):
    looked = []
    for k, picture in enumerate(pictures):
        frames = {c: Frame(c, 10**18 + k * STEP_NS, picture) for c in cameras}
        looked.append(detector.update(FrameSet(k, 10**18 + k * STEP_NS, STEP_NS, frames)))
    return looked


def test_an_empty_still_camera_is_looked_at_twice_a_second():
    network = BrightSpots()
    run(PersonDetector(network), [empty(k) for k in range(40)])
    assert 8 <= network.pictures <= 10


def test_somebody_who_comes_in_is_seen_in_the_same_picture():
    looked = run(PersonDetector(BrightSpots()), [empty(k) for k in range(7)] + [with_person(40)])
    assert len(looked[-1]["cam1"]) == 1


def test_somebody_who_stands_still_is_looked_at_all_the_time():
    network = BrightSpots()
    run(PersonDetector(network), [with_person(40, k) for k in range(30)])
    assert network.pictures == 30


def test_without_the_gate_every_picture_is_looked_at():
    network = BrightSpots()
    run(PersonDetector(network, gated=False), [empty(k) for k in range(10)], ("cam1", "cam2"))
    assert network.pictures == 20


def test_places_are_pixels_of_the_native_picture():
    [looked] = run(PersonDetector(BrightSpots()), [with_person(400)])
    people = looked["cam1"]
    assert people.xyxy_px[0] == pytest.approx([400, 200, 560, 600], abs=2)
    assert people.keypoints_px[0, 0, :2] == pytest.approx([479.5, 399.5], abs=1.5)


def test_a_camera_without_a_picture_is_absent():
    assert PersonDetector(BrightSpots()).update(FrameSet(0, 0, STEP_NS, {})) == {}
