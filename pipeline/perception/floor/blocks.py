# SPDX-License-Identifier: AGPL-3.0-or-later
"""Cameras that are matched together: which pairs of body and box are worth a look there, and what was found."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

from pipeline.perception.floor.bodies import LEFT, RIGHT, TOP, CameraBank, Outlines
from pipeline.perception.floor.expect import Visibility
from pipeline.perception.floor.sightings import Sightings

GATE_HEIGHTS = 0.5
"""Pairs whose boxes' upper edges or middles are further apart than this, beyond the uncertainty, are not looked at."""
_APART_PX = 1e6
"""Cameras' pictures are laid side by side so far apart, to be searched at once."""


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
    edges, tall, jacobian = out.edges_px[:t, cameras], out.tall_px[:t, cameras], out.jacobian[:t, cameras]
    spread_m = np.sqrt(np.maximum(covariance[:, 0, 0], covariance[:, 1, 1]))
    wide = GATE_HEIGHTS * tall + 3 * np.abs(jacobian[..., :2]).max((-1, -2)) * spread_m[:, None]
    high = wide + 3 * np.sqrt(covariance[:, 2, 2])[:, None] * np.abs(jacobian[..., TOP, 2])
    middle = (edges[..., LEFT] + edges[..., RIGHT]) / 2
    box_middle = (seen.edges_px[:, LEFT] + seen.edges_px[:, RIGHT]) / 2
    along = _side_by_side(box_middle, seen.camera)
    order = np.argsort(along)
    along = along[order]
    begin = np.searchsorted(along, _side_by_side(middle - wide, cameras).ravel() - 1)
    count = np.searchsorted(along, _side_by_side(middle + wide, cameras).ravel() + 1) - begin
    cell = np.repeat(np.arange(count.size), count)
    n = order[np.arange(len(cell)) + np.repeat(begin - (np.cumsum(count) - count), count)]
    close = np.abs(box_middle[n] - middle.ravel()[cell]) < wide.ravel()[cell]
    close &= np.abs(seen.edges_px[n, TOP] - edges[..., TOP].ravel()[cell]) < high.ravel()[cell]
    n, cell = n[close], cell[close]
    body, camera = np.divmod(cell, len(cameras))
    may = free[body if len(free) > 1 else 0, n]
    return body[may], n[may], camera[may]


def _side_by_side(u_px: np.ndarray, camera: np.ndarray) -> np.ndarray:
    return np.clip(u_px, -_APART_PX / 4, _APART_PX / 4) + camera * _APART_PX
