# SPDX-License-Identifier: AGPL-3.0-or-later
"""Shape parameters to a rest body: mesh, joints, key points and the lengths that motion needs."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from sim.people.assets import SIDES, BodyAssets, body_assets
from sim.people.rotations import frame, unit
from sim.people.state import BodyShape

_AGE_YEARS = (0.0, 1.0, 10.0, 20.0, 25.0, 75.0)
_AGE_MODEL = (-1 / 3, 0.0, 0.4, 0.6, 2 / 3, 1.0)


@dataclass(frozen=True)
class RestBody:
    """A body at rest (arms half raised), barefoot on z = 0, x forward, y left, metres.

    Attributes:
        vertices_m: (V, 3); faces and weights are the assets'.
        heads_m: (J, 3), joints.
        moments_m, shares: (17, J, 3) and (17, J), key points as sums over bones (see ``BodyAssets``).
        eyes_m: (2, 3).
        palm_m: (2, 3) palm centres.
        palm_frames: (2, 3, 3), columns: along the fingers, across, out of the palm.
        heel_m, ball_m: (2, 3) points of the soles.
    """

    vertices_m: np.ndarray
    heads_m: np.ndarray
    moments_m: np.ndarray
    shares: np.ndarray
    eyes_m: np.ndarray
    palm_m: np.ndarray
    palm_frames: np.ndarray
    heel_m: np.ndarray
    ball_m: np.ndarray


def rest_body(shape: BodyShape, detail: str = "low") -> RestBody:
    """The rest body of a shape; its height is met exactly (scaled where the model's range ends)."""
    assets = body_assets(detail)
    tall = [_height(assets, _coefficients(shape, h, detail)) for h in (0.0, 1.0)]
    h = float(np.clip((shape.height_m - tall[0]) / (tall[1] - tall[0]), 0, 1))  # height is linear in it
    c = _coefficients(shape, h, detail)
    vertices = assets.vertices + np.tensordot(c, assets.vertices_basis, 1)
    scale = shape.height_m / np.ptp(vertices[:, 2])
    origin = np.array([0.0, 0.0, vertices[:, 2].min()])

    def placed(points: np.ndarray) -> np.ndarray:
        return ((points - origin) * scale).astype(float)

    heads = placed(assets.heads + np.tensordot(c, assets.heads_basis, 1))
    moments = assets.moments + np.tensordot(c, assets.moments_basis, 1)
    moments = ((moments - assets.shares[..., None] * origin) * scale).astype(float)
    vertices = placed(vertices)
    palms, frames = zip(*(_palm(assets, heads, side) for side in SIDES), strict=True)
    soles = [_sole(assets, heads, vertices, side) for side in SIDES]
    return RestBody(
        vertices_m=vertices,
        heads_m=heads,
        moments_m=moments,
        shares=assets.shares.astype(float),
        eyes_m=placed(assets.eyes + np.tensordot(c, assets.eyes_basis, 1)),
        palm_m=np.array(palms),
        palm_frames=np.array(frames),
        heel_m=np.array([s[0] for s in soles]),
        ball_m=np.array([s[1] for s in soles]),
    )


def vertex_normals(vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """Area-weighted unit normals (V, 3)."""
    a, b, c = (vertices[faces[:, i]] for i in range(3))
    face = np.cross(b - a, c - a)
    out = np.zeros_like(vertices)
    for i in range(3):
        np.add.at(out, faces[:, i], face)
    return unit(out)


@lru_cache(maxsize=256)
def _coefficients(shape: BodyShape, height: float, detail: str) -> np.ndarray:
    """Blend-shape coefficients (K,) with the model's height parameter at ``height``.

    The product rule of ``anny.models.phenotype.phenotype_blendshape_weights``, without importing torch: torch
    loaded after Panda3D has opened Mesa's GL brings the process down.
    """
    ancestry = np.array(shape.ancestry) / sum(shape.ancestry)
    age = float(np.interp(shape.age_years, _AGE_YEARS, _AGE_MODEL))
    variations = [
        ancestry,
        _hats(shape.gender, np.linspace(0, 1, 2)),
        _hats(age, np.linspace(-1 / 3, 1, 5)),
        _hats(shape.muscle, np.linspace(0, 1, 3)),
        _hats(shape.weight, np.linspace(0, 1, 3)),
        _hats(height, np.linspace(0, 1, 2)),
        _hats(shape.proportions, np.linspace(0, 1, 2)),
        _hats(0.5, np.linspace(0, 1, 3)),  # cup size
        _hats(0.5, np.linspace(0, 1, 3)),  # firmness
    ]
    assets = body_assets(detail)
    products = np.prod(np.concatenate(variations) * assets.mask + (1 - assets.mask), axis=1)
    return (products @ assets.projection).astype(np.float32)


def _hats(value: float, anchors: np.ndarray) -> np.ndarray:
    """Weights of linear interpolation between anchors, clamped to their range."""
    return np.array([np.interp(value, anchors, row) for row in np.eye(len(anchors))])


def _height(assets: BodyAssets, c: np.ndarray) -> float:
    return float(np.ptp(assets.vertices[:, 2] + np.tensordot(c, assets.vertices_basis[..., 2], 1)))


def _palm(assets: BodyAssets, heads: np.ndarray, side: str) -> tuple[np.ndarray, np.ndarray]:
    """Palm centre and frame from the wrist and the knuckles."""
    wrist, index, middle, little = (
        heads[assets.bones.index(f"{bone}.{side}")] for bone in ("wrist", "finger2-1", "finger3-1", "finger5-1")
    )
    along = unit(middle - wrist)
    sign = 1.0 if side == "L" else -1.0
    out = unit(np.cross(index - wrist, little - wrist)) * sign
    across = np.cross(out, along)
    centre = wrist + 0.62 * (middle - wrist) + 0.015 * out
    return centre, frame(along, across)


def _sole(assets: BodyAssets, heads: np.ndarray, vertices: np.ndarray, side: str) -> tuple[np.ndarray, np.ndarray]:
    """Where the heel and the ball of the foot touch the floor."""
    ankle, toes = (heads[assets.bones.index(f"{bone}.{side}")] for bone in ("foot", "toes"))
    mine = assets.weights[:, assets.bones.index(f"foot.{side}")] > 0.5
    forward = unit((toes - ankle) * [1, 1, 0])
    heel_at = ((vertices[mine] - ankle) @ forward).min() + 0.02
    heel, ball = ankle + heel_at * forward, toes.copy()
    heel[2] = ball[2] = 0.0
    return heel, ball
