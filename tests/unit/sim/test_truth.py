# SPDX-License-Identifier: AGPL-3.0-or-later
"""Boxes, key points and visibility of people in pictures, and what stands before them."""

import numpy as np
import pytest

from calibration.camera import Camera, look_at
from calibration.layout import load_layout
from sim.occluders import layout_depth_m
from sim.people.state import PosedBody
from sim.stage import STORES
from sim.truth import visible_boxes


def camera_at(position_m, target_m, focal_px=800.0) -> Camera:
    position = np.array(position_m, float)
    matrix = np.array([[focal_px, 0, 639.5], [0, focal_px, 359.5], [0, 0, 1]])
    return Camera("cam", (1280, 720), matrix, np.zeros(5), look_at(position, np.array(target_m, float)), position)


def ball(centre_m, radius_m=0.3, name="ball") -> PosedBody:
    """A sphere of triangles, all key points in its middle but the nose, which is on its -x side."""
    u, v = np.meshgrid(
        np.linspace(0, 2 * np.pi, 80, endpoint=False), np.linspace(0.02, np.pi - 0.02, 60), indexing="ij"
    )
    normals = np.stack([np.cos(u) * np.sin(v), np.sin(u) * np.sin(v), np.cos(v)], -1).reshape(-1, 3)
    i, j = np.meshgrid(np.arange(80), np.arange(59), indexing="ij")
    corner = lambda a, b: ((a % 80) * 60 + b).ravel()  # noqa: E731
    faces = np.concatenate(
        [
            np.stack([corner(i, j), corner(i, j + 1), corner(i + 1, j)], -1),
            np.stack([corner(i + 1, j), corner(i, j + 1), corner(i + 1, j + 1)], -1),
        ]
    ).astype(np.int32)
    keypoints = np.tile(np.array(centre_m, float), (17, 1))
    keypoints[0, 0] -= radius_m
    vertices = (np.array(centre_m) + radius_m * normals).astype(np.float32)
    return PosedBody(name, vertices, normals.astype(np.float32), vertices * 0, faces, keypoints, np.zeros((2, 4, 4)))


CAMERA = camera_at((0, 0, 1), (5, 0, 1))


def test_a_body_in_the_open_is_seen_whole():
    found = visible_boxes(CAMERA, [ball((4, 0, 1))])
    half = 800 * 0.3 / np.sqrt(4**2 - 0.3**2)
    np.testing.assert_allclose(found.xyxy_px[0], [639.5 - half, 359.5 - half, 639.5 + half, 359.5 + half], atol=3)
    assert found.visible[0] > 0.97
    assert found.keypoints_visible[0, 0] == 2


def test_the_far_side_of_a_body_hides_its_key_points():
    found = visible_boxes(camera_at((8, 0, 1), (0, 0, 1)), [ball((4, 0, 1))])
    assert found.keypoints_visible[0, 0] == 1


@pytest.mark.parametrize(("shift_m", "low", "high"), [(0.0, 0.0, 0.02), (0.3, 0.35, 0.65), (0.7, 0.97, 1.0)])
def test_somebody_in_front_hides_what_is_behind(shift_m, low, high):
    near, far = ball((2, 0, 1), 0.3), ball((4, 2 * shift_m, 1), 0.3)
    found = visible_boxes(CAMERA, [far, near])
    assert list(found.index) == [0, 1]
    assert low <= found.visible[0] <= high
    assert found.visible[1] > 0.97
    if shift_m == 0.3:  # what is left of it is narrower than it is
        assert np.ptp(found.xyxy_px[0, ::2]) < 0.8 * np.ptp(found.full_xyxy_px[0, ::2])


def test_what_stands_still_hides_too_at_any_resolution():
    for cells in (1, 4):
        depth = np.full((720 // cells, 1280 // cells), np.inf, np.float32)
        depth[:, : 640 // cells] = 3.0
        found = visible_boxes(CAMERA, [ball((4, 0, 1))], depth)
        assert 0.4 < found.visible[0] < 0.6
        assert found.xyxy_px[0, 0] == pytest.approx(639.5, abs=8)


def test_a_body_half_out_of_the_picture_is_half_visible():
    camera = camera_at((0, 0, 1), (5, 0, 1))
    sideways = 4 * 639.5 / 800
    found = visible_boxes(camera, [ball((4, sideways, 1))])
    assert 0.4 < found.visible[0] < 0.6
    assert found.xyxy_px[0, 0] == pytest.approx(0, abs=3)
    assert set(found.keypoints_visible[0]) <= {0, 1, 2}


def test_who_is_out_of_the_picture_or_behind_the_camera_has_no_row():
    found = visible_boxes(CAMERA, [ball((-4, 0, 1)), ball((4, 9, 1))])
    assert len(found.index) == 0 and found.xyxy_px.shape == (0, 4) and found.keypoints_px.shape == (0, 17, 2)


def test_shelves_and_the_wall_beside_the_door_stand_in_the_way():
    layout = load_layout(STORES / "nanostore" / "layout.yaml")
    camera = layout.camera_by_id["cam8"]
    depth = layout_depth_m(camera, layout)
    assert depth.shape == (180, 320)

    def free(point_m) -> bool:
        x, y = np.rint(camera.project(np.array(point_m)) // 4).astype(int)
        return bool(camera.depth_m(np.array(point_m)) < depth[y, x])

    assert free((2.5, 1.2, 0.5))  # in the aisle
    assert free((0.1, 0.9, 1.0))  # in the door
    assert not free((-0.3, 2.3, 1.0))  # behind the wall
    gondola = layout.gondolas[1]
    assert not free(gondola.to_world(0.5, -gondola.depth_m - 0.05, 1.0))  # behind a shelf
