# SPDX-License-Identifier: AGPL-3.0-or-later
"""What moves: uploaded once an instant, whichever cameras draw it."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from panda3d import core

from calibration.camera import Camera
from sim.render.mesh import Light, Mesh
from sim.render.rects import Rect, bounds, overlap, union
from sim.render.shaders import shader
from sim.render.shadow import Shadow, cast_shadow
from sim.render.upload import geom_node, interleaved

_OUTLINE = 2000  # vertices that are looked at to find out where a mover is
_GAP_M = 0.025  # how far from them the other vertices may be
_KEPT = 64


@dataclass(frozen=True, eq=False)
class Mover:
    """A mesh that has been uploaded. `mesh` is kept so that its id, the key, stays its own.

    `outline_m`: points (P, 3) all over it, `swept_m` (P, 3) how far they go while the shutter is open, or None.
    """

    mesh: Mesh
    node: core.GeomNode
    shadow: Shadow | None
    outline_m: np.ndarray
    swept_m: np.ndarray | None
    gap_m: float

    def bounds(self, camera: Camera) -> Rect | None:
        margin_px = 2
        if self.gap_m:
            nearest = max(float(camera.depth_m(self.outline_m[::16]).min()), 0.3)
            margin_px += int(np.ceil(self.gap_m * camera.matrix[0, 0] / nearest))
        return bounds(camera, self.outline_m, margin_px, dense=True)


class MoverCache:
    """Movers by the identity of their mesh: all cameras of an instant are given the same ones."""

    def __init__(self) -> None:
        self._movers: OrderedDict[int, Mover] = OrderedDict()

    def clear(self) -> None:
        self._movers.clear()

    def get(self, mesh: Mesh, light: Light) -> Mover:
        key = id(mesh)
        if key not in self._movers:
            self._movers[key] = _upload(mesh, light)
            if len(self._movers) > _KEPT:
                self._movers.popitem(last=False)
        self._movers.move_to_end(key)
        return self._movers[key]


def _upload(mesh: Mesh, light: Light) -> Mover:
    node = geom_node(interleaved(mesh), mesh.faces, static=False)
    kinds = [k for k, used in (("TEXTURED", mesh.uv is not None), ("SHINY", mesh.gloss > 0.01)) if used]
    core.NodePath(node).set_shader(shader("MOVER", *kinds), 1)
    step = -(-len(mesh.vertices_m) // _OUTLINE)
    outline = mesh.vertices_m[::step]
    gap_m = 0.0 if step == 1 else _GAP_M
    swept = None
    if mesh.swept_m is not None:
        swept = mesh.swept_m[::step]
        gap_m += float(np.abs(swept).max()) / 2
    return Mover(mesh, node, cast_shadow(outline, light), outline, swept, gap_m)


def grouped(movers: Sequence[Mover], camera: Camera) -> list[tuple[list[Mover], Rect]]:
    """Movers that are in the picture; those whose rectangles overlap together, so that they hide each other."""
    groups: list[tuple[list[Mover], Rect]] = []
    for mover in movers:
        members, rect = [mover], mover.bounds(camera)
        if rect is None:
            continue
        while hit := next((g for g in groups if overlap(g[1], rect)), None):
            groups = [g for g in groups if g is not hit]
            members, rect = hit[0] + members, union(hit[1], rect)
        groups.append((members, rect))
    return groups
