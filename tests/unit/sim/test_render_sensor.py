# SPDX-License-Identifier: AGPL-3.0-or-later
"""The sensor's faults are as large as asked for and the same every time."""

from __future__ import annotations

import numpy as np
import pytest

from sim.render.drawn import Drawn
from sim.render.sensor import Sensor, SensorSettings

PLAIN = dict(contrast=0.0, black_level=0.0, vignetting=0.0, noise=0.0, sharpen=0.0)
GREY = np.full((180, 320, 3), 100, np.uint8)


def test_a_sensor_without_faults_changes_nothing():
    assert (Sensor(SensorSettings(**PLAIN), "cam", (320, 180)).apply(GREY, 0, 0.0) == GREY).all()


@pytest.mark.parametrize("noise", [0.7, 2.0, 6.0])
def test_noise_has_the_deviation_asked_for_and_no_bias(noise):
    out = Sensor(SensorSettings(**PLAIN | {"noise": noise}), "cam", (320, 180)).apply(GREY, 3, 0.3).astype(float)
    assert out.std() == pytest.approx(noise, rel=0.25, abs=0.35)
    assert out.mean() == pytest.approx(100, abs=0.3)


def test_a_picture_depends_on_seed_camera_and_frame_alone():
    def taken(seed, camera_id, frame):
        return Sensor(SensorSettings(), camera_id, (320, 180), seed).apply(GREY, frame, frame / 10)

    first = taken(1, "a", 5)
    assert (taken(1, "a", 5) == first).all()
    for other in (taken(2, "a", 5), taken(1, "b", 5), taken(1, "a", 6)):
        assert (other != first).mean() > 0.3


def test_order_of_frames_does_not_matter():
    sensor = Sensor(SensorSettings(), "a", (320, 180), 1)
    frames = [sensor.apply(GREY, i, i / 10) for i in range(4)]
    again = [sensor.apply(GREY, i, i / 10) for i in reversed(range(4))]
    assert all((a == b).all() for a, b in zip(frames, reversed(again), strict=True))


def test_vignetting_darkens_the_corners_by_its_share_of_light():
    out = Sensor(SensorSettings(**PLAIN | {"vignetting": 0.36}), "cam", (320, 180)).apply(GREY, 0, 0.0)
    assert out[90, 160, 0] == pytest.approx(100, abs=1)
    assert out[0, 0, 0] == pytest.approx(100 * 0.8, abs=2)  # root of what is left of the light


def test_exposure_and_white_balance_act_on_light():
    settings = SensorSettings(**PLAIN | {"exposure": 1.44, "white_balance": (1.0, 1.0, 0.25)})
    assert Sensor(settings, "cam", (320, 180)).apply(GREY, 0, 0.0)[5, 5].tolist() == [120, 120, 60]


def test_flicker_follows_time():
    sensor = Sensor(SensorSettings(**PLAIN | {"flicker": 0.2, "flicker_hz": 1.0}), "cam", (320, 180))
    levels = [int(sensor.apply(GREY, 0, t)[0, 0, 0]) for t in (0.0, 0.25, 0.5, 0.75)]
    assert max(levels) - min(levels) > 8
    assert int(sensor.apply(GREY, 9, 1.0)[0, 0, 0]) == levels[0]


def drawn(rng, background, version, places):
    """A picture that differs from its background in some rectangles."""
    picture = background.copy()
    for left, top, right, bottom in places:
        picture[top:bottom, left:right] = rng.integers(0, 255, (bottom - top, right - left, 3))
    return Drawn(picture, background, version, tuple(places))


@pytest.mark.parametrize("settings", [{}, {"blur_px": 1.3, "saturation": 0.8}, {"sharpen": 0.0, "noise": 0.0}, PLAIN])
def test_working_out_only_what_changed_gives_the_whole_picture(settings):
    rng = np.random.default_rng(3)
    rooms = [rng.integers(0, 255, (180, 320, 3), np.uint8) for _ in range(2)]
    shots = [
        drawn(rng, rooms[0], 1, []),
        drawn(rng, rooms[0], 1, [(10, 20, 60, 90)]),
        drawn(rng, rooms[0], 1, [(0, 0, 30, 30), (20, 10, 50, 180), (300, 100, 320, 180)]),
        drawn(rng, rooms[1], 2, [(5, 5, 6, 6)]),
        drawn(rng, rooms[1], 2, []),
    ]
    lights = [1.0, 1.0, 1.0, 1.0, 0.6]
    sensor = Sensor(SensorSettings(**settings), "cam", (320, 180))
    for i, (shot, light) in enumerate(zip([*shots, *shots], [*lights, *lights], strict=True)):
        kept = shot.background.copy()
        assert (sensor.apply_over(shot, i, i / 10, light) == sensor.apply(shot.picture, i, i / 10, light)).all()
        assert (shot.background == kept).all()


def test_light_that_flickers_gives_the_whole_picture_too():
    rng = np.random.default_rng(4)
    sensor = Sensor(SensorSettings(flicker=0.2), "cam", (320, 180))
    for i in range(4):
        shot = drawn(rng, GREY, 1, [(40, 40, 80, 90)])
        assert (sensor.apply_over(shot, i, i / 10) == sensor.apply(shot.picture, i, i / 10)).all()
