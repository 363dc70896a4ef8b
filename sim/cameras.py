# SPDX-License-Identifier: AGPL-3.0-or-later
"""The simulated cameras: when each exposes, what its clock says then, and what its sensor does to the picture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from calibration.layout import CameraSpec
from pipeline.errors import ScenarioError
from sim.behaviour.actions import Range
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


def schedule(
    scenario: Scenario, seed: int, camera: CameraSpec, duration_s: float, dark_s: tuple[float, float] | None = None
) -> Schedule:
    """When a camera takes its pictures: nominal times, jittered, some dropped, stamped by a clock that is off.

    `dark_s`: from when to when it gives none at all.
    """
    faults = scenario.camera
    rng = rng_for(scenario.name, seed, f"clock {camera.id}")
    nominal = np.arange(int(np.floor(duration_s * camera.fps))) / camera.fps
    offset_s = rng.uniform(*faults.offset_ms) / 1000
    jitter_s = np.clip(rng.normal(0, faults.jitter_ms / 1000, len(nominal)), -0.45 / camera.fps, 0.45 / camera.fps)
    kept = rng.random(len(nominal)) >= faults.drop_rate
    at_s = np.maximum(nominal + jitter_s, 0.0)
    drift = rng_for(scenario.name, seed, f"drift {camera.id}").uniform(*faults.drift_ms) / 1000 / max(duration_s, 1e-9)
    pts = np.round((at_s * (1 + drift) + offset_s) * TICKS_PER_S).astype(np.int64)
    kept &= pts >= 0
    if dark_s is not None:
        kept &= (at_s < dark_s[0]) | (at_s >= dark_s[1])
    kept[1:] &= np.diff(pts) > 0
    return Schedule(camera.id, at_s[kept], pts[kept])


def outage(scenario: Scenario, seed: int, camera_ids: Sequence[str], first_pick_s: float | None) -> dict:
    """Camera id -> (from, to) in seconds in which it gives no pictures; empty where the scenario has no outage."""
    wanted = scenario.camera.outage
    if wanted is None:
        return {}
    if wanted.camera != "any" and wanted.camera not in camera_ids:
        raise ScenarioError(f"{scenario.name}: camera.outage: the store has no camera {wanted.camera!r}")
    rng = rng_for(scenario.name, seed, "outage")

    def drawn(value: Range) -> float:
        return float(rng.uniform(*value)) if isinstance(value, tuple) else float(value)

    camera = str(rng.choice(sorted(camera_ids))) if wanted.camera == "any" else wanted.camera
    for_s = drawn(wanted.for_s)
    from_s = (first_pick_s or 0.0) - for_s / 2 if wanted.from_s is None else drawn(wanted.from_s)
    return {camera: (max(from_s, 0.0), from_s + for_s)}


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
