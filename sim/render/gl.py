# SPDX-License-Identifier: AGPL-3.0-or-later
"""The renderer for OpenGL: what moves is drawn over a kept picture of what stands still, only where it is.

Movers leave premultiplied colour and coverage in small rectangles; a fragment is dropped where what stands still is
known to be nearer. The rest is two-dimensional: shadows darken the floor, layers are smeared and laid over.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import cv2
import numpy as np
from panda3d import core

from calibration.camera import Camera
from sim.render.backdrop import FLOOR_STEP, SUPER, Backdrop, Picture
from sim.render.drawn import Drawn
from sim.render.mesh import Mesh, Scene
from sim.render.movers import Mover, MoverCache, grouped
from sim.render.rects import Rect, bounds, grown
from sim.render.shaders import set_inputs, set_window, shader
from sim.render.shadow import Shadow
from sim.render.smear import smeared
from sim.render.target import target_for

_LARGE_PX = 60_000  # from here on movers are drawn with one sample a pixel
_MOTION_POINTS = 600


class GlRenderer:
    """See `engine.Renderer`."""

    def __init__(self, scene: Scene, cameras: Sequence[Camera]) -> None:
        self._backdrop = Backdrop(scene, cameras)
        self._movers = MoverCache()

    def set_static(self, scene: Scene) -> None:
        self._backdrop.set(scene)
        self._movers.clear()

    def replace_static(self, key: Hashable, mesh: Mesh | None) -> None:
        self._backdrop.replace(key, mesh)

    def draw_over(self, camera_id: str, movers: Sequence[Mesh]) -> Drawn:
        picture = self._backdrop.picture(camera_id)
        out = picture.canvas()
        present = [self._movers.get(mesh, self._backdrop.light) for mesh in movers if len(mesh.faces)]
        for mover in present:
            shadow = mover.shadow_seen_by(picture.camera)
            rect = None if shadow is None else _shadow_rect(picture.camera, shadow)
            if rect is not None:
                _darken(picture, out, shadow, rect)
                picture.painted.append(rect)
        for group, rect in grouped(present, picture.camera):
            left, top, right, bottom = rect
            layer = self._layer(picture, group, rect)
            layer = _with_motion(picture.camera, group, (left, top), layer)
            _lay_over(out[top:bottom, left:right], layer)
            picture.painted.append(rect)
        return Drawn(out, picture.colour, picture.version, tuple(picture.painted))

    def _layer(self, picture: Picture, group: list[Mover], rect: Rect) -> np.ndarray:
        """uint8 (h, w, 4): premultiplied colour and coverage of movers in a part of the picture."""
        left, top, right, bottom = rect
        width, height = right - left, bottom - top
        times = SUPER if width * height < _LARGE_PX else 1
        root = self._scene_of(picture, group, rect, SUPER // times)
        layer = target_for("gl", width * times, height * times).draw(root, width * times, height * times)
        if times == 1:
            # So near the camera a soft edge does instead of one of four samples.
            return cv2.GaussianBlur(layer, (3, 3), 0.55)
        return cv2.resize(layer, (width, height), interpolation=cv2.INTER_AREA)

    def draw_ids(self, camera_id: str, movers: Sequence[Mesh], scale: int) -> np.ndarray:
        picture = self._backdrop.picture(camera_id)
        size = [-(-v // scale) for v in picture.camera.size_px]
        root = self._scene_of(picture, [], (0, 0, size[0] * scale, size[1] * scale), SUPER * scale)
        root.set_shader(shader("MOVER", "IDS"), 2)
        for i, mesh in enumerate(movers):
            if not len(mesh.faces):
                continue
            node = root.attach_new_node(self._movers.get(mesh, self._backdrop.light).node)
            node.set_shader_input("id", (i + 1) / 255.0)
        ids = target_for("gl", *size).draw(root, *size)
        return ids[..., 2].copy()

    def depth_m(self, camera_id: str) -> np.ndarray:
        return self._backdrop.picture(camera_id).depth_m()

    def _scene_of(self, picture: Picture, group: list[Mover], rect: Rect, step: int) -> core.NodePath:
        """`step`: how many pixels of the stored nearness each drawn pixel spans."""
        root = core.NodePath("movers")
        set_inputs(root, self._backdrop.light_inputs)
        set_inputs(root, picture.inputs)
        set_window(root, rect)
        root.set_texture(self._backdrop.atlas)
        root.set_bin("unsorted", 0)  # else the order, and with it a pixel, hangs on where objects lie in memory
        root.set_shader_input("behind", picture.nearness_map)
        below = picture.camera.size_px[1] - rect[3]
        root.set_shader_input("place", (float(rect[0] * SUPER), float(below * SUPER), float(step)))
        for mover in group:
            root.attach_new_node(mover.node)
        return root


def _shadow_rect(camera: Camera, shadow: Shadow) -> Rect | None:
    """Where in the picture a shadow may be seen, in whole steps of `FLOOR_STEP`."""
    rect = bounds(camera, shadow.outline_m, margin_px=0, dense=True)
    return None if rect is None else grown(rect, 0, camera.size_px, FLOOR_STEP)


def _darken(picture: Picture, out: np.ndarray, shadow: Shadow, rect: Rect) -> None:
    """A shadow on the floor, in place; only where the floor is seen."""
    left, top, right, bottom = rect
    step = FLOOR_STEP
    seen = picture.floor_xy[top // step : -(-bottom // step), left // step : -(-right // step)]
    cells = (seen - shadow.corner_m) * np.float32(1 / shadow.cell_m)
    kept = cv2.remap(
        shadow.kept, cells, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT, borderValue=(255, 255, 255, 255)
    )
    kept = cv2.resize(kept, None, fx=step, fy=step, interpolation=cv2.INTER_LINEAR)[: bottom - top, : right - left]
    below = out[top:bottom, left:right]
    below[:] = cv2.multiply(below, cv2.merge([kept, kept, kept]), scale=1 / 255)


def _with_motion(camera: Camera, group: list[Mover], corner: tuple[int, int], layer: np.ndarray) -> np.ndarray:
    moving = [m for m in group if m.swept_m is not None]
    if not moving:
        return layer
    # What does not say how it moves, such as an item in a hand, moves like what is around it.
    steps = [-(-len(m.outline_m) // _MOTION_POINTS) for m in moving]
    points = np.concatenate([m.outline_m[::k] for m, k in zip(moving, steps, strict=True)])
    half = np.concatenate([m.swept_m[::k] for m, k in zip(moving, steps, strict=True)]) / 2
    ends = camera.project(np.stack([points - half, points + half]))
    return smeared(layer, ends.mean(axis=0) - corner, ends[1] - ends[0])


def _lay_over(below: np.ndarray, layer: np.ndarray) -> None:
    """Premultiplied uint8 (h, w, 4) BGRA over uint8 (h, w, 3), in place."""
    clear = cv2.bitwise_not(cv2.extractChannel(layer, 3))
    kept = cv2.multiply(below, cv2.merge([clear, clear, clear]), scale=1 / 255)
    below[:] = cv2.add(kept, cv2.cvtColor(layer, cv2.COLOR_BGRA2BGR))
