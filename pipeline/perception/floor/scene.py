# SPDX-License-Identifier: AGPL-3.0-or-later
"""The room as the floor tracker needs it: cameras, where people can stand, come and go, and what shelves hide."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from calibration.camera import Camera
from calibration.layout import StoreLayout
from calibration.sight import Shelves
from pipeline.perception.floor.bodies import CameraBank
from pipeline.perception.recorded import Room
from pipeline.perception.zones import Zones, zones_of

HEIGHTS_M = (0.1, 0.7, 1.2, 1.55)
"""Feet, knees, chest and head: what a shelf may hide of somebody."""


@dataclass(frozen=True)
class Scene:
    """`shelves`: None in a room that has none."""

    cameras: dict[str, Camera]
    bank: CameraBank
    zones: Zones
    shelves: Shelves | None

    def shown(self, xy_m: np.ndarray) -> np.ndarray:
        """bool (N, C, len(HEIGHTS_M)), of places (N, 2): is that height of somebody there free of shelves?"""
        n = len(xy_m)
        if self.shelves is None:
            return np.ones((n, len(self.bank.ids), len(HEIGHTS_M)), bool)
        points = np.concatenate([np.column_stack([xy_m, np.full(n, z)]) for z in HEIGHTS_M])
        hidden = self.shelves.hide(self.bank.position_m, points)
        return ~hidden.reshape(len(self.bank.ids), len(HEIGHTS_M), n).transpose(2, 0, 1)


def scene_of(place: StoreLayout | Room) -> Scene:
    cameras = place.camera_by_id
    return Scene(cameras, CameraBank.of(cameras), zones_of(place), getattr(place, "shelves", None))
