# SPDX-License-Identifier: AGPL-3.0-or-later
from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.messages import LEFT_WRIST, RIGHT_WRIST
from pipeline.shelf.hands import LEFT_ELBOW, RIGHT_ELBOW, HandTracker, Rays, triangulate
from pipeline.shelf.settings import ShelfSettings

SETTINGS = ShelfSettings()
STEP_NS = 100_000_000


def rays_to(cameras, point, rng, sigma_px=0.0):
    pixels = [c.project(point) + rng.normal(0, sigma_px, 2) for c in cameras]
    return Rays(
        np.array([c.position_m for c in cameras]),
        np.array([c.rays(p) for c, p in zip(cameras, pixels, strict=True)]),
        np.array([5 / c.matrix[0, 0] for c in cameras]),
    )


def keypoints(layout, joints, rng, sigma_px=3.0, confidence=0.9):
    """camera id -> (17, 3) of joints {index: world point}; joints outside a picture are unknown."""
    out = {}
    for camera_id, camera in layout.camera_by_id.items():
        points = np.zeros((17, 3))
        for joint, place in joints.items():
            if camera.in_view(place):
                points[joint] = [*(camera.project(place) + rng.normal(0, sigma_px, 2)), confidence]
        out[camera_id] = points
    return out


def standing(palm, side=1.0):
    """Joints of somebody at x = 2.8, y = 1.8 whose left palm is at `palm`; the right hand hangs."""
    palm = np.asarray(palm, float)
    elbow = np.array([2.8, 1.75, 1.1])
    forearm = (palm - elbow) / np.linalg.norm(palm - elbow)
    wrist = palm - SETTINGS.palm_beyond_wrist_m * forearm
    # An elbow as far from the wrist as a forearm is long.
    elbow = wrist - 0.26 * forearm
    return {
        LEFT_WRIST: wrist, LEFT_ELBOW: elbow,
        RIGHT_WRIST: np.array([2.55, 1.75, 0.8]), RIGHT_ELBOW: np.array([2.55, 1.72, 1.06]),
    }  # fmt: skip


@settings(max_examples=40, deadline=None)
@given(x=st.floats(2.0, 3.6), y=st.floats(1.2, 2.4), z=st.floats(0.3, 1.6))
def test_triangulates_exactly_without_noise(layout, x, y, z):
    cameras = list(layout.camera_by_id.values())
    point, inliers = triangulate(rays_to(cameras, np.array([x, y, z]), np.random.default_rng(0)), 3.5)
    assert inliers.all()
    np.testing.assert_allclose(point, [x, y, z], atol=1e-4)


def test_rays_to_another_hand_are_left_out(layout, rng):
    cameras = list(layout.camera_by_id.values())
    truth = np.array([2.8, 2.3, 1.1])
    good = rays_to(cameras[:5], truth, rng, 2.0)
    wrong = rays_to(cameras[5:], truth + [0.5, -0.4, -0.3], rng, 2.0)
    names = ("origin_m", "direction", "sigma_rad")
    rays = Rays(*(np.concatenate([getattr(good, n), getattr(wrong, n)]) for n in names))
    point, inliers = triangulate(rays, 3.5)
    assert inliers.tolist() == [True] * 5 + [False] * 3
    assert np.linalg.norm(point - truth) < 0.02


def test_two_rays_from_one_place_fix_no_point(layout, rng):
    camera = layout.camera_by_id["cam1"]
    assert triangulate(rays_to([camera, camera], np.array([2.8, 2.3, 1.1]), rng), 3.5) is None


def test_palm_lies_beyond_the_wrist(layout, rng):
    tracker = HandTracker(layout.camera_by_id, SETTINGS)
    palm = np.array([2.9, 2.35, 1.2])
    for i in range(8):
        hands = tracker.update("t1", i * STEP_NS, np.array([2.8, 1.75]), keypoints(layout, standing(palm), rng))
    assert np.linalg.norm(hands["left"].palm_m - palm) < 0.03
    assert 0.06 < np.linalg.norm(hands["left"].palm_m - hands["left"].wrist_m) < 0.12
    assert hands["left"].cameras >= 4


def test_follows_a_reaching_hand(layout, rng):
    tracker = HandTracker(layout.camera_by_id, SETTINGS)
    errors = []
    for i in range(30):
        out = 0.5 * np.sin(i / 30 * np.pi)  # half a metre to the shelf and back in three seconds
        palm = np.array([2.9, 1.9 + out, 1.2])
        hands = tracker.update("t1", i * STEP_NS, np.array([2.8, 1.6]), keypoints(layout, standing(palm), rng))
        errors.append(np.linalg.norm(hands["left"].palm_m - palm))
    assert np.median(errors[3:]) < 0.03
    assert max(errors[3:]) < 0.08


def test_sides_mixed_up_in_some_cameras_are_put_right(layout, rng):
    tracker = HandTracker(layout.camera_by_id, SETTINGS)
    palm = np.array([2.9, 2.35, 1.2])
    for i in range(10):
        seen = keypoints(layout, standing(palm), rng)
        for camera_id in ("cam2", "cam5", "cam7"):
            seen[camera_id] = seen[camera_id][[*range(7), 8, 7, 10, 9, *range(11, 17)]]
        hands = tracker.update("t1", i * STEP_NS, np.array([2.8, 1.75]), seen)
    assert np.linalg.norm(hands["left"].palm_m - palm) < 0.03
    assert hands["left"].cameras >= 6


def test_one_camera_carries_a_hand_on_for_a_while(layout, rng):
    tracker = HandTracker(layout.camera_by_id, SETTINGS)
    palm = np.array([2.9, 2.35, 1.2])
    for i in range(12):
        seen = keypoints(layout, standing(palm), rng)
        if i >= 6:
            seen = {"cam2": seen["cam2"]}
        hands = tracker.update("t1", i * STEP_NS, np.array([2.8, 1.75]), seen)
    assert np.linalg.norm(hands["left"].palm_m - palm) < 0.10
    assert hands["left"].covariance_m2.trace() > 0.03**2


def test_an_unseen_hand_is_forgotten(layout, rng):
    tracker = HandTracker(layout.camera_by_id, SETTINGS)
    tracker.update("t1", 0, np.array([2.8, 1.75]), keypoints(layout, standing([2.9, 2.35, 1.2]), rng))
    assert tracker.update("t1", 2_000_000_000, np.array([2.8, 1.75]), {}) == {}


@pytest.mark.parametrize("sigma_px", [2.0, 5.0])
def test_stated_spread_covers_the_error(layout, sigma_px):
    inside = []
    for seed in range(20):
        rng = np.random.default_rng(seed)
        tracker = HandTracker(layout.camera_by_id, SETTINGS)
        palm = np.array([2.9, 2.3, 1.2])
        for i in range(5):
            seen = keypoints(layout, standing(palm), rng, sigma_px)
            hands = tracker.update("t", i * STEP_NS, np.array([2.8, 1.75]), seen)
        off = hands["left"].palm_m - palm
        inside.append(off @ np.linalg.solve(hands["left"].covariance_m2, off) < 7.81)  # chi2, 3 dof, 95 %
    assert np.mean(inside) >= 0.85
