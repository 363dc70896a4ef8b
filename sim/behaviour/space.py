# SPDX-License-Identifier: AGPL-3.0-or-later
"""Where people can walk: free floor, shortest ways around what stands in it, places to stand before a shelf."""

from __future__ import annotations

import heapq

import numpy as np
import shapely
from shapely.geometry import LineString, Point, Polygon
from shapely.ops import unary_union

from calibration.layout import Gate, Gondola, StoreLayout

BODY_M = 0.27
"""How far the middle of a body keeps from walls and shelves."""
OUTSIDE_M = 1.2
"""How far beyond the gate's line people come from and go to."""
_STEP_M = 0.08
_GAP_M, _GAP_REACH_M = 0.46, 0.45
"""Free width in which the middles of two people cannot be beside one another, and how far around is looked."""
_ASIDE_M, _ROOM_M, _SHELF_ROOM_M = 0.4, 0.6, 0.7
_NEIGHBOURS = [(i, j, float(np.hypot(i, j))) for i in (-1, 0, 1) for j in (-1, 0, 1) if i or j]


class FreeSpace:
    """The floor that the middle of a body can be over.

    Ways are found on a grid of 8 cm with A* (Hart, Nilsson and Raphael, 1968) that prefers some room to shelves, then
    pulled tight between points that see each other.
    """

    def __init__(self, layout: StoreLayout) -> None:
        floor = shapely.buffer(layout.floor, -BODY_M)
        doors = [_doorway(gate) for gate in layout.gates]
        solid = [shapely.buffer(g.footprint, BODY_M) for g in layout.gondolas]
        solid += [shapely.buffer(Polygon(o), BODY_M) for o in layout.obstacles_m]
        self.area = unary_union([floor, *doors]).difference(unary_union(solid))
        # Paths may graze the edge: the grid and the pulled string need a little slack against rounding.
        self._prepared = shapely.buffer(self.area, 1e-3)
        shapely.prepare(self._prepared)
        low_x, low_y, high_x, high_y = self.area.bounds
        self._low = np.array([low_x, low_y])
        nx, ny = (np.ceil((np.array([high_x, high_y]) - self._low) / _STEP_M)).astype(int) + 1
        xs, ys = self._low[0] + _STEP_M * np.arange(nx), self._low[1] + _STEP_M * np.arange(ny)
        grid_x, grid_y = np.meshgrid(xs, ys, indexing="ij")
        points = shapely.points(grid_x, grid_y)
        self._free = shapely.contains(self.area, points)
        self._clearance = np.where(self._free, shapely.distance(self.area.boundary, points), 0.0)
        self._cost = 1 + 2.0 * np.clip(1 - self._clearance / 0.25, 0, 1)
        self._points = np.stack([grid_x, grid_y], -1)

    def nearest(self, xy_m: np.ndarray) -> np.ndarray:
        """The free point closest to a point."""
        if self._prepared.contains(Point(xy_m)):
            return np.asarray(xy_m, float)
        return np.array(shapely.shortest_line(self.area, Point(xy_m)).coords[0])

    def contains(self, xy_m: np.ndarray) -> bool:
        return bool(self._prepared.contains(Point(xy_m)))

    def is_gap(self, xy_m: np.ndarray) -> bool:
        """Is it so narrow here that two people cannot pass one another without turning sideways?"""
        near = ((self._points - xy_m) ** 2).sum(-1) < _GAP_REACH_M**2
        return bool(self._clearance[near].max(initial=0.0) < _GAP_M / 2)

    def refuge(self, xy_m: np.ndarray, others_m: np.ndarray, faces_m: np.ndarray) -> np.ndarray | None:
        """The nearest place (2,) to step aside to, or None.

        Args:
            others_m: (N, 2) people, and where they are going to stand: kept clear of.
            faces_m: (M, 2) places before shelves, left free for those who need them.
        """
        away = np.sqrt(((self._points - xy_m) ** 2).sum(-1))
        free = self._free & (away > _ASIDE_M) & (away < 4 * _ASIDE_M)
        for keep, room_m in ((others_m, _ROOM_M), (faces_m, _SHELF_ROOM_M)):
            for middle in np.reshape(keep, (-1, 2)):
                free &= ((self._points - middle) ** 2).sum(-1) > room_m**2
        if not free.any():
            return None
        return self._points[np.unravel_index(np.where(free, away, np.inf).argmin(), free.shape)]

    def path(
        self, start_m: np.ndarray, goal_m: np.ndarray, avoid_m: np.ndarray = (), radius_m: float = 0.55
    ) -> np.ndarray | None:
        """Corner points (K, 2) of a short way, ends included; None if there is none.

        Args:
            avoid_m: (N, 2) middles of people who stand in the way, kept `radius_m` away from (less where the way
                begins or ends closer to them).
        """
        start, goal = self.nearest(start_m), self.nearest(goal_m)
        avoid = np.asarray(avoid_m, float).reshape(-1, 2)
        radii = np.array([min(radius_m, 0.95 * np.hypot(*(a - start)), 0.95 * np.hypot(*(a - goal))) for a in avoid])
        if self._sees(start, goal, avoid, radii):
            return np.array([start, goal])
        free = self._free.copy()
        for middle, radius in zip(avoid, radii, strict=True):
            free &= ((self._points - middle) ** 2).sum(-1) > radius**2
        cells = self._search(free, self._cell(start, free), self._cell(goal, free))
        if cells is None:
            return None
        points = [start, *(self._points[c] for c in cells[1:-1]), goal]
        return self._pulled(np.array(points), avoid, radii)

    def _cell(self, xy: np.ndarray, free: np.ndarray) -> tuple[int, int]:
        distance = ((self._points - xy) ** 2).sum(-1)
        distance[~free] = np.inf
        return tuple(int(i) for i in np.unravel_index(distance.argmin(), distance.shape))

    def _search(self, free, start, goal) -> list[tuple[int, int]] | None:
        best = {start: 0.0}
        came: dict[tuple[int, int], tuple[int, int]] = {}
        queue = [(0.0, start)]
        closed = set()
        while queue:
            _, here = heapq.heappop(queue)
            if here == goal:
                cells = [here]
                while here in came:
                    here = came[here]
                    cells.append(here)
                return cells[::-1]
            if here in closed:
                continue
            closed.add(here)
            for di, dj, length in _NEIGHBOURS:
                there = (here[0] + di, here[1] + dj)
                if not (0 <= there[0] < free.shape[0] and 0 <= there[1] < free.shape[1]) or not free[there]:
                    continue
                cost = best[here] + length * self._cost[there]
                if cost < best.get(there, np.inf):
                    best[there], came[there] = cost, here
                    heapq.heappush(queue, (cost + np.hypot(there[0] - goal[0], there[1] - goal[1]), there))
        return None

    def _sees(self, a, b, avoid, radii) -> bool:
        line = LineString([a, b])
        if not self._prepared.covers(line):
            return False
        return all(line.distance(Point(m)) >= r - 1e-6 for m, r in zip(avoid, radii, strict=True))

    def _pulled(self, points, avoid, radii) -> np.ndarray:
        kept, i = [points[0]], 0
        while i < len(points) - 1:
            j = len(points) - 1
            while j > i + 1 and not self._sees(points[i], points[j], avoid, radii):
                j -= 1
            kept.append(points[j])
            i = j
        return np.array(kept)

    def stand_before(self, gondola: Gondola, along_m: float, distance_m: float) -> np.ndarray:
        """Where to stand, (2,), to reach what is `along_m` on a face from `distance_m` before it."""
        return self.nearest(gondola.to_world(along_m, distance_m, 0.0)[:2])


def places_before(layout: StoreLayout, every_m: float = 0.3, away_m: float = 0.5) -> np.ndarray:
    """(M, 2) where people stand at shelves."""
    spots = [
        gondola.to_world(along, away_m, 0.0)[:2]
        for gondola in layout.gondolas
        for along in np.arange(0.0, gondola.width_m + every_m / 2, every_m)
    ]
    return np.reshape(spots, (-1, 2))


def outside(gate: Gate, beyond_m: float = OUTSIDE_M * 0.75) -> np.ndarray:
    """A point (2,) before the gate, outside of the shop."""
    return np.mean(gate.line_m, axis=0) - beyond_m * _inward(gate)


def inside_of(gate: Gate, xy_m: np.ndarray) -> float:
    """Signed distance in metres from the gate's line, positive inside."""
    return float((np.asarray(xy_m) - np.array(gate.line_m[0])) @ _inward(gate))


def _inward(gate: Gate) -> np.ndarray:
    """Unit normal of the gate's line on the side of `gate.inward`."""
    a, b = np.array(gate.line_m, float)
    normal = np.array([-(b - a)[1], (b - a)[0]]) / np.linalg.norm(b - a)
    return normal if normal @ np.array(gate.inward) > 0 else -normal


def _doorway(gate: Gate) -> Polygon:
    """The strip through the gate, narrower than its line by a body."""
    a, b = np.array(gate.line_m, float)
    along = (b - a) / np.linalg.norm(b - a)
    half = max(0.5 * float(np.linalg.norm(b - a)) - BODY_M, 0.1)
    middle, inward = (a + b) / 2, _inward(gate)
    corners = [
        middle + s * half * along + d * inward for s, d in ((-1, -OUTSIDE_M), (1, -OUTSIDE_M), (1, 0.6), (-1, 0.6))
    ]
    return Polygon(corners)
