# SPDX-License-Identifier: AGPL-3.0-or-later
"""Quads and boxes, collected into meshes."""

from __future__ import annotations

import numpy as np

from sim.render.mesh import Mesh
from sim.shop.products import Atlas, in_rect, quads

UP = np.array([0.0, 0, 1])


class MeshBuilder:
    """Collects quads by gloss."""

    def __init__(self, atlas: Atlas) -> None:
        self.atlas = atlas
        self._by_gloss: dict[float, tuple[list, list, list]] = {}

    def quad(self, origin, u, v, colour=(1.0, 1.0, 1.0), texture: str | None = None, part=(0, 0, 1, 1), gloss=0.0):
        """The parallelogram origin, origin + u, origin + u + v, origin + v, in that order counter-clockwise."""
        origin, u, v = (np.asarray(a, float) for a in (origin, u, v))
        corners, colours, uvs = self._by_gloss.setdefault(gloss, ([], [], []))
        corners.append([origin, origin + u, origin + u + v, origin + v])
        colours.append(colour)
        x0, y0, x1, y1 = part
        if texture is None:
            uvs.append(np.zeros((4, 2)))
        else:
            uvs.append(in_rect(self.atlas.rects[texture], [(x0, y0), (x1, y0), (x1, y1), (x0, y1)]))

    def box(self, origin, x, y, z, colour, gloss=0.0):
        """A box from `origin` along the right-handed edges x, y, z."""
        origin, x, y, z = (np.asarray(a, float) for a in (origin, x, y, z))
        for o, u, v in (
            (origin, x, z), (origin + x, y, z), (origin + x + y, -x, z), (origin + y, -y, z), (origin + z, x, y),
            (origin + y, x, -y),
        ):  # fmt: skip
            self.quad(o, u, v, colour, gloss=gloss)

    def meshes(self) -> list[Mesh]:
        return [
            quads(np.array(c), np.array(k), np.array(t), gloss) for gloss, (c, k, t) in sorted(self._by_gloss.items())
        ]
