# SPDX-License-Identifier: AGPL-3.0-or-later
"""The room as the floor tracker needs it: cameras, where people can stand, come and go, and what shelves hide."""

from __future__ import annotations

from typing import Protocol

import numpy as np
import shapely
from shapely.ops import unary_union

from calibration.camera import Camera
from calibration.layout import StoreLayout
from pipeline.perception.floor.bodies import CameraBank
from pipeline.perception.recorded import Room
from pipeline.perception.zones import Zones

DOOR_M = 0.7
"""A room without gates has its doors anywhere within this of the edge of what is watched."""
HEIGHTS_M = (0.1, 0.7, 1.2, 1.55)
"""Feet, knees, chest and head: what a shelf may hide of somebody."""


class Scene(Protocol):
    """What is asked of a room. `xy_m`: float64 (N, 2)."""

    cameras: dict[str, Camera]
    bank: CameraBank

    def outside_m(self, xy_m: np.ndarray) -> np.ndarray: ...
    def on_floor(self, xy_m: np.ndarray) -> np.ndarray: ...
    def at_door(self, xy_m: np.ndarray) -> np.ndarray: ...
    def has_left(self, xy_m: np.ndarray, velocity_m_s: np.ndarray) -> bool: ...
    def shown(self, xy_m: np.ndarray) -> np.ndarray: ...


class ShopScene:
    """A shop with a layout: people come and go at the gates."""

    def __init__(self, layout: StoreLayout) -> None:
        self.cameras = layout.camera_by_id
        self.bank = CameraBank.of(self.cameras)
        self._zones = Zones(layout)
        self._shelves = layout.shelves

    def outside_m(self, xy_m: np.ndarray) -> np.ndarray:
        return self._zones.outside_m(xy_m)

    def on_floor(self, xy_m: np.ndarray) -> np.ndarray:
        return self._zones.on_floor(xy_m)

    def at_door(self, xy_m: np.ndarray) -> np.ndarray:
        return np.array([self._zones.entering(xy) for xy in xy_m], bool)

    def has_left(self, xy_m: np.ndarray, velocity_m_s: np.ndarray) -> bool:
        return self._zones.has_left(xy_m, velocity_m_s)

    def shown(self, xy_m: np.ndarray) -> np.ndarray:
        """bool (N, C, len(HEIGHTS_M)): is that height of somebody there free of shelves?"""
        n = len(xy_m)
        points = np.concatenate([np.column_stack([xy_m, np.full(n, z)]) for z in HEIGHTS_M])
        hidden = self._shelves.hide(self.bank.position_m, points)
        return ~hidden.reshape(len(self.bank.ids), len(HEIGHTS_M), n).transpose(2, 0, 1)


class RoomScene:
    """A room without shelves: people come and go at its entrances, or where none is named at the region's edge."""

    def __init__(self, room: Room) -> None:
        self.cameras = room.camera_by_id
        self.bank = CameraBank.of(self.cameras)
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

    def at_door(self, xy_m: np.ndarray) -> np.ndarray:
        return shapely.contains_xy(self._doors, xy_m[:, 0], xy_m[:, 1]) | shapely.contains_xy(
            self._outer, xy_m[:, 0], xy_m[:, 1]
        )

    def has_left(self, xy_m: np.ndarray, velocity_m_s: np.ndarray) -> bool:
        return not self.on_floor(xy_m[None])[0] or bool(self.at_door(xy_m[None])[0])

    def shown(self, xy_m: np.ndarray) -> np.ndarray:
        return np.ones((len(xy_m), len(self.bank.ids), len(HEIGHTS_M)), bool)


def scene_of(room: StoreLayout | Room) -> Scene:
    return RoomScene(room) if isinstance(room, Room) else ShopScene(room)
