# SPDX-License-Identifier: AGPL-3.0-or-later
"""The simulated cameras: when each exposes, what its clock says then, and what its sensor does to the picture."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from calibration.layout import CameraSpec
from sim.behaviour.play import rng_for
from sim.behaviour.scenario import CameraFaults, Scenario
from sim.render.sensor import Sensor, SensorSettings

TICKS_PER_S = 90_000
"""Unit of the time stamps in the videos."""


@dataclass(frozen=True)
class Schedule:
    """The frames of one camera, N of them: `at_s` (N,) when the picture was taken, `pts` (N,) what its clock said."""

    camera_id: str
    at_s: np.ndarray
    pts: np.ndarray


def schedule(scenario: Scenario, seed: int, camera: CameraSpec, duration_s: float) -> Schedule:
    """When a camera takes its pictures: nominal times, jittered, some dropped, stamped by a clock that is off."""
    faults = scenario.camera
    rng = rng_for(scenario.name, seed, f"clock {camera.id}")
    nominal = np.arange(int(np.floor(duration_s * camera.fps))) / camera.fps
    offset_s = rng.uniform(*faults.offset_ms) / 1000
    jitter_s = np.clip(rng.normal(0, faults.jitter_ms / 1000, len(nominal)), -0.45 / camera.fps, 0.45 / camera.fps)
    kept = rng.random(len(nominal)) >= faults.drop_rate
    at_s = np.maximum(nominal + jitter_s, 0.0)
    pts = np.round((at_s + offset_s) * TICKS_PER_S).astype(np.int64)
    kept &= pts >= 0
    kept[1:] &= np.diff(pts) > 0
    return Schedule(camera.id, at_s[kept], pts[kept])


def sensor(scenario: Scenario, seed: int, camera: CameraSpec) -> Sensor:
    """The sensor of a camera with its own faults."""
    faults: CameraFaults = scenario.camera
    rng = rng_for(scenario.name, seed, f"sensor {camera.id}")
    blue, red = 1 + rng.uniform(-faults.white_balance, faults.white_balance, 2)
    settings = SensorSettings(
        exposure=float(rng.uniform(*faults.exposure)),
        noise=float(rng.uniform(*faults.noise)),
        blur_px=float(rng.uniform(*faults.blur_px)),
        flicker=float(rng.uniform(*faults.flicker)),
        white_balance=(float(blue), 1.0, float(red)),
    )
    return Sensor(settings, camera.id, camera.size_px, seed)
