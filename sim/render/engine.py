# SPDX-License-Identifier: AGPL-3.0-or-later
"""`Renderer`: pictures of a scene as its cameras see it, by whatever this machine can draw with."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import numpy as np

from calibration.camera import Camera
from sim.render.context import choose_kind
from sim.render.drawn import Drawn
from sim.render.mesh import Mesh, Scene


class Renderer:
    """Draws what stands still once a camera, and what moves over it in every picture.

    `threads`: of Mesa's software GL; counts only before the first renderer of a process. How finely surfaces are cut up
    depends on all cameras that are given, so give all of them, whichever are drawn: then equal inputs give equal pixels
    on one machine. Not for use from several threads.
    """

    def __init__(self, scene: Scene, cameras: Sequence[Camera], *, threads: int = 1) -> None:
        if not cameras:
            raise ValueError("a renderer needs at least one camera, got none")
        self.kind = choose_kind(threads)
        if self.kind == "gl":
            from sim.render.check import check_gl
            from sim.render.gl import GlRenderer as Backend

            check_gl()
        else:
            from sim.render.software import SoftwareRenderer as Backend
        self._backend = Backend(scene, cameras)

    def set_static(self, scene: Scene) -> None:
        """Another room. Each camera's background is drawn anew when that camera draws next."""
        self._backend.set_static(scene)

    def replace_static(self, key: Hashable, mesh: Mesh | None) -> None:
        """Replace what stands still under `key` (see `Scene.keyed`), or remove it; only that part is drawn anew."""
        self._backend.replace_static(key, mesh)

    def draw(self, camera_id: str, movers: Sequence[Mesh]) -> np.ndarray:
        """uint8 (H, W, 3) BGR: the picture with the lens's distortion, without the sensor's faults (`sensor.py`).

        Pass the same `Mesh` objects to all cameras of an instant: each is uploaded once.
        """
        return self.draw_over(camera_id, movers).picture.copy()

    def draw_over(self, camera_id: str, movers: Sequence[Mesh]) -> Drawn:
        """The same with what it was drawn over, for a sensor that works out anew only what has changed."""
        return self._backend.draw_over(camera_id, movers)

    def draw_ids(self, camera_id: str, movers: Sequence[Mesh], scale: int = 4) -> np.ndarray:
        """uint8 (ceil(H / scale), ceil(W / scale)): 1 + index of the mover seen in each small pixel, 0 for none.

        At most 255 movers. Pixel (x, y) is the picture's part [x, x + 1) * scale - 0.5.
        """
        if len(movers) > 255:
            raise ValueError(f"draw_ids can tell 255 movers apart, got {len(movers)}")
        return self._backend.draw_ids(camera_id, movers, scale)

    def depth_m(self, camera_id: str) -> np.ndarray:
        """float32 (H, W): distance along the optical axis of what stands still in each pixel."""
        return self._backend.depth_m(camera_id)
