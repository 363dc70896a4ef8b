# SPDX-License-Identifier: AGPL-3.0-or-later
"""Which pictures the network gets to see, and where its people are in the native picture."""

import numpy as np
import pytest

from pipeline.messages import Detections, Frame, FrameSet
from pipeline.perception.detector import PersonDetector

STEP_NS = 100_000_000


class BrightSpots:
    """Finds a person where the picture is bright: a network small enough to reason about."""

    parts = (0.375, 0.5)

    def __init__(self, score=1.0):
        self.score = score
        self.pictures = 0
        self.widths = []

    def infer(self, images):
        self.pictures += len(images)
        self.widths += [image.shape[1] for image in images]
        found = []
        for image in images:
            ys, xs = np.nonzero(image[..., 0] > 200)
            if not len(xs):
                found.append(Detections.empty())
                continue
            box = np.array([[xs.min(), ys.min(), xs.max() + 1, ys.max() + 1]], np.float32)
            keypoints = np.zeros((1, 17, 3), np.float32)
            keypoints[0, :, :2] = xs.mean(), ys.mean()
            found.append(Detections(box, np.full(1, self.score, np.float32), keypoints))
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


def test_a_camera_that_somebody_left_is_looked_at_twice_a_second_again_after_half_a_second():
    network = BrightSpots()
    run(PersonDetector(network), [with_person(40, k) for k in range(3)] + [empty(k) for k in range(37)])
    assert 3 + 5 + 6 <= network.pictures <= 3 + 6 + 8


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


def walks(lefts):
    return [with_person(left, k) for k, left in enumerate(lefts)]


def test_only_the_columns_around_somebody_are_looked_at_and_now_and_then_all():
    network = BrightSpots()
    looked = run(PersonDetector(network), walks(range(200, 600, 10)))
    assert network.widths[0] == 640 and 2 <= network.widths.count(640) <= 4  # of 4 seconds
    assert set(network.widths) == {640, 240}
    for k, people in enumerate(looked):  # and they are where they are in the whole picture
        assert people["cam1"].xyxy_px[0] == pytest.approx([200 + 10 * k, 200, 360 + 10 * k, 600], abs=2)
        assert people["cam1"].keypoints_px[0, 0, :2] == pytest.approx([279.5 + 10 * k, 399.5], abs=1.5)


def test_a_network_that_takes_no_parts_gets_whole_pictures():
    network = BrightSpots()
    network.parts = ()
    run(PersonDetector(network), walks(range(200, 400, 10)))
    assert set(network.widths) == {640}


def test_whoever_is_cut_off_by_the_part_is_looked_at_whole_in_the_same_window():
    class CutOff(BrightSpots):
        """Takes what it finds in a part for something that goes on beyond it."""

        def infer(self, images):
            found = super().infer(images)
            for image, people in zip(images, found, strict=True):
                if image.shape[1] < 640:
                    people.xyxy_px[:, 2] = image.shape[1]
            return found

    network = CutOff()
    looked = run(PersonDetector(network), walks(range(200, 240, 10)))
    assert network.widths == [640, 240, 640, 240, 640, 240, 640]
    assert looked[-1]["cam1"].xyxy_px[0] == pytest.approx([230, 200, 390, 600], abs=2)


def test_at_the_pictures_own_edge_nobody_is_cut_off():
    network = BrightSpots()
    run(PersonDetector(network), walks(range(1120, 1060, -5)))
    assert network.widths == [640] + 11 * [240]


def test_what_stood_there_from_the_first_picture_on_is_furniture_whatever_passes():
    network = BrightSpots(score=0.5)
    detector = PersonDetector(network)
    poster = [with_person(40, k) for k in range(40)]
    assert all(len(people) == 0 for looked in run(detector, poster) for people in looked.values())
    assert network.pictures <= 10  # and it keeps no camera awake
    passes = [with_person(40, k) for k in range(40, 60)]
    for k, picture in enumerate(passes):
        picture[300:400, 20 * k : 20 * k + 90] = 60  # somebody dark walks in front of it
    shown = run(detector, passes)
    assert all(len(people) == 0 for looked in shown for people in looked.values())


def test_somebody_surer_than_the_poster_who_stands_before_it_is_seen():
    network = BrightSpots(score=0.4)
    detector = PersonDetector(network)
    run(detector, [with_person(40, k) for k in range(40)])
    network.score = 0.6
    moved = [with_person(40 + 4 * (k % 2), k) for k in range(40, 60)]
    assert len(run(detector, moved)[-1]["cam1"]) == 1


def test_who_moves_is_never_furniture():
    looked = run(PersonDetector(BrightSpots(score=0.3)), [empty()] * 3 + walks(range(200, 300, 10)))
    assert [len(people["cam1"]) for people in looked[4:]] == [1] * (len(looked) - 4)


def test_a_network_that_is_sure_is_believed_at_once():
    [looked] = run(PersonDetector(BrightSpots(score=0.9)), [with_person(400)])
    assert len(looked["cam1"]) == 1
