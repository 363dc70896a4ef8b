# SPDX-License-Identifier: AGPL-3.0-or-later
"""Does this machine's OpenGL draw what it is given?

Some drivers refuse to read an off-screen buffer and leave what was there before: pictures look right now and then, but
who is where, and how far away, is made up. The truth and the labels of training pictures rest on these, so a handful of
tiny pictures whose content is known are drawn before the first real one.
"""

from __future__ import annotations

from functools import cache

import numpy as np

from calibration.camera import Camera, look_at
from sim.render.context import RendererError, driver_name
from sim.render.mesh import Mesh, Scene

_SIZE_PX = 64, 48
_ATLAS = np.full((8, 8, 3), 255, np.uint8)
_ADVICE = (
    "have Mesa draw (apt install libegl-mesa0 libgl1-mesa-dri, then set "
    "__EGL_VENDOR_LIBRARY_FILENAMES=/usr/share/glvnd/egl_vendor.d/50_mesa.json), or set WALKOUT_RENDERER=software"
)


@cache
def check_gl() -> None:
    """Raise `RendererError` where OpenGL gives wrong pictures; once a process, some hundredths of a second."""
    from sim.render.gl import GlRenderer

    eye = np.array([0.0, 0.0, 1.0])
    matrix = np.array([[40.0, 0, 31.5], [0, 40, 23.5], [0, 0, 1]])
    camera = Camera("check", _SIZE_PX, matrix, np.zeros(5), look_at(eye, np.array([1.0, 0, 1])), eye)
    renderer = GlRenderer(Scene((_board(3.0, (-3, 3)),), _ATLAS), [camera])
    left, right, behind = _board(2.0, (0.3, 0.9)), _board(2.0, (-0.9, -0.3)), _board(4.0, (0.3, 0.9))
    empty = renderer.draw_over("check", []).picture.copy()
    # Twice the same place would pass with a picture that is never drawn anew, so sides alternate.
    on_left, on_right, hidden = (True, False), (False, True), (False, False)
    for mover, sides in ((left, on_left), (right, on_right), (behind, hidden), (left, on_left)):
        ids = renderer.draw_ids("check", [mover], 1)
        colours = (renderer.draw_over("check", [mover]).picture != empty).any(axis=-1)
        for what, seen in (("ids", ids == 1), ("colours", colours)):
            if tuple(bool(half.any()) for half in np.split(seen, 2, axis=1)) != sides:
                raise _wrong(what)
    for away_m in (3.0, 2.0, 5.0):
        renderer.set_static(Scene((_board(away_m, (-away_m, away_m)),), _ATLAS))
        if np.abs(renderer.depth_m("check") / away_m - 1).max() > 0.02:
            raise _wrong("depths")


def _board(away_m: float, across_m: tuple[float, float]) -> Mesh:
    """A red board that faces the camera, from below the picture's lower edge to above its upper one."""
    (right, left), low, high = across_m, 1 - away_m, 1 + away_m
    corners = [(away_m, left, low), (away_m, right, low), (away_m, right, high), (away_m, left, high)]
    colours = np.tile(np.float32([0.9, 0.2, 0.1]) / away_m, (4, 1))
    faces = np.array([[0, 1, 2], [0, 2, 3]], np.int32)
    return Mesh(np.array(corners, np.float32), np.tile(np.float32([-1, 0, 0]), (4, 1)), colours, faces)


def _wrong(what: str) -> RendererError:
    return RendererError(
        f"this machine's OpenGL ({driver_name()}) gives stale or wrong pictures: the {what} of a known scene came out "
        f"otherwise than drawn. {_ADVICE[0].upper()}{_ADVICE[1:]}"
    )
