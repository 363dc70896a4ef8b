# SPDX-License-Identifier: AGPL-3.0-or-later
"""Cameras that are matched together: which pairs of body and box are worth a look there, and what was found."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

from pipeline.perception.floor.bodies import LEFT, RIGHT, TOP, CameraBank, Outlines
from pipeline.perception.floor.expect import Visibility
from pipeline.perception.floor.nearby import within
from pipeline.perception.floor.sightings import Sightings

GATE_HEIGHTS = 0.5
"""Pairs whose boxes' upper edges or middles are further apart than this, beyond the uncertainty, are not looked at."""


@dataclass
class Said:
    """What the matched boxes of some cameras say of T bodies, summed over the cameras. `information` (T, 6, 6),
    `vector` (T, 6) and `squares` (T,) of the measurements, `factor` (T,) the logs of their densities' factors.
    `quality` (T,): how many boxes, each by how surely it is the body's; `heads` (T,): how many with its head."""

    information: np.ndarray
    vector: np.ndarray
    squares: np.ndarray
    factor: np.ndarray
    quality: np.ndarray
    heads: np.ndarray

    @classmethod
    def nothing(cls, t: int) -> Said:
        return cls(np.zeros((t, 6, 6)), np.zeros((t, 6)), np.zeros(t), np.zeros(t), np.zeros(t), np.zeros(t))

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
    def of(
        cls, cameras: np.ndarray, bank: CameraBank, visible: Visibility, seen: Sightings, out: Outlines,
        covariance: np.ndarray, free: np.ndarray,
    ) -> Block:  # fmt: skip
        """`out`: of T bodies in all cameras; `covariance`: (T, 6, 6); `free`: bool (T, N) or (1, N), which boxes they
        may have."""
        body, box, camera = near(cameras, seen, out, covariance, free)
        nothing = Said.nothing(len(covariance))
        return cls(cameras, bank.only(cameras), visible.only(cameras), body, box, camera, nothing)


def near(
    cameras: np.ndarray, seen: Sightings, out: Outlines, covariance: np.ndarray, free: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Pairs of body, box and place of the camera, (K,) each: by where boxes are from left to right, and by their upper
    edge, as the lower is often hidden."""
    t = len(covariance)
    left, top, right, _ = out.edges_px[:, cameras, :t]
    jacobian = np.abs(out.jacobian[..., :t][:, :, cameras])
    spread_m = np.sqrt(np.maximum(covariance[:, 0, 0], covariance[:, 1, 1]))
    wide = GATE_HEIGHTS * out.tall_px[cameras, :t] + 3 * jacobian[:, :2].max((0, 1)) * spread_m
    high = wide + 3 * np.sqrt(covariance[:, 2, 2]) * jacobian[TOP, 2]
    middle, wide, high, top = (a.ravel() for a in ((left + right) / 2, wide, high, top))
    box_middle = (seen.edges_px[:, LEFT] + seen.edges_px[:, RIGHT]) / 2
    cell, n = within(box_middle, seen.camera, middle - wide, middle + wide, np.repeat(cameras, t))
    close = np.abs(box_middle[n] - middle[cell]) < wide[cell]
    close &= np.abs(seen.edges_px[n, TOP] - top[cell]) < high[cell]
    n, (camera, body) = n[close], np.divmod(cell[close], t)
    may = free[body if len(free) > 1 else 0, n]
    return body[may], n[may], camera[may]
