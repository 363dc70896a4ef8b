# SPDX-License-Identifier: AGPL-3.0-or-later
"""A drawing target: draw scenes into rectangles of one off-screen buffer and read just these rectangles back."""

from __future__ import annotations

from functools import cache

import numpy as np
from panda3d import core

from sim.render.context import RendererError, engine, open_target
from sim.render.rects import Rect


class Target:
    """`size`: width and height in pixels. Rectangles of one picture are drawn in one go and lie where the picture has them."""

    def __init__(self, kind: str, width: int, height: int) -> None:
        self.size = width, height
        buffer = open_target(kind, width, height)
        if buffer is None:
            raise RendererError(f"cannot open an off-screen picture of {width}x{height} pixels: use smaller cameras")
        self._buffer = buffer
        self._buffer.set_clear_color_active(False)
        self._buffer.set_clear_depth_active(False)
        self._buffer.set_active(False)
        self._views: list[tuple[core.DisplayRegion, core.NodePath]] = []
        self._depth: core.Texture | None = None

    def _view(self, index: int) -> tuple[core.DisplayRegion, core.NodePath]:
        while len(self._views) <= index:
            region = self._buffer.make_display_region()
            region.set_clear_color_active(True)
            region.set_clear_color((0, 0, 0, 0))
            region.set_clear_depth_active(True)
            region.set_active(False)
            camera = core.NodePath(core.Camera("view"))
            region.set_camera(camera)
            self._views.append((region, camera))
        return self._views[index]

    def draw(
        self,
        jobs: list[tuple[core.NodePath, Rect]],
        picture_height: int,
        *,
        depth: bool = False,
        eye: tuple[core.Lens, core.LMatrix4f] | None = None,
    ) -> list[np.ndarray]:
        """Draw each scene into its rectangle of a picture in the target's bottom left corner; uint8 (h, w, 4) BGRA a job.

        `eye`: lens and pose for scenes whose shader does not project by itself. `depth`: `take_depth` then gives what was left in the depth buffer.
        """
        width, height = self.size
        regions = []
        for i, (root, (left, top, right, bottom)) in enumerate(jobs):
            region, camera = self._view(i)
            low, high = picture_height - bottom, picture_height - top
            region.set_dimensions(left / width, right / width, low / height, high / height)
            camera.node().set_scene(root)
            if eye is not None:
                camera.node().set_lens(eye[0])
                camera.set_mat(eye[1])
            region.set_active(True)
            regions.append(region)
        if depth:
            self._depth = core.Texture("depth")
            self._depth.set_format(core.Texture.F_depth_component)
            self._depth.set_component_type(core.Texture.T_float)
            self._buffer.add_render_texture(
                self._depth, core.GraphicsOutput.RTM_copy_ram, core.GraphicsOutput.RTP_depth
            )
        self._buffer.set_active(True)
        engine().render_frame()
        out = []
        for region, (_, (left, top, right, bottom)) in zip(regions, jobs, strict=True):
            shot = region.get_screenshot()
            pixels = np.frombuffer(memoryview(shot.get_ram_image()), np.uint8)
            out.append(pixels.reshape(bottom - top, right - left, -1)[::-1])
            region.set_active(False)
        self._buffer.set_active(False)
        if depth:
            self._buffer.clear_render_textures()
        return out

    def take_depth(self) -> np.ndarray:
        """float32 (H, W) of the whole target, row 0 at the bottom: depth left by the last draw that asked for it.

        Only rectangles drawn just then hold anything sensible.
        """
        assert self._depth is not None
        values = np.frombuffer(memoryview(self._depth.get_ram_image()), np.float32)
        self._depth, out = None, values.reshape(self.size[1], self.size[0])
        return out


@cache
def shared_target(kind: str, width: int, height: int) -> Target:
    """One target a size and process: contexts are costly and drawing is synchronous."""
    return Target(kind, width, height)
