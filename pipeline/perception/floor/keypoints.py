# SPDX-License-Identifier: AGPL-3.0-or-later
"""What the key points of a window's boxes say of whoever they are. Shelves and reaching arms change a box more than a
body, so who has key points is placed by those; as arms that reach make a box wide, they have no width of their own."""

from __future__ import annotations

import numpy as np

from pipeline.perception.body import LOOSE_HEIGHT_SIGMA_M
from pipeline.perception.floor.blocks import Said
from pipeline.perception.floor.densities import LOG_2PI
from pipeline.perception.floor.settings import AssociationSettings, BodySettings
from pipeline.perception.floor.sightings import Sightings
from pipeline.perception.floor.small import spd_inverse

LOOSE = np.diag([1e-6, 1e-6, 1 / LOOSE_HEIGHT_SIGMA_M**2])
"""What is known of somebody's height before a look at them."""


class KeyPoints:
    """Of P boxes with key points: information (P, 6, 6), vector (P, 6) and squares (P,) of a measurement of the whole
    state, the logs of its density's factors (P,), and `_place` (N,) of all boxes among those."""

    def __init__(self, seen: Sightings, body: BodySettings, s: AssociationSettings) -> None:
        n = np.flatnonzero(seen.posed)
        self._place = np.cumsum(seen.posed) - 1
        lift = np.zeros((len(n), 3, 6))
        lift[:, range(3), range(3)] = 1.0
        lift[:, 0, 4] = lift[:, 1, 5] = seen.offset_s[seen.camera[n]]
        theta, lean = seen.theta[n], np.array([body.lean_sigma_m, body.lean_sigma_m, body.stoop_sigma_m]) ** 2
        sharp, logdet = spd_inverse(spd_inverse(seen.information[n] + LOOSE)[0] + np.diag(lean))
        sharp = sharp * body.keypoint_independent
        right = (sharp @ theta[..., None])[..., 0]
        self._information = lift.swapaxes(1, 2) @ sharp @ lift
        self._vector = (lift.swapaxes(1, 2) @ right[..., None])[..., 0]
        self._squares = (theta * right).sum(1)
        self._factor = 0.5 * (3 * (np.log(body.keypoint_independent) - LOG_2PI) - logdet) + np.log(s.posed_volume)

    def add_to(self, said: Said, i: np.ndarray, n: np.ndarray, sure: np.ndarray) -> None:
        """What boxes `n` say of bodies `i`, each as far as it is `sure`."""
        rows = self._place[n]
        np.add.at(said.information, i, self._information[rows] * sure[:, None, None])
        np.add.at(said.vector, i, self._vector[rows] * sure[:, None])
        np.add.at(said.squares, i, self._squares[rows] * sure)
        np.add.at(said.factor, i, self._factor[rows])
