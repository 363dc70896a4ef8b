# SPDX-License-Identifier: AGPL-3.0-or-later
"""Where on the floor people can be, come in and go out."""

from __future__ import annotations

from typing import Protocol

import numpy as np
import shapely
from shapely.geometry import LineString, Point, Polygon
from shapely.ops import unary_union

from calibration.layout import StoreLayout
from pipeline.perception.recorded import Room

DOOR_M = 0.7
"""A room without gates has its doors anywhere within this of the edge of what is watched."""
STEP_M = 0.4
AROUND_M = 1.0
"""Who is so near to a gate's surroundings, off the floor and beyond its line, has gone through it."""


class Zones(Protocol):
    """What is asked of a floor. `xy_m`: float64 (N, 2), or (2,) where the answer is one."""

    def outside_m(self, xy_m: np.ndarray) -> np.ndarray: ...
    def on_floor(self, xy_m: np.ndarray) -> np.ndarray: ...
    def entering(self, xy_m: np.ndarray) -> bool: ...
    def within(self, xy_m: np.ndarray) -> bool: ...
    def has_left(self, xy_m: np.ndarray, velocity_m_s: np.ndarray) -> bool: ...


class ShopZones:
    """Floor, surroundings of the gates, and the sides of the gates' lines.

    `margin_m`: how far outside the floor's polygon a floor point may lie and still be somebody inside.
    """

    def __init__(self, layout: StoreLayout, margin_m: float = 0.35) -> None:
        near = [
            unary_union([LineString(g.line_m).buffer(g.radius_m), Point(g.tap_m).buffer(g.radius_m)])
            for g in layout.gates
        ]
        self._floor = layout.floor
        self._gates = unary_union(near)
        # People are followed a step beyond the gates too: that is where they come from.
        self._inside = unary_union([layout.floor.buffer(margin_m), self._gates])
        self._lines = [(np.mean(g.line_m, axis=0), _unit(g.inward)) for g in layout.gates]
        self._near = near
        self._around = [place.buffer(AROUND_M) for place in near]
        solid = unary_union([*(g.footprint for g in layout.gondolas), *(Polygon(o) for o in layout.obstacles_m)])
        self._standing = unary_union([layout.floor, self._gates]).difference(solid)
        shapely.prepare(self._standing)
        shapely.prepare(self._inside)
        shapely.prepare(self._gates)
        shapely.prepare(self._floor)

    def outside_m(self, xy_m: np.ndarray) -> np.ndarray:
        """Metres (N,) beyond the shop's floor, its margin and the gates; 0 inside."""
        return shapely.distance(shapely.points(xy_m), self._inside)

    def on_floor(self, xy_m: np.ndarray) -> np.ndarray:
        """bool (N,): where one can stand, the gates' surroundings included."""
        return shapely.contains_xy(self._standing, xy_m[:, 0], xy_m[:, 1])

    def entering(self, xy_m: np.ndarray) -> bool:
        """Is this (2,) where people come in: around a gate, beyond its line or at most a step inside it?"""
        return any(
            shapely.contains_xy(near, *xy_m) and float((xy_m - middle) @ inward) < STEP_M
            for (middle, inward), near in zip(self._lines, self._near, strict=True)
        )

    def within(self, xy_m: np.ndarray) -> bool:
        """Is this (2,) on the shop's floor, not beyond a gate's line?"""
        if not shapely.contains_xy(self._floor, *xy_m):
            return False
        return not any(
            shapely.contains_xy(near, *xy_m) and float((xy_m - middle) @ inward) < 0
            for (middle, inward), near in zip(self._lines, self._near, strict=True)
        )

    def has_left(self, xy_m: np.ndarray, velocity_m_s: np.ndarray) -> bool:
        """Is somebody no longer seen at this place (2,) likely gone: beyond a gate's line, or at a gate on the way out?
        Nobody leaves through a wall."""
        inside = shapely.contains_xy(self._floor, *xy_m)
        for (middle, inward), here in zip(self._lines, self._near if inside else self._around, strict=True):
            if not shapely.contains_xy(here, *xy_m):
                continue
            beyond_m = -float((xy_m - middle) @ inward)
            if beyond_m > 0 or (beyond_m > -0.4 and float(velocity_m_s @ inward) < -0.2):
                return True
        return False


class RoomZones:
    """A room without a layout: people come and go at its entrances, or where none is named at the region's edge."""

    def __init__(self, room: Room) -> None:
        self._floor = room.floor.buffer(0.3)
        inner = room.region.buffer(-DOOR_M)
        self._doors = unary_union(room.entrances) if room.entrances else self._floor.difference(inner)
        self._outer = self._floor.difference(room.region)
        for shape in (self._floor, self._doors, self._outer):
            shapely.prepare(shape)

    def outside_m(self, xy_m: np.ndarray) -> np.ndarray:
        return shapely.distance(shapely.points(xy_m), self._floor)

    def on_floor(self, xy_m: np.ndarray) -> np.ndarray:
        return shapely.contains_xy(self._floor, xy_m[:, 0], xy_m[:, 1])

    def entering(self, xy_m: np.ndarray) -> bool:
        return bool(shapely.contains_xy(self._doors, *xy_m) or shapely.contains_xy(self._outer, *xy_m))

    def within(self, xy_m: np.ndarray) -> bool:
        """Is this in the region that is watched? At its edge, where people come and go, they are still looked at."""
        return bool(shapely.contains_xy(self._floor, *xy_m) and not shapely.contains_xy(self._outer, *xy_m))

    def has_left(self, xy_m: np.ndarray, velocity_m_s: np.ndarray) -> bool:
        return not shapely.contains_xy(self._floor, *xy_m) or self.entering(xy_m)


def zones_of(place: StoreLayout | Room) -> Zones:
    return RoomZones(place) if isinstance(place, Room) else ShopZones(place)


def _unit(vector) -> np.ndarray:
    vector = np.asarray(vector, float)
    return vector / np.linalg.norm(vector)
