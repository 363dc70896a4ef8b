# SPDX-License-Identifier: AGPL-3.0-or-later
"""The renderer for OpenGL: what stands still is drawn once a camera, what moves is drawn over it where it is.

Everything is drawn at twice the size and averaged, which smooths edges. Movers leave premultiplied colour and coverage
in small rectangles; a fragment is dropped where the stored depth of what stands still lies before it.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field

import cv2
import numpy as np
from panda3d import core

from calibration.camera import Camera
from sim.render.ambient import OpenSky, crease_shade
from sim.render.mesh import Mesh, Scene, merged
from sim.render.shaders import MAX_LAMPS, shader
from sim.render.shading import lamp_scale
from sim.render.shadow import Shadow, cast_shadow
from sim.render.smear import smeared
from sim.render.target import Rect, shared_target
from sim.render.tessellate import tessellated
from sim.render.upload import colour_texture, depth_texture, geom_node, interleaved

NEAR_M, FAR_M = 0.1, 60.0
_SUPER = 2
_FLOOR_STEP = 2  # shadows are soft: worked out for every other pixel
_CREASE_PX = 60  # a change is drawn anew with this much around it, for the shade in creases
_OUTLINE = 4000  # vertices of a mover that are looked at to find out where it is
_CHUNK = 32  # keyed meshes that share a buffer


@dataclass
class _Picture:
    """What is kept of a camera: the background and its depth, and which parts of it are out of date."""

    camera: Camera
    uniforms: dict
    colour: np.ndarray | None = None
    depth: np.ndarray | None = None
    depth_map: core.Texture | None = None
    floor_xy: np.ndarray | None = None
    stale: list[Rect] = field(default_factory=list)


@dataclass
class _Chunk:
    meshes: dict[Hashable, Mesh]
    node: core.NodePath | None = None
    box_m: np.ndarray | None = None


@dataclass
class _Mover:
    """`mesh` is kept so that its id, the key, stays its own. `outline_m`: points (P, 3) all over it, `gap_m` apart at most
    from what they leave out."""

    mesh: Mesh
    body: core.GeomNode
    shadow: Shadow | None
    outline_m: np.ndarray
    sweep_m: np.ndarray | None
    gap_m: float

    def bounds(self, camera: Camera) -> Rect | None:
        margin, gap_m = 2, self.gap_m
        if self.sweep_m is not None:
            gap_m += float(np.abs(self.sweep_m).max()) / 2
        if gap_m:
            nearest = max(float(camera.depth_m(self.outline_m[::16]).min()), 0.3)
            margin += int(np.ceil(gap_m * camera.matrix[0, 0] / nearest))
        return _bounds(camera, self.outline_m, margin, dense=True)


class GlRenderer:
    def __init__(self, scene: Scene, cameras: Sequence[Camera]) -> None:
        self._pictures = {c.camera_id: _Picture(c, _camera_uniforms(c)) for c in cameras}
        self._eyes_m = np.array([c.position_m for c in cameras], np.float32)
        width = max(c.size_px[0] for c in cameras)
        height = max(c.size_px[1] for c in cameras)
        self._target = shared_target("gl", width * _SUPER, height * _SUPER)
        self._movers: OrderedDict[int, _Mover] = OrderedDict()
        self.set_static(scene)

    # -- what stands still

    def set_static(self, scene: Scene) -> None:
        self._sky = OpenSky(scene.static)
        self._atlas = colour_texture(scene.atlas)
        self._light = _light_uniforms(scene)
        self._scene = scene
        self._root = core.NodePath("static")
        self._root.set_shader(shader("TEXTURED", "SHINY"))
        self._root.set_texture(self._atlas)
        self._set_inputs(self._root, self._light)
        self._chunks: list[_Chunk] = []
        self._chunk_of: dict[Hashable, _Chunk] = {}
        for i, mesh in enumerate(scene.static):
            self._chunks.append(_Chunk({("static", i): mesh}))
        keys = list(scene.keyed)
        for start in range(0, len(keys), _CHUNK):
            chunk = _Chunk({key: scene.keyed[key] for key in keys[start : start + _CHUNK]})
            self._chunks.append(chunk)
            self._chunk_of.update(dict.fromkeys(chunk.meshes, chunk))
        for chunk in self._chunks:
            self._build(chunk)
        for picture in self._pictures.values():
            picture.colour = None

    def replace_static(self, key: Hashable, mesh: Mesh | None) -> None:
        chunk = self._chunk_of.get(key)
        if chunk is None:
            chunk = self._chunk_of[key] = _Chunk({})
            self._chunks.append(chunk)
        changed = [m for m in (chunk.meshes.get(key), mesh) if m is not None]
        if mesh is None:
            chunk.meshes.pop(key, None)
        else:
            chunk.meshes[key] = mesh
        self._build(chunk)
        for picture in self._pictures.values():
            for part in changed:
                rect = _bounds(picture.camera, _box(part.vertices_m), margin=4)
                if picture.colour is not None and rect is not None:
                    picture.stale.append(rect)

    def _build(self, chunk: _Chunk) -> None:
        if chunk.node is not None:
            chunk.node.remove_node()
            chunk.node = chunk.box_m = None
        if not chunk.meshes:
            return
        # Mirrored lamps are worked out in the vertices, so what shines needs smaller pieces.
        parts = [
            tessellated(m, self._eyes_m, share=0.15 if m.gloss < 0.01 else 0.06) for m in chunk.meshes.values()
        ]
        rows = np.concatenate([interleaved(p, self._sky.at(p.vertices_m)) for p in parts])
        mesh = merged(parts)
        chunk.node = self._root.attach_new_node(geom_node(rows, mesh.faces, static=True))
        chunk.box_m = _box(mesh.vertices_m)

    def _refresh(self, picture: _Picture) -> None:
        width, height = picture.camera.size_px
        if picture.colour is None:
            picture.colour = np.zeros((height, width, 3), np.uint8)
            picture.depth = np.ones((height * _SUPER, width * _SUPER), np.float32)
            picture.stale = [(0, 0, width, height)]
        if not picture.stale:
            return
        for rect in _disjoint([_grown(r, _CREASE_PX, width, height) for r in picture.stale]):
            self._refresh_rect(picture, rect)
        picture.stale = []
        picture.depth_map = depth_texture(picture.depth)
        picture.floor_xy = None

    def _refresh_rect(self, picture: _Picture, rect: Rect) -> None:
        left, top, right, bottom = rect
        chunks = [c for c in self._chunks if c.node is not None]
        # What is near goes first, so that less is painted over.
        away = [np.linalg.norm(c.box_m - picture.camera.position_m, axis=1).max() for c in chunks]
        for rank, index in enumerate(np.argsort(away, kind="stable")):
            chunk = chunks[index]
            seen = _bounds(picture.camera, chunk.box_m, margin=2)
            if seen is not None and _overlap(seen, rect):
                chunk.node.show()
                chunk.node.set_bin("fixed", rank)
            else:
                chunk.node.hide()
        self._set_inputs(self._root, picture.uniforms)
        self._set_window(self._root, rect)
        full_height, full_width = picture.depth.shape
        drawn = tuple(v * _SUPER for v in rect)
        (colour,) = self._target.draw([(self._root, drawn)], full_height, depth=True)
        # Depth stays upside down, as GL has it.
        part = slice(full_height - drawn[3], full_height - drawn[1]), slice(drawn[0], drawn[2])
        picture.depth[part] = self._target.take_depth()[:full_height, :full_width][part]
        shade = crease_shade(_metres(picture.depth[part][::-_SUPER, ::_SUPER]))
        colour = cv2.multiply(_halved(colour)[..., :3], cv2.merge([shade] * 3), scale=1 / 255)
        # Near the rectangle's edge the shade does not know what lies beyond; there the old one is still right.
        keep = [0 if edge == limit else _CREASE_PX // 2 for edge, limit in zip(rect, (0, 0, *picture.camera.size_px))]
        inner = slice(keep[1], bottom - top - keep[3]), slice(keep[0], right - left - keep[2])
        picture.colour[top:bottom, left:right][inner] = colour[inner]

    # -- what moves

    def draw(self, camera_id: str, movers: Sequence[Mesh]) -> np.ndarray:
        picture = self._pictures[camera_id]
        self._refresh(picture)
        out = picture.colour.copy()
        for mover in map(self._mover, movers):
            if mover.shadow is not None:
                self._darken(picture, out, mover.shadow)
        groups = self._groups(picture, movers)
        jobs = [(self._scene_of(picture, group, rect), tuple(v * _SUPER for v in rect)) for group, rect in groups]
        if jobs:
            layers = self._target.draw(jobs, picture.camera.size_px[1] * _SUPER)
            for (group, rect), layer in zip(groups, layers, strict=True):
                left, top, right, bottom = rect
                _lay_over(out[top:bottom, left:right], self._smeared(picture, group, rect, _halved(layer)))
        return out

    def draw_ids(self, camera_id: str, movers: Sequence[Mesh], scale: int) -> np.ndarray:
        picture = self._pictures[camera_id]
        self._refresh(picture)
        width, height = picture.camera.size_px
        root = core.NodePath("ids")
        self._set_inputs(root, self._light)
        self._set_inputs(root, picture.uniforms)
        self._set_window(root, (0, 0, width, height))
        root.set_bin("unsorted", 0)
        root.set_shader(shader("MOVER", "IDS"), 2)
        root.set_shader_input("behind", picture.depth_map)
        root.set_shader_input("tint", (*self._light["tint"][:3], float(_SUPER * scale)))
        for i, mesh in enumerate(movers):
            root.attach_new_node(self._mover(mesh).body).set_shader_input("id", (i + 1) / 255.0)
        size = -(-width // scale), -(-height // scale)
        self._set_window(root, (0, 0, size[0] * scale, size[1] * scale))
        (ids,) = self._target.draw([(root, (0, 0, *size))], size[1])
        return ids[..., 2].copy()

    def depth_m(self, camera_id: str) -> np.ndarray:
        picture = self._pictures[camera_id]
        self._refresh(picture)
        return _metres(picture.depth[::-_SUPER, ::_SUPER])

    def _mover(self, mesh: Mesh) -> _Mover:
        """The mesh as it was uploaded for another camera of the same instant, or uploaded now."""
        key = id(mesh)
        if key in self._movers:
            self._movers.move_to_end(key)
            return self._movers[key]
        node = geom_node(interleaved(mesh), mesh.faces, static=False)
        kinds = [k for k, used in (("TEXTURED", mesh.uv is not None), ("SHINY", mesh.gloss > 0.01)) if used]
        core.NodePath(node).set_shader(shader("MOVER", *kinds), 1)
        step = -(-len(mesh.vertices_m) // _OUTLINE)
        outline = mesh.vertices_m[::step]
        sweep = None if mesh.swept_m is None else mesh.swept_m[::step]
        mover = _Mover(mesh, node, cast_shadow(outline, self._scene.light), outline, sweep, 0.0 if step == 1 else 0.025)
        self._movers[key] = mover
        while len(self._movers) > 64:
            self._movers.popitem(last=False)
        return mover

    def _groups(self, picture: _Picture, movers: Sequence[Mesh]) -> list[tuple[list[_Mover], Rect]]:
        """Movers whose rectangles overlap are drawn together, so that they hide each other."""
        groups: list[tuple[list[_Mover], Rect]] = []
        for mover in map(self._mover, movers):
            rect = mover.bounds(picture.camera)
            members = [mover]
            while rect is not None:
                hit = next((g for g in groups if _overlap(g[1], rect)), None)
                if hit is None:
                    groups.append((members, rect))
                    break
                groups = [g for g in groups if g is not hit]  # meshes are arrays: no == on them
                members, rect = hit[0] + members, _union(hit[1], rect)
        return groups

    @staticmethod
    def _smeared(picture: _Picture, group: list[_Mover], rect: Rect, layer: np.ndarray) -> np.ndarray:
        moving = [m for m in group if m.sweep_m is not None]
        if not moving:
            return layer
        points = np.concatenate([m.outline_m for m in moving])
        half = np.concatenate([m.sweep_m for m in moving]) / 2
        way = picture.camera.project(points + half) - picture.camera.project(points - half)
        return smeared(layer, picture.camera.project(points) - rect[:2], way)

    def _darken(self, picture: _Picture, out: np.ndarray, shadow: Shadow) -> None:
        rect = _bounds(picture.camera, shadow.outline_m, margin=0, dense=True)
        if rect is None:
            return
        if picture.floor_xy is None:
            picture.floor_xy = _floor_xy(picture.camera, _metres(picture.depth[::-_SUPER, ::_SUPER]))
        left, top, right, bottom = (v // _FLOOR_STEP for v in rect)
        part = picture.floor_xy[top : bottom + 1, left : right + 1]
        dark = cv2.remap(shadow.kept, (part - shadow.corner_m) / shadow.cell_m, None, cv2.INTER_LINEAR,
                         borderMode=cv2.BORDER_CONSTANT, borderValue=255)
        dark = cv2.resize(dark, None, fx=_FLOOR_STEP, fy=_FLOOR_STEP, interpolation=cv2.INTER_LINEAR)
        below = out[top * _FLOOR_STEP :, left * _FLOOR_STEP :][: dark.shape[0], : dark.shape[1]]
        dark = dark[: below.shape[0], : below.shape[1]]
        below[:] = cv2.multiply(below, cv2.merge([dark, dark, dark]), scale=1 / 255)

    def _scene_of(self, picture: _Picture, group: list[_Mover], rect: Rect) -> core.NodePath:
        root = core.NodePath("movers")
        self._set_inputs(root, self._light)
        self._set_inputs(root, picture.uniforms)
        self._set_window(root, rect)
        root.set_texture(self._atlas)
        root.set_bin("unsorted", 0)  # else the order, and with it a pixel, hangs on where objects lie in memory
        root.set_shader_input("behind", picture.depth_map)
        for mover in group:
            root.attach_new_node(mover.body)
        return root

    @staticmethod
    def _set_inputs(root: core.NodePath, uniforms: dict) -> None:
        for name, value in uniforms.items():
            root.set_shader_input(name, value)

    @staticmethod
    def _set_window(root: core.NodePath, rect: Rect) -> None:
        left, top, right, bottom = rect
        root.set_shader_input("window", (left, top, right - left, bottom - top))


def _camera_uniforms(camera: Camera) -> dict:
    k1, k2, p1, p2, k3 = map(float, camera.distortion)
    m = camera.matrix
    view = np.eye(4)
    view[:3, :3], view[:3, 3] = camera.rotation, camera.translation
    return {
        "view": core.LMatrix4f(*map(float, view.T.ravel())),  # Panda3D's matrices act on row vectors
        "eye": core.LVecBase3f(*map(float, camera.position_m)),
        "intrinsics": (float(m[0, 0]), float(m[1, 1]), float(m[0, 2]), float(m[1, 2])),
        "radial": (k1, k2, k3, float(m[0, 1])),
        "tangential": core.LVecBase3f(p1, p2, min(camera.valid_radius**2, 1e4)),
        "near_far": core.LVecBase2f(NEAR_M, FAR_M),
    }


def _light_uniforms(scene: Scene) -> dict:
    lamps = np.asarray(scene.light.lamps_m, np.float32).reshape(-1, 3)
    if len(lamps) > MAX_LAMPS:
        lamps = lamps[np.linspace(0, len(lamps) - 1, MAX_LAMPS).round().astype(int)]
    array = core.PTA_LVecBase3f([core.LVecBase3f(*map(float, p)) for p in lamps])
    for _ in range(MAX_LAMPS - len(lamps)):
        array.push_back(core.LVecBase3f(0, 0, 0))
    direct = scene.light.direct * lamp_scale(lamps)
    return {
        "light": (scene.light.ambient, direct, float(len(lamps)), 0.0),
        "lamps": array,
        "tint": (*scene.light.tint[::-1], 1.0),
    }


def _metres(window_depth: np.ndarray) -> np.ndarray:
    """Depth buffer values to distances along the optical axis."""
    return NEAR_M * FAR_M / (FAR_M - window_depth * (FAR_M - NEAR_M))


def _floor_xy(camera: Camera, depth_m: np.ndarray) -> np.ndarray:
    """float32 (h, w, 2): floor coordinates seen in every `_FLOOR_STEP`th pixel, far away where it is not the floor."""
    y, x = np.mgrid[0 : depth_m.shape[0] : _FLOOR_STEP, 0 : depth_m.shape[1] : _FLOOR_STEP]
    rays = camera.rays(np.stack([x, y], axis=-1) + (_FLOOR_STEP - 1) / 2)
    reach = depth_m[::_FLOOR_STEP, ::_FLOOR_STEP] / (rays @ camera.rotation[2])
    seen = camera.position_m + rays * reach[..., None]
    return np.where(np.abs(seen[..., 2:]) < 0.03, seen[..., :2], 1e6).astype(np.float32)


def _box(points_m: np.ndarray) -> np.ndarray:
    """Points (64, 3) all over the box around points (N, 3): a lens bends its edges outwards."""
    low, high = points_m.min(axis=0), points_m.max(axis=0)
    return low + (high - low) * np.stack(np.meshgrid(*[np.linspace(0, 1, 4)] * 3), axis=-1).reshape(-1, 3)


def _bounds(camera: Camera, points_m: np.ndarray, margin: int, *, dense: bool = False) -> Rect | None:
    """Part of the picture that may show what lies between points; None when nothing does.

    `dense`: the points are a surface, so what is behind the camera or beyond its lens is not in the picture either. Else
    what is seen of it may reach any edge.
    """
    width, height = camera.size_px
    pixels = camera.project(points_m)
    finite = np.isfinite(pixels).all(axis=-1)
    if not dense and not finite.all():
        return (0, 0, width, height) if (camera.depth_m(points_m) > NEAR_M).any() else None
    pixels = pixels[finite]
    if not len(pixels):
        return None
    low = np.floor(pixels.min(axis=0)).astype(int) - margin
    high = np.ceil(pixels.max(axis=0)).astype(int) + margin + 1
    left, top = max(low[0], 0), max(low[1], 0)
    right, bottom = min(high[0], width), min(high[1], height)
    return (int(left), int(top), int(right), int(bottom)) if left < right and top < bottom else None


def _grown(rect: Rect, by: int, width: int, height: int) -> Rect:
    left, top, right, bottom = rect
    # Whole steps of four keep the coarse grid of the shade in place.
    low = [max(v - by, 0) // 4 * 4 for v in (left, top)]
    high = [min(-(-(v + by) // 4) * 4, limit) for v, limit in ((right, width), (bottom, height))]
    return low[0], low[1], high[0], high[1]


def _overlap(a: Rect, b: Rect) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]


def _union(a: Rect, b: Rect) -> Rect:
    return min(a[0], b[0]), min(a[1], b[1]), max(a[2], b[2]), max(a[3], b[3])


def _disjoint(rects: list[Rect]) -> list[Rect]:
    out: list[Rect] = []
    for rect in rects:
        while hit := next((r for r in out if _overlap(r, rect)), None):
            out.remove(hit)
            rect = _union(hit, rect)
        out.append(rect)
    return out


def _halved(pixels: np.ndarray) -> np.ndarray:
    size = pixels.shape[1] // _SUPER, pixels.shape[0] // _SUPER
    return cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)


def _lay_over(below: np.ndarray, layer: np.ndarray) -> None:
    """Premultiplied uint8 (h, w, 4) BGRA over uint8 (h, w, 3), in place."""
    clear = cv2.bitwise_not(np.ascontiguousarray(layer[..., 3]))
    kept = cv2.multiply(below, cv2.merge([clear, clear, clear]), scale=1 / 255)
    below[:] = cv2.add(kept, cv2.cvtColor(layer, cv2.COLOR_BGRA2BGR))
