# SPDX-License-Identifier: AGPL-3.0-or-later
"""Where somebody stands, from what one camera shows of them."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline.messages import Detections
from pipeline.perception.body import floor_points

PLACE = np.array([3.0, 2.2])


def test_a_whole_person_is_found_to_a_few_centimetres_whatever_their_height(world):
    for height_m in (1.45, 1.7, 1.95):
        for camera_id, camera in world.layout.camera_by_id.items():
            points = floor_points(camera, world.detect(camera_id, [PLACE], heights_m=height_m))
            assert points.theta[0, :2] == pytest.approx(PLACE, abs=0.15)
            assert points.theta[0, 2] == pytest.approx(height_m, abs=0.12)


def test_hidden_feet_leave_the_place_and_widen_it_along_the_view(world):
    camera = world.layout.camera_by_id["cam-a"]
    whole = floor_points(camera, world.detect("cam-a", [PLACE]))
    half = floor_points(camera, world.detect("cam-a", [PLACE], hidden_below_m=1.0))
    assert np.linalg.norm(half.theta[0, :2] - PLACE) < 0.35
    assert half.floor_sigma_m[0] > 1.5 * whole.floor_sigma_m[0]
    values, vectors = np.linalg.eigh(half.covariance[0, :2, :2])
    view = PLACE - camera.position_m[:2]
    assert abs(vectors[:, 1] @ view) / np.linalg.norm(view) > 0.95
    assert values[1] > 2 * values[0]


def test_two_cameras_add_up_where_each_sees_a_head_alone(world):
    information, vector = np.zeros((3, 3)), np.zeros(3)
    for camera_id in ("cam-a", "cam-b"):
        people = world.detect(camera_id, [PLACE], heights_m=1.5, hidden_below_m=1.3)
        points = floor_points(world.layout.camera_by_id[camera_id], people)
        information += points.information[0]
        vector += points.vector[0]
    theta = np.linalg.solve(information, vector)
    assert theta[:2] == pytest.approx(PLACE, abs=0.15)
    assert theta[2] == pytest.approx(1.5, abs=0.15)


def boxes_of(people: Detections) -> Detections:
    return Detections(people.xyxy_px, people.score, np.zeros_like(people.keypoints_px))


def test_a_box_alone_stands_on_its_lower_edge(world):
    for camera_id, camera in world.layout.camera_by_id.items():
        points = floor_points(camera, boxes_of(world.detect(camera_id, [PLACE])))
        assert points.theta[0, :2] == pytest.approx(PLACE, abs=0.3)


def test_a_box_alone_that_is_cut_off_low_is_not_taken_for_a_dwarf(world):
    camera = world.layout.camera_by_id["cam-a"]
    points = floor_points(camera, boxes_of(world.detect("cam-a", [PLACE], hidden_below_m=1.0)))
    feet = camera.to_floor(world.detect("cam-a", [PLACE], hidden_below_m=1.0).xyxy_px[0, [0, 3]])
    assert np.linalg.norm(feet - PLACE) > 0.9, "the lower edge is far from the feet"
    assert np.linalg.norm(points.theta[0, :2] - PLACE) < 0.6
    assert points.floor_sigma_m[0] > 0.3


def test_a_box_without_a_free_edge_says_nothing(world):
    camera = world.layout.camera_by_id["cam-a"]
    full = Detections(
        np.array([[0, 0, 1280, 720]], np.float32), np.ones(1, np.float32), np.zeros((1, 17, 3), np.float32)
    )
    assert not floor_points(camera, full).usable[0]


def test_nobody(world):
    points = floor_points(world.layout.camera_by_id["cam-a"], Detections.empty())
    assert points.theta.shape == (0, 3) and points.floor_sigma_m.shape == (0,)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(x=st.floats(1.5, 4.5), y=st.floats(1.2, 3.0), height_m=st.floats(1.3, 2.0))
def test_the_stated_spread_covers_the_error(world, x, y, height_m):
    people = world.detect("cam-c", [(x, y)], heights_m=height_m)
    if not len(people):
        return
    points = floor_points(world.layout.camera_by_id["cam-c"], people)
    error = points.theta[0, :2] - (x, y)
    assert error @ np.linalg.solve(points.covariance[0, :2, :2], error) < 14
