# SPDX-License-Identifier: AGPL-3.0-or-later
"""What moves: uploaded once an instant, whichever cameras draw it."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from functools import cached_property

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
_AROUND_M = np.stack(np.meshgrid([-0.9, -0.3, 0.3, 0.9], [-0.9, -0.3, 0.3, 0.9], [0.0]), axis=-1).reshape(-1, 3)
_KEPT = 64


class Mover:
    """A mesh that moves. It is uploaded, and its shadow worked out, only when some camera sees them.

    `mesh` is kept so that its id, the key, stays its own. `outline_m`: points (P, 3) all over it. `swept_m`: (P, 3)
    how far they go while the shutter is open, or None.
    """

    def __init__(self, mesh: Mesh, light: Light) -> None:
        self.mesh = mesh
        self._light = light
        step = -(-len(mesh.vertices_m) // _OUTLINE)
        self.outline_m = mesh.vertices_m[::step]
        self.swept_m = None if mesh.swept_m is None else mesh.swept_m[::step]
        self._gap_m = 0.0 if step == 1 else _GAP_M
        if self.swept_m is not None:
            self._gap_m += float(np.abs(self.swept_m).max()) / 2

    @cached_property
    def node(self) -> core.GeomNode:
        node = geom_node(interleaved(self.mesh), self.mesh.faces, static=False)
        used = (("TEXTURED", self.mesh.uv is not None), ("SHINY", self.mesh.gloss > 0.01))
        core.NodePath(node).set_shader(shader("MOVER", *(name for name, wanted in used if wanted)), 1)
        return node

    @cached_property
    def shadow(self) -> Shadow | None:
        return cast_shadow(self.outline_m, self._light)

    def shadow_seen_by(self, camera: Camera) -> Shadow | None:
        """The shadow, if it falls where the camera may see it."""
        middle = np.array([*self.outline_m[:: len(self.outline_m) // 50 + 1, :2].mean(axis=0), 0.0])
        if bounds(camera, middle + _AROUND_M, 0, dense=True) is None:
            return None
        return self.shadow

    def bounds(self, camera: Camera) -> Rect | None:
        margin_px = 2
        if self._gap_m:
            nearest = max(float(camera.depth_m(self.outline_m[::16]).min()), 0.3)
            margin_px += int(np.ceil(self._gap_m * camera.matrix[0, 0] / nearest))
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
            self._movers[key] = Mover(mesh, light)
            if len(self._movers) > _KEPT:
                self._movers.popitem(last=False)
        self._movers.move_to_end(key)
        return self._movers[key]


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
