# SPDX-License-Identifier: AGPL-3.0-or-later
"""Drawing targets: off-screen buffers into whose lower left corner scenes are drawn and from where they are read."""

from __future__ import annotations

from functools import cache

import numpy as np
from panda3d import core

from sim.render.context import RendererError, engine, open_target

_STEP_PX = 512


class Target:
    """`size`: width and height in pixels. Clearing and reading cost as much as the size, so there are several."""

    def __init__(self, kind: str, width: int, height: int) -> None:
        self.size = width, height
        buffer = open_target(kind, width, height)
        if buffer is None:
            raise RendererError(f"cannot open an off-screen picture of {width}x{height} pixels: use smaller cameras")
        # Clearing all of a buffer is many times faster than clearing a part of it.
        buffer.set_clear_color_active(True)
        buffer.set_clear_color((0, 0, 0, 0))
        buffer.set_clear_depth_active(True)
        buffer.set_active(False)
        self._buffer = buffer
        self._region = buffer.make_display_region()
        self._camera = core.NodePath(core.Camera("view"))
        self._region.set_camera(self._camera)
        # Kept: a screenshot of its own for each picture takes several times as long, most of it for fresh memory.
        self._colour = core.Texture("colour")
        self._depth: core.Texture | None = None
        self._keep_colour()

    def _keep_colour(self) -> None:
        copy, plane = core.GraphicsOutput.RTM_copy_ram, core.GraphicsOutput.RTP_color
        self._buffer.add_render_texture(self._colour, copy, plane)

    def draw(
        self,
        root: core.NodePath,
        width: int,
        height: int,
        *,
        depth: bool = False,
        eye: tuple[core.Lens, core.LMatrix4f] | None = None,
    ) -> np.ndarray:
        """Draw a scene; uint8 (height, width, 4) BGRA, row 0 on top.

        `eye`: lens and pose for a scene whose shader does not project by itself. `depth`: `take_depth` then gives what
        was left in the depth buffer.
        """
        self._region.set_dimensions(0, width / self.size[0], 0, height / self.size[1])
        self._camera.node().set_scene(root)
        if eye is not None:
            self._camera.node().set_lens(eye[0])
            self._camera.set_mat(eye[1])
        if depth:
            self._depth = core.Texture("depth")
            self._depth.set_format(core.Texture.F_depth_component)
            self._depth.set_component_type(core.Texture.T_float)
            self._buffer.add_render_texture(
                self._depth, core.GraphicsOutput.RTM_copy_ram, core.GraphicsOutput.RTP_depth
            )
        self._buffer.set_active(True)
        engine().render_frame()
        self._buffer.set_active(False)
        whole = np.frombuffer(memoryview(self._colour.get_ram_image()), np.uint8)
        if depth:
            self._buffer.clear_render_textures()
            self._keep_colour()
        return whole.reshape(self.size[1], self.size[0], -1)[:height, :width][::-1]

    def take_depth(self, width: int, height: int) -> np.ndarray:
        """float32 (height, width), row 0 at the bottom: depth left by the last draw that asked for it."""
        assert self._depth is not None
        values = np.frombuffer(memoryview(self._depth.get_ram_image()), np.float32)
        self._depth = None
        return values.reshape(self.size[1], self.size[0])[:height, :width]


@cache
def _shared(kind: str, width: int, height: int) -> Target:
    return Target(kind, width, height)


def target_for(kind: str, width: int, height: int) -> Target:
    """A target that is large enough. There is one of a size in a process: drawing is synchronous."""
    return _shared(kind, *(-(-v // _STEP_PX) * _STEP_PX for v in (width, height)))
