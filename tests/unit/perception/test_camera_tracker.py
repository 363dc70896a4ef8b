# SPDX-License-Identifier: AGPL-3.0-or-later
"""Who is who within one camera."""

import numpy as np

from pipeline.messages import Detections
from pipeline.perception.camera_tracker import CameraTracker

STEP_NS = 100_000_000


def people(*lefts, score=0.9):
    boxes = np.array([[x, 50, x + 40, 170] for x in lefts], np.float32).reshape(-1, 4)
    return Detections(boxes, np.full(len(boxes), score, np.float32), np.zeros((len(boxes), 17, 3), np.float32))


def run(tracker, windows, start=1):
    return [tracker.update(people(*lefts), (start + k) * STEP_NS).tolist() for k, lefts in enumerate(windows)]


def test_ids_follow_people_and_not_rows():
    ids = run(CameraTracker(), [(10, 300), (14, 296), (292, 18), (288, 22)])
    assert ids == [[1, 2], [1, 2], [2, 1], [2, 1]]


def test_each_camera_counts_for_itself():
    first, second = CameraTracker(), CameraTracker()
    assert run(first, [(10, 300)] * 2)[-1] == [1, 2]
    assert run(second, [(10,)] * 2)[-1] == [1]


def test_a_weak_detection_keeps_its_track():
    tracker = CameraTracker()
    run(tracker, [(10,), (12,)])
    assert tracker.update(people(14, score=0.15), 3 * STEP_NS).tolist() == [1]
    assert CameraTracker().update(people(14, score=0.15), STEP_NS).tolist() == [-1]


def test_nobody_is_followed_over_a_long_pause_and_ids_are_not_used_again():
    tracker = CameraTracker()
    assert run(tracker, [(10,), (10,)])[-1] == [1]
    assert run(tracker, [(10,), (10,)], start=100)[-1] == [2]


def test_reset_begins_anew():
    tracker = CameraTracker()
    run(tracker, [(10, 300)] * 3)
    tracker.reset()
    assert run(tracker, [(10,)] * 2)[-1] == [1]


def test_nobody_in_view():
    assert CameraTracker().update(Detections.empty(), STEP_NS).shape == (0,)
