# SPDX-License-Identifier: AGPL-3.0-or-later
"""Where on the body a vertex is: coordinates along limbs and torso from which clothes are cut.

Computed once per mesh on the average body, so a cut means the same on everybody.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from sim.people.assets import SIDES, body_assets
from sim.people.rotations import unit


@dataclass(frozen=True)
class Regions:
    """Per vertex, shape (V,) unless said otherwise.

    Attributes:
        arm: -1 off the arms, else 0 at the shoulder, 0.5 elbow, 1 wrist, up to 1.4 at the finger tips.
        leg: -1 off the legs, else 0 hip, 0.5 knee, 1 ankle.
        foot: share of foot and toes in the skinning.
        torso: height on the trunk, 0 at the hip joints, 1 at the base of the neck.
        head: share of neck and head in the skinning.
        side: +1 left, -1 right of the middle.
        scalp: (V, 3) on the head, coordinates from the head's centre in head half-heights (forward, left, up).
        limb_axis: (V, 3) direction of the limb or, on the trunk, up.
        face: name to boolean mask: eyes, brows, lips.
    """

    arm: np.ndarray
    leg: np.ndarray
    foot: np.ndarray
    torso: np.ndarray
    head: np.ndarray
    side: np.ndarray
    scalp: np.ndarray
    limb_axis: np.ndarray
    face: dict[str, np.ndarray]


@lru_cache(maxsize=2)
def regions(detail: str = "low") -> Regions:
    """Coordinates of the average body's vertices."""
    assets = body_assets(detail)
    v, w = assets.vertices.astype(float), assets.weights
    head_of = {name: assets.heads[i].astype(float) for i, name in enumerate(assets.bones)}

    def share(*prefixes: str) -> np.ndarray:
        return sum(w[:, i] for i, b in enumerate(assets.bones) if b.startswith(prefixes))

    arm = np.full(len(v), -1.0)
    leg = np.full(len(v), -1.0)
    axis = np.tile([0.0, 0.0, 1.0], (len(v), 1))
    for side in SIDES:
        chain = [head_of[f"{b}.{side}"] for b in ("upperarm01", "lowerarm01", "wrist")]
        tip = chain[2] + 0.4 * 2 * (chain[2] - chain[1])
        mine = sum(
            w[:, i]
            for i, b in enumerate(assets.bones)
            if b.endswith(f".{side}") and b.startswith(("upperarm", "lowerarm", "wrist", "finger"))
        )
        on = mine > 0.5
        arm[on], axis[on] = _along([*chain, tip], v[on], [0.0, 0.5, 1.0, 1.8])
        chain = [head_of[f"{b}.{side}"] for b in ("upperleg01", "lowerleg01", "foot")]
        mine = sum(
            w[:, i]
            for i, b in enumerate(assets.bones)
            if b.endswith(f".{side}") and b.startswith(("upperleg", "lowerleg", "foot", "toes"))
        )
        on = mine > 0.5
        leg[on], axis[on] = _along(chain, v[on], [0.0, 0.5, 1.0])
    hip = head_of["upperleg01.L"][2]
    torso = (v[:, 2] - hip) / (head_of["neck01"][2] - hip)
    head = share("neck", "head")

    on_head = v[share("head") > 0.6]
    centre = (on_head.max(0) + on_head.min(0)) / 2
    half = np.ptp(on_head[:, 2]) / 2
    scalp = (v - centre) / half
    eyes = assets.eyes.astype(float)
    eye = np.minimum.reduce([np.linalg.norm((v - e) * [0.3, 1, 1.6], axis=1) for e in eyes])
    front = (share("head") > 0.6) & (v[:, 0] > eyes[0, 0] - 0.005)
    brow = np.minimum.reduce([np.linalg.norm((v - e - [0, 0, 0.024]) * [0.3, 0.8, 2.0], axis=1) for e in eyes])
    mouth = np.array([eyes[0, 0], 0.0, eyes[0, 2] - 0.068])
    lips = np.linalg.norm((v - mouth) * [0.2, 0.75, 2.0], axis=1)
    face = {"eyes": front & (eye < 0.014), "brows": front & (brow < 0.017), "lips": front & (lips < 0.02)}
    return Regions(
        arm=arm,
        leg=leg,
        foot=share("foot", "toes"),
        torso=torso,
        head=head,
        side=np.sign(v[:, 1]),
        scalp=scalp,
        limb_axis=axis,
        face=face,
    )


def _along(chain: list[np.ndarray], points: np.ndarray, marks: list[float]) -> tuple[np.ndarray, np.ndarray]:
    """Coordinate of points along a chain of joints with ``marks`` at the joints, and the direction there."""
    best = np.full(len(points), np.inf)
    value = np.zeros(len(points))
    axis = np.zeros((len(points), 3))
    for i, (start, end) in enumerate(zip(chain[:-1], chain[1:], strict=True)):
        along = end - start
        t = (points - start) @ along / (along @ along)
        low = -0.5 if i == 0 else 0.0
        high = 1.6 if i == len(chain) - 2 else 1.0
        t = np.clip(t, low, high)
        away = np.linalg.norm(points - start - t[:, None] * along, axis=1)
        closer = away < best
        best[closer] = away[closer]
        value[closer] = (marks[i] + t * (marks[i + 1] - marks[i]))[closer]
        axis[closer] = unit(along)
    return value, axis
