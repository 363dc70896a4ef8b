# SPDX-License-Identifier: AGPL-3.0-or-later
"""Open Panda3D off screen: EGL where there is a driver, its software renderer where there is none.

`WALKOUT_RENDERER=gl` or `software` forces one. One pipe and one drawing target a size are shared by all renderers of a
process, since opening them is slow and drawing is synchronous.
"""

from __future__ import annotations

import logging
import os
from functools import cache

from panda3d import core

from pipeline.errors import WalkoutError

_LOG = logging.getLogger(__name__)
_MODULES = {"gl": ("p3headlessgl", None), "software": ("p3tinydisplay", "TinyOffscreenGraphicsPipe")}
_HOST_SIZE = 64, 64
_INSTALL = {
    "gl": "apt install libegl1 libgl1 libgl1-mesa-dri",
    "software": "apt install libx11-6",
}
"""What Debian's packages are called."""


class RendererError(WalkoutError):
    """No way to draw on this machine."""


@cache
def engine() -> core.GraphicsEngine:
    core.load_prc_file_data(
        "walkout",
        "audio-library-name null\nnotify-level-display fatal\nnotify-level-glgsg error\nnotify-level-linmath fatal\n"
        "textures-power-2 none\nsync-video 0\ntexture-minfilter linear\nmax-texture-dimension 8192\n"
        "garbage-collect-states 0\n",  # the collector would have to be called: states, and their textures, piled up
    )
    return core.GraphicsEngine.get_global_ptr()


@cache
def _pipe(kind: str) -> core.GraphicsPipe | None:
    engine()
    module, pipe_type = _MODULES[kind]
    selection = core.GraphicsPipeSelection.get_global_ptr()
    pipe = selection.make_module_pipe(module) if pipe_type is None else selection.make_pipe(pipe_type, module)
    return pipe if pipe is not None and pipe.is_valid() else None


@cache
def open_target(kind: str, width: int, height: int) -> core.GraphicsOutput | None:
    """An off-screen buffer with 8 bits a channel, alpha and depth; None where this kind does not work here."""
    pipe = _pipe(kind)
    if pipe is None:
        return None
    wanted = core.FrameBufferProperties()
    wanted.set_rgba_bits(8, 8, 8, 8)
    wanted.set_depth_bits(24)
    size, flags = core.WindowProperties.size(width, height), core.GraphicsPipe.BF_refuse_window
    # All targets share the first one's context, and with it what was uploaded.
    host = open_target(kind, *_HOST_SIZE) if (width, height) != _HOST_SIZE else None
    if host is None:
        return engine().make_output(pipe, f"walkout-{kind}", 0, wanted, size, flags)
    return engine().make_output(pipe, f"walkout-{kind}-{width}x{height}", 0, wanted, size, flags, host.get_gsg())


def driver_name() -> str:
    """Who draws when OpenGL does, as the driver calls itself."""
    host = open_target("gl", *_HOST_SIZE)
    return "none" if host is None else f"{host.gsg.driver_vendor} {host.gsg.driver_renderer}"


def choose_kind(threads: int) -> str:
    """`gl` or `software`: what is forced, else what works. `threads`: of Mesa's software GL, before its first use."""
    forced = os.environ.get("WALKOUT_RENDERER", "").strip()
    if forced and forced not in _MODULES:
        raise RendererError(f"WALKOUT_RENDERER is {forced!r}, expected gl or software")
    # Mesa's 0 is the calling thread alone: for one thread cheaper than handing over to one.
    os.environ.setdefault("LP_NUM_THREADS", str(threads) if threads > 1 else "0")
    for kind in [forced] if forced else list(_MODULES):
        host = open_target(kind, *_HOST_SIZE)
        if host is not None:
            host.set_active(False)
            if kind == "software" and not forced:
                _LOG.warning(
                    "no GL driver: drawing with the slow software renderer, without shadows (%s)", _INSTALL["gl"]
                )
            return kind
    what = f"with {forced}" if forced else "with EGL or in software"
    raise RendererError(f"cannot draw off screen {what}: a system library is missing ({_INSTALL[forced or 'gl']})")
