# SPDX-License-Identifier: AGPL-3.0-or-later
"""The renderer where there is no GL driver: Panda3D's own rasteriser, which knows no shaders.

Light is worked out for each vertex here, everything is drawn in every picture by a pinhole camera, and the lens's
distortion is a remapping of that picture. It is slow and leaves shadows out; where things are is the same.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from panda3d import core

from calibration.camera import Camera
from sim.render.ambient import OpenSky
from sim.render.drawn import Drawn
from sim.render.mesh import Mesh, Scene
from sim.render.shading import vertex_light
from sim.render.target import target_for
from sim.render.tessellate import tessellated
from sim.render.upload import colour_texture, geom_node, interleaved

_LARGEST_PX = 2048
NEAR_M, FAR_M = 0.1, 60.0
_WIDEST = 4.0  # tangent of the widest angle drawn


@dataclass
class _Pinhole:
    """A pinhole camera that sees all the lens sees. `maps`: for each pixel of the picture, where the pinhole has it."""

    camera: Camera
    size: tuple[int, int]
    focal_px: float
    eye: tuple[core.Lens, core.LMatrix4f]
    maps: np.ndarray

    @classmethod
    def of(cls, camera: Camera) -> _Pinhole:
        width, height = camera.size_px
        y, x = np.mgrid[0:height, 0:width].astype(np.float32)
        pixels = np.stack([x, y], axis=-1).reshape(-1, 1, 2)
        rays = cv2.undistortPoints(
            pixels, camera.matrix, camera.distortion, criteria=(cv2.TERM_CRITERIA_COUNT, 40, 0)
        ).reshape(height, width, 2)
        radius = np.linalg.norm(rays, axis=-1)
        rays[radius > min(camera.valid_radius, _WIDEST)] = np.nan
        half = np.nanmax(np.abs(rays).reshape(-1, 2), axis=0) * 1.01
        focal = min(float(camera.matrix[0, 0]), _LARGEST_PX / 2 / float(half.max()))
        size = tuple(int(2 * np.ceil(h * focal / 2) * 1) + 2 for h in 2 * half)
        lens = core.PerspectiveLens()
        lens.set_film_size(*size)
        lens.set_focal_length(focal)
        lens.set_near_far(NEAR_M, FAR_M)
        r, p = camera.rotation, camera.position_m
        pose = np.vstack([[*r[0], 0], [*r[2], 0], [*-r[1], 0], [*p, 1]])
        maps = rays * focal + (np.array(size, np.float32) - 1) / 2
        return cls(camera, size, focal, (lens, core.LMatrix4f(*map(float, pose.ravel()))), np.nan_to_num(maps, nan=-9))


class SoftwareRenderer:
    def __init__(self, scene: Scene, cameras: Sequence[Camera]) -> None:
        self._pinholes = {c.camera_id: _Pinhole.of(c) for c in cameras}
        self._eyes_m = np.array([c.position_m for c in cameras])
        self._drawn = 0
        self.set_static(scene)

    def set_static(self, scene: Scene) -> None:
        self._scene, self._meshes = scene, {}
        self._sky = OpenSky(scene.static)
        self._atlas = colour_texture(scene.atlas)
        self._root, self._ids_root = core.NodePath("static"), core.NodePath("ids")
        for root in (self._root, self._ids_root):
            root.set_bin("unsorted", 0)  # else the order, and with it a pixel, hangs on where objects lie in memory
        self._root.set_texture(self._atlas)
        self._keyed: dict[Hashable, list[core.NodePath]] = {}
        for mesh in scene.static:
            if len(mesh.faces):
                self._add(mesh)
        for key, mesh in scene.keyed.items():
            self.replace_static(key, mesh)

    def replace_static(self, key: Hashable, mesh: Mesh | None) -> None:
        for node in self._keyed.pop(key, []):
            node.remove_node()
        self._meshes.pop(key, None)
        if mesh is not None and len(mesh.faces):
            self._meshes[key] = mesh
            self._keyed[key] = self._add(mesh)

    def _add(self, mesh: Mesh) -> list[core.NodePath]:
        # Light varies within a wall; bending edges is not needed here.
        rows, faces = tessellated(interleaved(mesh), mesh.faces, self._eyes_m, share=0.3, glossy_share=0.3, least_m=0.3)
        black = rows.copy()
        black[:, 6:9] = 0
        self._light_up(rows, self._sky.at(rows[:, :3]))
        roots = (self._root, rows), (self._ids_root, black)
        return [root.attach_new_node(geom_node(r, faces, static=False)) for root, r in roots]

    def _light_up(self, rows: np.ndarray, sky: np.ndarray | float = 1.0) -> None:
        light = np.sqrt(vertex_light(rows[:, :3], rows[:, 3:6], self._scene.light) * sky)
        rows[:, 6:9] = np.clip(rows[:, 6:9] * light[:, None] * np.sqrt(self._scene.light.tint), 0, 1)

    def draw_over(self, camera_id: str, movers: Sequence[Mesh]) -> Drawn:
        nodes = []
        for mesh in movers:
            if not len(mesh.faces):
                continue
            rows = interleaved(mesh)
            self._light_up(rows)
            nodes.append(geom_node(rows, mesh.faces, static=False))
        picture = self._seen(self._pinholes[camera_id], self._root, nodes, cv2.INTER_LINEAR, 1)
        self._drawn += 1  # no background is kept: each picture is one by itself
        return Drawn(picture, picture, self._drawn, ())

    def draw_ids(self, camera_id: str, movers: Sequence[Mesh], scale: int) -> np.ndarray:
        nodes = []
        for i, mesh in enumerate(movers):
            if not len(mesh.faces):
                continue
            rows = interleaved(mesh)
            rows[:, 6:9], rows[:, 10:12] = (i + 1) / 255, 0
            nodes.append(geom_node(rows, mesh.faces, static=False))
        return self._seen(self._pinholes[camera_id], self._ids_root, nodes, cv2.INTER_NEAREST, scale)[..., 2].copy()

    def depth_m(self, camera_id: str) -> np.ndarray:
        pinhole = self._pinholes[camera_id]
        near = np.full(pinhole.size[::-1], 1 / FAR_M, np.float32)
        for mesh in (*(m for m in self._scene.static if len(m.faces)), *self._meshes.values()):
            _paint_nearness(near, pinhole, *tessellated(interleaved(mesh), mesh.faces, pinhole.camera.position_m[None]))
        return 1 / cv2.remap(near, pinhole.maps, None, cv2.INTER_NEAREST, borderValue=1 / FAR_M)

    def _seen(
        self, pinhole: _Pinhole, root: core.NodePath, movers: list[core.GeomNode], how: int, scale: int
    ) -> np.ndarray:
        nodes = [root.attach_new_node(node) for node in movers]
        picture = target_for("software", *pinhole.size).draw(root, *pinhole.size, eye=pinhole.eye)
        for node in nodes:
            node.remove_node()
        rows, columns = (
            np.minimum(np.arange(scale // 2, n + scale // 2, scale), n - 1) for n in pinhole.maps.shape[:2]
        )
        maps = np.ascontiguousarray(pinhole.maps[np.ix_(rows, columns)])
        return cv2.remap(np.ascontiguousarray(picture[..., :3]), maps, None, how, borderMode=cv2.BORDER_CONSTANT)


def _paint_nearness(out: np.ndarray, pinhole: _Pinhole, rows: np.ndarray, faces: np.ndarray) -> None:
    """One over the distance of triangles into float32 (h, w), in place where they are nearest. It is linear on each."""
    points = (rows[:, :3] - pinhole.camera.position_m) @ pinhole.camera.rotation.T
    away = np.maximum(points[:, 2], 1e-6)
    pixels = points[:, :2] / away[:, None] * pinhole.focal_px + (np.array(pinhole.size) - 1) / 2
    a, b, c = pixels[faces].transpose(1, 0, 2)
    area = (b[:, 0] - a[:, 0]) * (c[:, 1] - a[:, 1]) - (b[:, 1] - a[:, 1]) * (c[:, 0] - a[:, 0])
    low = np.ceil(np.minimum(np.minimum(a, b), c).clip(0, None)).astype(int)
    high = np.floor(np.maximum(np.maximum(a, b), c)).clip(None, np.array(pinhole.size) - 1).astype(int)
    # Pixels run downwards, so that what faces the camera has a negative area.
    drawn = (area < -1e-9) & (points[:, 2][faces] > 0.05).all(axis=1) & (low <= high).all(axis=1)
    for t in np.flatnonzero(drawn):
        (x0, y0), (x1, y1) = low[t], high[t]
        x, y = np.arange(x0, x1 + 1), np.arange(y0, y1 + 1)[:, None]
        u = ((c[t, 0] - b[t, 0]) * (y - b[t, 1]) - (c[t, 1] - b[t, 1]) * (x - b[t, 0])) / area[t]
        v = ((a[t, 0] - c[t, 0]) * (y - c[t, 1]) - (a[t, 1] - c[t, 1]) * (x - c[t, 0])) / area[t]
        near = 1 / away[faces[t]]
        value = np.where((u >= 0) & (v >= 0) & (u + v <= 1), u * near[0] + v * near[1] + (1 - u - v) * near[2], 0)
        part = out[y0 : y1 + 1, x0 : x1 + 1]
        np.maximum(part, value, out=part)
