# SPDX-License-Identifier: AGPL-3.0-or-later
"""Cameras that are matched together: which pairs of body and box are worth a look there, and what was found."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

from pipeline.perception.floor.bodies import TOP, CameraBank, Outlines
from pipeline.perception.floor.expect import Visibility
from pipeline.perception.floor.sightings import Sightings

GATE_HEIGHTS = 0.5
"""Pairs whose boxes' upper edges or middles are further apart than this, beyond the uncertainty, are not looked at."""


@dataclass
class Said:
    """What the matched boxes of some cameras say of T bodies, summed over the cameras. `information` (T, 6, 6),
    `vector` (T, 6) and `squares` (T,) of the measurements, `factor` (T,) the logs of their densities' factors.
    `quality` (T,): how many boxes, each by how surely it is the body's; `heads` (T,): how many with its head. `looks`
    (T,): how many with an upper edge, whosever it is, and `tall` (T,) the sum of the heights that those show."""

    information: np.ndarray
    vector: np.ndarray
    squares: np.ndarray
    factor: np.ndarray
    quality: np.ndarray
    heads: np.ndarray
    looks: np.ndarray
    tall: np.ndarray

    @classmethod
    def nothing(cls, t: int) -> Said:
        return cls(np.zeros((t, 6, 6)), np.zeros((t, 6)), *np.zeros((6, t)))

    def put(self, rows: np.ndarray, said: Said) -> None:
        """Say something else of some bodies (K,)."""
        for field in fields(self):
            getattr(self, field.name)[rows] = getattr(said, field.name)


@dataclass(frozen=True)
class Block:
    """`cameras`: int (B,). `body`, `box`, `camera`: int (K,), pairs worth a look, the camera by its place in the block.
    `visible`: of all T bodies in these cameras. `said`: by the boxes that are matched now."""

    cameras: np.ndarray
    bank: CameraBank
    visible: Visibility
    body: np.ndarray
    box: np.ndarray
    camera: np.ndarray
    said: Said

    @classmethod
    def of(cls, cameras: np.ndarray, bank: CameraBank, visible: Visibility, pairs: tuple[np.ndarray, ...]) -> Block:
        """`visible` and `pairs` (see `near`): of all cameras."""
        place = np.full(len(bank.ids), -1)
        place[cameras] = np.arange(len(cameras))
        body, box, camera = pairs
        mine = np.flatnonzero(place[camera] >= 0)
        body, box, camera = body.take(mine), box.take(mine), place.take(camera.take(mine))
        nothing = Said.nothing(visible.detected.shape[1])
        return cls(cameras, bank.only(cameras), visible.only(cameras), body, box, camera, nothing)


def near(
    seen: Sightings, out: Outlines, covariance: np.ndarray, free: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Pairs of body, box and camera, (K,) each: by where boxes are from left to right, and by their upper edge, as the
    lower is often hidden. `out`: of T bodies, and perhaps others, in all cameras; `covariance`: (T, 6, 6); `free`: bool
    (T, N) or (1, N), which boxes they may have."""
    t = len(covariance)
    left, top, right, _ = out.edges_px[..., :t]
    pixels, by_height = np.abs(out.jacobian[:, :2, :, :t]).max((0, 1)), np.abs(out.jacobian[TOP, 2, :, :t])
    spread_m = np.sqrt(np.maximum(covariance[:, 0, 0], covariance[:, 1, 1]))
    wide = GATE_HEIGHTS * out.tall_px[:, :t] + 3 * pixels * spread_m
    high = wide + 3 * np.sqrt(covariance[:, 2, 2]) * by_height
    middle, wide, high, top = (a.ravel() for a in ((left + right) / 2, wide, high, top))
    cell, n = seen.nearby.within(middle - wide, middle + wide, np.repeat(np.arange(len(left)), t))
    close = np.abs(seen.middle_px.take(n) - middle.take(cell)) < wide.take(cell)
    close &= np.abs(seen.edges_px[:, TOP].take(n) - top.take(cell)) < high.take(cell)
    cell, n = cell[close], n[close]
    camera, body = np.divmod(cell, t)
    if len(free) > 1 or not free.all():
        may = free[body if len(free) > 1 else 0, n]
        body, n, camera = body[may], n[may], camera[may]
    return body, n, camera
