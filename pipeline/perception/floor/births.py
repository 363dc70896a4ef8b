# SPDX-License-Identifier: AGPL-3.0-or-later
"""Candidates from the boxes that nobody claimed: the sharpest first, and at most one of each other camera to it."""

from __future__ import annotations

import numpy as np

from pipeline.messages import Detections
from pipeline.perception.body import floor_points
from pipeline.perception.floor.person import Moment, Person, begin
from pipeline.perception.floor.scene import Scene
from pipeline.perception.floor.settings import FloorSettings
from pipeline.perception.floor.sightings import Sightings
from pipeline.perception.floor.small import solve


def born(seen: Sightings, free: np.ndarray, scene: Scene, now_ns: int, s: FloorSettings) -> list[Person]:
    """New candidates; the boxes they take are cleared in `free`."""
    left = np.flatnonzero(free & ~seen.twin & (seen.score >= s.association.sure_score))
    if not len(left):
        return []
    information, vector, theta, covariance, sigma_m = _places(seen, left, scene, s)
    usable = scene.zones.outside_m(theta[:, :2]) <= np.maximum(s.outside_m, np.minimum(1.5 * sigma_m, 0.75))
    waiting = [k for k in np.lexsort((seen.camera[left], sigma_m)) if usable[k]]
    out = []
    while waiting:
        first = waiting.pop(0)
        if sigma_m[first] > s.vague_m:
            break
        members = [first]
        mean, spread = theta[first], covariance[first]
        while True:
            taken = {seen.camera[left[m]] for m in members}
            others = [k for k in waiting if seen.camera[left[k]] not in taken]
            if not others:
                break
            away = theta[others] - mean
            d2 = np.einsum("ki,ki->k", away, np.linalg.solve(covariance[others] + spread, away[..., None])[..., 0])
            if d2.min() > s.join_d2:
                break
            members.append(others[int(d2.argmin())])
            waiting.remove(members[-1])
            mean, spread = _together(information[members], vector[members], s)
        person = begin(mean, spread, now_ns, bool(seen.posed[left[members]].any()), s.body)
        if not scene.zones.on_floor(person.xy_m[None])[0]:
            continue
        person.at_door = scene.zones.entering(person.xy_m)
        person.hits, person.evidence = 1, float(len(members))
        person.views = person.expected = person.quality = float(len(members))
        person.boxes = {int(seen.camera[left[m]]): int(left[m]) for m in members}
        person.sources = {scene.bank.ids[seen.camera[left[m]]]: int(seen.row[left[m]]) for m in members}
        person.trail = [
            Moment(now_ns, person.mean, person.covariance, person.mean, person.covariance, np.eye(6), True)
        ]  # fmt: skip
        free[left[members]] = False
        out.append(person)
    return out


def _places(seen: Sightings, left: np.ndarray, scene: Scene, s: FloorSettings) -> tuple[np.ndarray, ...]:
    """Information (K, 3, 3), vector (K, 3), theta (K, 3), covariance (K, 3, 3), spread on the floor (K,) of boxes."""
    n = len(left)
    parts = [np.zeros((n, 3, 3)), np.zeros((n, 3)), np.zeros((n, 3)), np.zeros((n, 3, 3)), np.zeros(n)]
    for c, camera_id in enumerate(scene.bank.ids):
        mine = np.flatnonzero(seen.camera[left] == c)
        if not len(mine):
            continue
        rows = left[mine]
        people = Detections(seen.box_px[rows], seen.score[rows].astype(np.float32), seen.keypoints_px[rows])
        points = floor_points(scene.cameras[camera_id], people, s.body.variance(seen.score[rows], seen.posed[rows]))
        for array, values in zip(
            parts, (points.information, points.vector, points.theta, points.covariance, points.floor_sigma_m),
            strict=True,
        ):  # fmt: skip
            array[mine] = values
    return tuple(parts)


def _together(information: np.ndarray, vector: np.ndarray, s: FloorSettings) -> tuple[np.ndarray, np.ndarray]:
    """Theta (3,) and covariance (3, 3) of one person seen by several cameras."""
    mean = np.array([0.0, 0.0, s.body.height_m])
    prior = np.diag([1e-6, 1e-6, 1 / s.body.height_sigma_m**2])
    posture = np.diag([0.06**2, 0.06**2, 0.0])
    theta, covariance, _ = solve(mean, prior, information.sum(0), vector.sum(0))
    return theta, covariance + posture
