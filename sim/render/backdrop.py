# SPDX-License-Identifier: AGPL-3.0-or-later
"""What stands still: kept on the GL side in small parts, and for each camera as a picture with its depth.

A picture is drawn when its camera needs it. When something is replaced, only the part of the picture around it is drawn
anew, and only by the cameras that could see it.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field

import cv2
import numpy as np
from panda3d import core

from calibration.camera import Camera
from sim.render.ambient import OpenSky, crease_shade
from sim.render.mesh import Mesh, Scene
from sim.render.rects import Rect, bounds, box_points, disjoint, grown, overlap, scaled
from sim.render.shaders import FAR_M, INVERSE_SCALE, NEAR_M, camera_inputs, light_inputs, set_inputs, set_window, shader
from sim.render.target import target_for
from sim.render.tessellate import split_by_place, tessellated
from sim.render.upload import colour_texture, geom_node, interleaved, nearness_texture

SUPER = 2
"""Everything is drawn at this many times the size and averaged, which smooths edges."""
FLOOR_STEP = 2
"""Shadows are soft: where the floor is, is worked out for every other pixel."""

_CREASE_PX = 60  # a change is drawn anew with this much around it, for the shade in creases
_KEYS = 8  # keyed meshes that share a part
_CELL_M = 1.3


@dataclass
class _Part:
    """Triangles that are drawn together. `box_m`: points (64, 3) all over the box around them; None when empty."""

    meshes: dict[Hashable, Mesh] = field(default_factory=dict)
    node: core.NodePath | None = None
    box_m: np.ndarray | None = None
    seen: dict[str, tuple[float, Rect | None]] = field(default_factory=dict)

    def seen_by(self, camera: Camera) -> tuple[float, Rect | None]:
        """How far away it reaches, and where in the picture it may be."""
        found = self.seen.get(camera.camera_id)
        if found is None:
            away = float(np.linalg.norm(self.box_m - camera.position_m, axis=1).max())
            found = self.seen[camera.camera_id] = away, bounds(camera, self.box_m, margin_px=2)
        return found


class Picture:
    """The background of one camera.

    Attributes:
        colour: uint8 (H, W, 3) BGR.
        version: counts the changes of `colour`.
        painted: where the canvas differs from `colour`.
        nearness: uint16 (SUPER H, SUPER W), row 0 at the bottom: `INVERSE_SCALE` per metre of distance.
        nearness_map: the same as a texture.
        floor_xy: float32 (h, w, 2): floor coordinates in every `FLOOR_STEP`th pixel, far away where something else is.
    """

    def __init__(self, camera: Camera) -> None:
        self.camera = camera
        self.inputs = camera_inputs(camera)
        width, height = camera.size_px
        self.colour = np.zeros((height, width, 3), np.uint8)
        self.version = 0
        self.painted: list[Rect] = []
        self._canvas = self.colour.copy()
        self.nearness = np.zeros((height * SUPER, width * SUPER), np.uint16)
        self.floor_xy = np.zeros((-(-height // FLOOR_STEP), -(-width // FLOOR_STEP), 2), np.float32)
        self.nearness_map = nearness_texture(width * SUPER, height * SUPER)
        self.stale: list[Rect] = [(0, 0, width, height)]
        self._rays: np.ndarray | None = None

    def canvas(self) -> np.ndarray:
        """`colour` to be painted on: the same array each time, cleaned where it was `painted`."""
        for left, top, right, bottom in self.painted:
            self._canvas[top:bottom, left:right] = self.colour[top:bottom, left:right]
        self.painted.clear()
        return self._canvas

    def depth_m(self) -> np.ndarray:
        """float32 (H, W): distance along the optical axis."""
        return np.float32(INVERSE_SCALE) / np.maximum(self.nearness[::-SUPER, ::SUPER], 1)

    def find_floor(self, rect: Rect) -> None:
        """Work out `floor_xy` anew in a part of the picture."""
        if self._rays is None:
            self._rays = _floor_rays(self.camera, self.floor_xy.shape[:2])
        part = (
            slice(rect[1] // FLOOR_STEP, -(-rect[3] // FLOOR_STEP)),
            slice(rect[0] // FLOOR_STEP, -(-rect[2] // FLOOR_STEP)),
        )
        near = self.nearness[:: -SUPER * FLOOR_STEP, :: SUPER * FLOOR_STEP][part]
        depth = np.float32(INVERSE_SCALE) / np.maximum(near, 1)
        seen = self.camera.position_m.astype(np.float32) + self._rays[part] * depth[..., None]
        self.floor_xy[part] = np.where(np.abs(seen[..., 2:]) < 0.03, seen[..., :2], np.float32(1e6))


class Backdrop:
    """What stands still, and the pictures of all cameras."""

    def __init__(self, scene: Scene, cameras: Sequence[Camera]) -> None:
        self.pictures = {c.camera_id: Picture(c) for c in cameras}
        self._eyes_m = np.array([c.position_m for c in cameras], np.float32)
        self.set(scene)

    def set(self, scene: Scene) -> None:
        """Another room: all pictures are out of date."""
        self.light = scene.light
        self.light_inputs = light_inputs(scene.light)
        self.atlas = colour_texture(scene.atlas)
        self._sky = OpenSky(scene.static)
        self._root = core.NodePath("static")
        self._root.set_shader(shader("TEXTURED", "SHINY"))
        self._root.set_texture(self.atlas)
        set_inputs(self._root, self.light_inputs)
        self._parts: list[_Part] = []
        self._part_of: dict[Hashable, _Part] = {}
        static = [mesh for mesh in scene.static if len(mesh.faces)]
        if static:
            for rows, faces in split_by_place(*self._worked_out(static), _CELL_M):
                part = _Part()
                self._upload(part, rows, faces)
                self._parts.append(part)
        keys = [key for key, mesh in scene.keyed.items() if len(mesh.faces)]
        for start in range(0, len(keys), _KEYS):
            part = _Part({key: scene.keyed[key] for key in keys[start : start + _KEYS]})
            self._parts.append(part)
            self._part_of.update(dict.fromkeys(part.meshes, part))
            self._upload(part, *self._worked_out(list(part.meshes.values())))
        for picture in self.pictures.values():
            picture.stale = [(0, 0, *picture.camera.size_px)]

    def replace(self, key: Hashable, mesh: Mesh | None) -> None:
        """Other content, or none, under a key."""
        if mesh is not None and not len(mesh.faces):
            mesh = None
        part = self._part_of.get(key)
        if part is None:
            part = self._part_of[key] = _Part()
            self._parts.append(part)
        changed = [m for m in (part.meshes.pop(key, None), mesh) if m is not None]
        if mesh is not None:
            part.meshes[key] = mesh
        if part.node is not None:
            part.node.remove_node()
            part.node = part.box_m = None
        if part.meshes:
            self._upload(part, *self._worked_out(list(part.meshes.values())))
        for picture in self.pictures.values():
            for mesh in changed:
                rect = bounds(picture.camera, box_points(mesh.vertices_m), margin_px=4)
                if rect is not None and not _hidden(picture, mesh, rect):
                    picture.stale.append(rect)

    def _worked_out(self, meshes: Sequence[Mesh]) -> tuple[np.ndarray, np.ndarray]:
        """Vertices, small enough and with how open the sky above them is, and faces of some meshes."""
        starts = np.cumsum([0] + [len(m.vertices_m) for m in meshes])
        rows = np.concatenate([interleaved(m) for m in meshes])
        faces = np.concatenate([m.faces + start for m, start in zip(meshes, starts[:-1], strict=True)])
        rows, faces = tessellated(rows, faces, self._eyes_m)
        rows[:, 9] = self._sky.at(rows[:, :3])
        return rows, faces

    def _upload(self, part: _Part, rows: np.ndarray, faces: np.ndarray) -> None:
        part.node = self._root.attach_new_node(geom_node(rows, faces, static=True))
        part.box_m = box_points(rows[:, :3])
        part.seen = {}

    def picture(self, camera_id: str) -> Picture:
        """The background of a camera, brought up to date."""
        picture = self.pictures[camera_id]
        if picture.stale:
            for rect in disjoint([grown(r, _CREASE_PX, picture.camera.size_px) for r in picture.stale]):
                self._draw(picture, rect)
                picture.find_floor(rect)
            picture.stale = []
            picture.nearness_map.set_ram_image(picture.nearness)
        return picture

    def _draw(self, picture: Picture, rect: Rect) -> None:
        left, top, right, bottom = rect
        self._show_only(picture.camera, rect)
        set_inputs(self._root, picture.inputs)
        set_window(self._root, rect)
        width, height = (right - left) * SUPER, (bottom - top) * SUPER
        target = target_for("gl", width, height)
        colour = target.draw(self._root, width, height, depth=True)
        near = _nearness(target.take_depth(width, height))
        rows = slice((picture.camera.size_px[1] - bottom) * SUPER, (picture.camera.size_px[1] - top) * SUPER)
        picture.nearness[rows, left * SUPER : right * SUPER] = near
        shade = crease_shade(near[::-SUPER, ::SUPER].astype(np.float32) / INVERSE_SCALE)
        small = cv2.resize(colour, (right - left, bottom - top), interpolation=cv2.INTER_AREA)
        small = cv2.multiply(cv2.cvtColor(small, cv2.COLOR_BGRA2BGR), cv2.merge([shade] * 3), scale=1 / 255)
        # Near the rectangle's edge the shade does not know what lies beyond; there the old one is still right.
        limits = (0, 0, *picture.camera.size_px)
        keep = [0 if edge == limit else _CREASE_PX // 2 for edge, limit in zip(rect, limits, strict=True)]
        inner = slice(keep[1], bottom - top - keep[3]), slice(keep[0], right - left - keep[2])
        picture.colour[top:bottom, left:right][inner] = small[inner]
        picture.version += 1
        picture.painted.append(rect)

    def _show_only(self, camera: Camera, rect: Rect) -> None:
        """Show the parts that may be seen in a rectangle; what is near goes first, so that less is painted over."""
        parts = [p for p in self._parts if p.node is not None]
        parts.sort(key=lambda part: part.seen_by(camera)[0])
        for rank, part in enumerate(parts):
            seen = part.seen_by(camera)[1]
            if seen is not None and overlap(seen, rect):
                part.node.show()
                part.node.set_bin("fixed", rank)
            else:
                part.node.hide()


def _floor_rays(camera: Camera, shape: tuple[int, int], coarse: int = 8) -> np.ndarray:
    """float32 (*shape, 3): directions, of length 1 along the optical axis, in every `FLOOR_STEP`th pixel.

    They vary so smoothly that every eighth is worked out and the rest interpolated.
    """
    places = [
        ((np.arange(-1, -(-count // coarse) + 1) + 0.5) * coarse - 0.5) * FLOOR_STEP + (FLOOR_STEP - 1) / 2
        for count in (shape[1], shape[0])
    ]
    rays = camera.rays(np.stack(np.meshgrid(*places), axis=-1))
    rays = (rays / (rays @ camera.rotation[2])[..., None]).astype(np.float32)
    fine = cv2.resize(rays, None, fx=coarse, fy=coarse, interpolation=cv2.INTER_LINEAR)
    return np.ascontiguousarray(fine[coarse:, coarse:][: shape[0], : shape[1]])


def _nearness(window_depth: np.ndarray) -> np.ndarray:
    """Depth buffer values, float32 0..1, to uint16 multiples of one over the distance; that is a linear map."""
    near, far = INVERSE_SCALE / NEAR_M, INVERSE_SCALE / FAR_M
    out = np.multiply(window_depth, np.float32(far - near))
    out += np.float32(near + 0.5)
    return out.astype(np.uint16)


def _hidden(picture: Picture, mesh: Mesh, rect: Rect) -> bool:
    """Does all that the picture shows in a rectangle lie nearer than the mesh, which is then not seen?"""
    if picture.stale:
        return False
    nearest = picture.camera.depth_m(mesh.vertices_m).min() - 0.02
    height = picture.camera.size_px[1] * SUPER
    left, top, right, bottom = scaled(rect, SUPER)
    part = picture.nearness[height - bottom : height - top, left:right]
    return nearest > 0 and bool((part > INVERSE_SCALE / nearest).all())
