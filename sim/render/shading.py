# SPDX-License-Identifier: AGPL-3.0-or-later
"""Light from ceiling lamps: what is worked out once, outside the shaders."""

from __future__ import annotations

import numpy as np

from sim.render.mesh import Light


def lamp_sum(points_m: np.ndarray, normals: np.ndarray, lamps_m: np.ndarray) -> np.ndarray:
    """Light of lamps that shine downwards, float (N,), before `lamp_scale`; the same formula as in the shader."""
    way = lamps_m[None] - points_m[:, None]
    d2 = (way**2).sum(axis=-1) + 1e-4
    facing = np.maximum((way * normals[:, None]).sum(axis=-1), 0)
    return (facing * np.maximum(way[..., 2], 0) / (d2 * (d2 + 0.5))).sum(axis=1)


def lamp_scale(lamps_m: np.ndarray) -> float:
    """Factor that makes the floor below the lamps receive 1 on average, however many lamps there are."""
    if not len(lamps_m):
        return 0.0
    floor = lamps_m * np.array([1, 1, 0])
    mean = lamp_sum(floor, np.tile([0.0, 0, 1], (len(floor), 1)), lamps_m).mean()
    return float(1 / mean) if mean > 0 else 0.0


def vertex_light(points_m: np.ndarray, normals: np.ndarray, light: Light) -> np.ndarray:
    """Light that falls on surfaces at points (V, 3), float (V,); 1 = what a white floor needs to be white."""
    lamps = np.asarray(light.lamps_m, float).reshape(-1, 3)
    direct = light.direct * lamp_scale(lamps) * lamp_sum(points_m, normals, lamps)
    return light.ambient * (0.8 + 0.2 * normals[:, 2]) + direct
