# SPDX-License-Identifier: AGPL-3.0-or-later
"""Random people in random poses: walking, standing, reaching, crouching, holding, carrying."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

import numpy as np

from sim.people.casting import random_person
from sim.people.crowd import Crowd
from sim.people.state import PersonState, PosedBody


class Cast:
    """People drawn once and posed often; dressing somebody costs more than posing them."""

    def __init__(self, rng: np.random.Generator, count: int) -> None:
        specs = [random_person(rng, f"person{i}") for i in range(count)]
        self._ids = [spec.person_id for spec in specs]
        self._heights_m = np.array([spec.shape.height_m for spec in specs])
        self._crowd = Crowd(specs)
        self._rng = rng

    def pose(self, places_xy_m: list[np.ndarray]) -> list[PosedBody]:
        """Different people at these places in random poses, their clothes in random colours as often as not."""
        rng = self._rng
        return self.pose_as([partial(random_state, rng, xy_m=xy) for xy in places_xy_m])

    def pose_as(self, states: Sequence[Callable[[str, float], PersonState]]) -> list[PosedBody]:
        """Different people in the states that are made from their id and height."""
        rng = self._rng
        who = rng.choice(len(self._ids), len(states), replace=False)
        bodies = self._crowd.pose([make(self._ids[i], self._heights_m[i]) for i, make in zip(who, states, strict=True)])
        return [replace(b, colours=_other_colours(rng, b.colours)) if rng.random() < 0.5 else b for b in bodies]


def random_state(rng: np.random.Generator, person_id: str, height_m: float, xy_m: np.ndarray) -> PersonState:
    """One of the poses that a shopper takes, at a place, facing anywhere."""
    heading = rng.uniform(-np.pi, np.pi)
    kind = rng.choice(["walk", "stand", "reach", "crouch", "carry"], p=[0.28, 0.2, 0.3, 0.1, 0.12])
    speed = rng.uniform(0.3, 1.7) if kind == "walk" or rng.random() < 0.1 else 0.0
    crouch = rng.uniform(0.2, 1.0) if kind == "crouch" else (rng.uniform(0, 0.3) if kind == "reach" else 0.0)
    targets, weight = np.full((2, 3), np.nan), np.zeros(2)
    reaching = kind == "reach" or (kind in ("crouch", "stand", "walk") and rng.random() < 0.45)
    if reaching:
        hands = rng.choice(3, p=[0.4, 0.4, 0.2])
        for side in (0, 1) if hands == 2 else (hands,):
            targets[side] = _reachable(rng, side, heading, height_m * (1 - 0.35 * crouch), xy_m)
            weight[side] = rng.choice([1.0, rng.uniform(0.3, 1.0)])
    carry = np.where(rng.random(2) < (0.7 if kind == "carry" else 0.08), rng.uniform(0.5, 1, 2), 0.0)
    look = None
    if rng.random() < 0.5:
        look = np.array([*(xy_m + _turn(heading + rng.normal(0, 0.6)) * rng.uniform(0.5, 3)), rng.uniform(0.1, 2.0)])
    return PersonState(
        person_id, np.asarray(xy_m, float), heading, float(speed), float(rng.random()), float(crouch), look, targets,
        weight, rng.random(2), carry,
    )  # fmt: skip


def reaching_state(
    rng: np.random.Generator, person_id: str, height_m: float, point_m: np.ndarray, ahead_xy: np.ndarray
) -> PersonState:
    """A person whose hand is at a point, standing before it and facing about `ahead_xy` (unit vector)."""
    side = int(rng.integers(0, 2))
    heading = float(np.arctan2(ahead_xy[1], ahead_xy[0]) + rng.normal(0, 0.35))
    facing = _turn(heading)
    aside = _turn(heading - np.pi / 2) * (0.18 if side == 1 else -0.18)
    xy = point_m[:2] - facing * rng.uniform(0.32, 0.55) - aside
    crouch = float(np.clip((0.35 * height_m - point_m[2]) / (0.2 * height_m), 0, 1)) * rng.uniform(0.7, 1)
    targets, weight = np.full((2, 3), np.nan), np.zeros(2)
    targets[side], weight[side] = point_m, 1.0
    if rng.random() < 0.25:
        targets[1 - side] = point_m + np.append(aside * rng.uniform(-2.5, -1), rng.normal(0, 0.1))
        weight[1 - side] = 1.0
    carry = np.zeros(2)
    carry[1 - side] = rng.uniform(0.5, 1) if weight[1 - side] == 0 and rng.random() < 0.4 else 0.0
    return PersonState(
        person_id,
        xy,
        heading,
        0.0,
        float(rng.random()),
        crouch,
        point_m,
        targets,
        weight,
        rng.uniform(0.3, 1, 2),
        carry,
    )


def _reachable(rng: np.random.Generator, side: int, heading: float, height_m: float, xy_m: np.ndarray) -> np.ndarray:
    """A point that the hand can get to: any direction from the shoulder but through the body."""
    shoulder = 0.82 * height_m
    azimuth = heading + rng.normal(0, 0.55) + (0.35 if side == 0 else -0.35)
    elevation = rng.uniform(-1.2, 0.9)
    reach = height_m * rng.uniform(0.2, 0.42)
    ahead = _turn(azimuth) * np.cos(elevation) * reach
    out = _turn(heading + np.pi / 2) * (0.1 * height_m * (1 if side == 0 else -1))
    z = np.clip(shoulder + np.sin(elevation) * reach, 0.15, 2.1)
    return np.array([*(xy_m + ahead + out), z])


def _turn(angle: float) -> np.ndarray:
    return np.array([np.cos(angle), np.sin(angle)])


def _other_colours(rng: np.random.Generator, colours: np.ndarray) -> np.ndarray:
    """The same person with all colours brighter, darker or of another tone: (V, 3) in [0, 1]."""
    mixing = np.eye(3) * rng.uniform(0.5, 1) + rng.normal(0, 0.12, (3, 3))
    gain = rng.uniform(0.45, 1.35)
    return np.clip(colours @ mixing.T * gain + rng.normal(0, 0.05), 0.01, 1).astype(np.float32)
