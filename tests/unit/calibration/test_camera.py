# SPDX-License-Identifier: AGPL-3.0-or-later
"""The camera and the shelf faces as mappings: there and back again."""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from calibration.camera import look_at
from calibration.layout import CameraSpec, Gondola

# The machine may be busy: how long one example takes says nothing.
settings.register_profile("geometry", deadline=None, max_examples=60)
settings.load_profile("geometry")

unit = st.floats(0.02, 0.98)
metres = st.floats(-3, 3)


@st.composite
def cameras(draw):
    position = draw(st.tuples(metres, metres, st.floats(1.5, 4)))
    target = draw(st.tuples(metres, metres, st.floats(0, 1.2)))
    assume(np.linalg.norm(np.subtract(position, target)) > 0.3)
    focal = draw(st.floats(500, 1500))
    distortion = (draw(st.floats(-0.15, 0.1)), draw(st.floats(0, 0.03)), draw(st.floats(-1e-3, 1e-3)), 0.0, 0.0)
    roll = draw(st.floats(-30, 30))
    camera = CameraSpec(
        id="c", focal_px=(focal, focal * draw(st.floats(0.95, 1.05))), distortion=distortion, position_m=position,
        look_at_m=target, roll_deg=roll,
    ).camera()  # fmt: skip
    # Beyond the radius where the polynomial turns back a pixel has no ray; real lenses keep the corners inside.
    r = min(camera.valid_radius, 4.0)
    assume(r * (1 + distortion[0] * r**2 + distortion[1] * r**4) > 1.15 * np.hypot(640, 360) / focal)
    return camera


@given(cameras(), unit, unit)
def test_a_pixel_cast_to_the_floor_projects_back_to_the_pixel(camera, u, v):
    pixel = np.array([u * camera.size_px[0], v * camera.size_px[1]])
    floor = camera.to_floor(pixel)
    assume(np.isfinite(floor).all() and np.linalg.norm(floor - camera.position_m[:2]) < 30)
    assert camera.project([*floor, 0]) == pytest.approx(pixel, abs=0.05)


@given(cameras(), unit, unit, st.floats(0.3, 8), st.floats(-1, 1), st.floats(-1, 1))
def test_any_plane_through_a_seen_point_gives_the_point_back(camera, u, v, distance, nx, ny):
    pixel = np.array([u * camera.size_px[0], v * camera.size_px[1]])
    ray = camera.rays(pixel)
    point = camera.position_m + distance * ray
    normal = np.array([nx, ny, 0.3])
    assume(abs(ray @ normal) > 0.05)
    assert camera.to_plane(camera.project(point), point, normal) == pytest.approx(point, abs=2e-3 * distance + 1e-4)


@given(cameras(), st.floats(0.5, 10))
def test_what_is_behind_the_camera_has_no_pixel(camera, distance):
    behind = camera.position_m - distance * camera.rotation[2]
    assert np.isnan(camera.project(behind)).all()
    assert not camera.in_view(behind)
    assert camera.depth_m(behind) == pytest.approx(-distance)


@given(cameras())
def test_the_floor_homography_is_the_projection_without_the_lens(camera):
    target = camera.to_floor(np.array([640.0, 360.0]))
    assume(np.isfinite(target).all())
    straight = CameraSpec(
        id="s", focal_px=(camera.matrix[0, 0], camera.matrix[1, 1]), position_m=tuple(camera.position_m),
        look_at_m=(*target, 0),
    ).camera()  # fmt: skip
    homogeneous = straight.floor_homography @ [*target, 1]
    assert homogeneous[:2] / homogeneous[2] == pytest.approx(straight.project([*target, 0]), abs=1e-6)


def test_strong_distortion_does_not_fold_far_points_into_the_picture():
    spec = CameraSpec(
        id="c", focal_px=(600, 600), distortion=(-0.3, 0, 0, 0, 0), position_m=(0, 0, 2), look_at_m=(2, 0, 2)
    )
    assert not spec.camera().in_view(np.array([0.05, 3.0, 2.0]))


def test_looking_straight_down_keeps_a_right_handed_frame():
    rotation = look_at(np.array([1.0, 1, 2.5]), np.array([1.0, 1, 0]))
    assert rotation @ rotation.T == pytest.approx(np.eye(3))
    assert np.linalg.det(rotation) == pytest.approx(1)


def test_a_camera_at_its_own_target_is_refused():
    with pytest.raises(ValueError, match="own position"):
        look_at(np.ones(3), np.ones(3))


@given(st.tuples(metres, metres), st.floats(-360, 360), metres, metres, st.floats(0, 2.5))
def test_face_and_world_coordinates_are_inverse(origin, facing, along, out, up):
    gondola = Gondola(
        id="g", origin_m=origin, facing_deg=facing, width_m=1, height_m=2, depth_m=0.4,
        shelves=[{"id": "s", "height_m": 0.3, "depth_m": 0.4, "clearance_m": 0.3, "slots": []}],
    )  # fmt: skip
    world = gondola.to_world(along, out, up)
    assert gondola.to_face(world) == pytest.approx([along, out, up], abs=1e-9)
    # A shopper in front of the face who looks at it has `right` at the right hand.
    assert np.cross([0, 0, 1], gondola.right) == pytest.approx(-gondola.normal)
