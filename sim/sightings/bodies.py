# SPDX-License-Identifier: AGPL-3.0-or-later
"""A few points of everybody's surface over time: enough for boxes and for what hides what, at a fraction of the cost of
whole bodies."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sim.stage import Stage
from sim.truth import vertex_areas

POINTS = 144
GRID_HZ = 20.0


@dataclass(frozen=True)
class Presence:
    """One person at instants: `there` bool (F,), `points_m` (F, K, 3), `normals` (F, K, 3), `keypoints_m` (F, 17, 3);
    rows where they are not there mean nothing. `area` (K,): the surface that each point stands for."""

    person: str
    there: np.ndarray
    points_m: np.ndarray
    normals: np.ndarray
    keypoints_m: np.ndarray
    area: np.ndarray


class BodySamples:
    """Bodies are posed `GRID_HZ` times a second and interpolated in between (a millimetre off at a walk)."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._only: dict[str, np.ndarray] = {}
        self._area: dict[str, np.ndarray] = {}
        for spec in stage.play.specs:
            body = stage.standing(spec.person_id)
            chosen = farthest_points(body.vertices_m, POINTS)
            nearest = ((body.vertices_m[:, None] - body.vertices_m[None, chosen]) ** 2).sum(-1).argmin(1)
            self._only[spec.person_id] = chosen
            self._area[spec.person_id] = np.bincount(nearest, vertex_areas(body), POINTS)

    def between(self, from_s: float, to_s: float) -> Chunk:
        """Everybody's samples from one instant to another."""
        grid = np.arange(np.floor(from_s * GRID_HZ), np.ceil(to_s * GRID_HZ) + 1) / GRID_HZ
        states = self._stage.play.timeline.states(grid)
        bodies = iter(self._stage.crowd.pose([s for instant in states for s in instant], self._only))
        shapes = {"points": (POINTS, 3), "normals": (POINTS, 3), "keypoints": (17, 3)}
        found: dict[str, dict[str, np.ndarray]] = {}
        for k, instant in enumerate(states):
            for state in instant:
                rows = found.get(state.person_id)
                if rows is None:
                    rows = {n: np.zeros((len(grid), *shape), np.float32) for n, shape in shapes.items()}
                    rows["there"] = np.zeros(len(grid), bool)
                    found[state.person_id] = rows
                body = next(bodies)
                rows["there"][k] = True
                rows["points"][k], rows["normals"][k], rows["keypoints"][k] = (
                    body.vertices_m, body.normals, body.keypoints_m,
                )  # fmt: skip
        return Chunk(grid, found, self._area)


class Chunk:
    def __init__(self, grid: np.ndarray, found: dict[str, dict[str, np.ndarray]], area: dict[str, np.ndarray]) -> None:
        self._grid, self._found, self._area = grid, found, area

    def at(self, at_s: np.ndarray) -> list[Presence]:
        """Everybody who is there at any of the instants (F,) within the chunk."""
        right = np.clip(np.searchsorted(self._grid, at_s), 1, len(self._grid) - 1)
        t = np.clip((at_s - self._grid[right - 1]) / (self._grid[right] - self._grid[right - 1]), 0, 1)
        t = t[:, None, None].astype(np.float32)
        out = []
        for person, rows in self._found.items():
            # Half a grid step at either end of a visit is lost, in which they are outside anyway.
            there = rows["there"][right - 1] & rows["there"][right]
            if there.any():
                mixed = [rows[n][right - 1] * (1 - t) + rows[n][right] * t for n in ("points", "normals", "keypoints")]
                out.append(Presence(person, there, *mixed, self._area[person]))
        return out


def farthest_points(points: np.ndarray, count: int) -> np.ndarray:
    """Indices (count,) of points that are far from one another, extremes first (Gonzalez, 1985)."""
    chosen = [int(points[:, 2].argmax())]
    distance = ((points - points[chosen[0]]) ** 2).sum(-1)
    while len(chosen) < count:
        chosen.append(int(distance.argmax()))
        distance = np.minimum(distance, ((points - points[chosen[-1]]) ** 2).sum(-1))
    return np.array(chosen)
