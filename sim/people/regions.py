# SPDX-License-Identifier: AGPL-3.0-or-later
"""Where on the body a point is: coordinates along limbs, trunk and head from which clothes are cut.

Computed once per mesh on the average body, so a cut means the same on everybody. All of them vary smoothly over the
skin, so a hem is where one of them passes a value.
"""

from __future__ import annotations

from functools import lru_cache
from itertools import pairwise

import numpy as np

from sim.people.assets import SIDES, body_assets

FIELDS = (
    "arm", "on_arm", "leg", "on_leg", "torso", "collar", "on_head", "head_x", "head_y", "head_z", "lateral_m",
    "forward_m", "eye_m", "brow_m", "lips_m",
)  # fmt: skip
"""Columns of ``regions``.

arm        0 at the shoulder, 0.5 elbow, 1 wrist, beyond 1 on the hand, of the arm on that side of the body
on_arm     share of the arm's bones in the skinning; likewise on_leg, on_head (with the neck)
leg        0 hip, 0.5 knee, 1 ankle, beyond 1 on the foot
torso      height, 0 at the hip joints, 1 at the base of the neck
collar     like torso, but a ring round the neck, lower in front: 1 is a crew neck
head_x/y/z from the middle of the head in half heights of it: forward, left, up
lateral_m, forward_m  metres from the middle plane and before the spine
eye_m, brow_m, lips_m distance from them on the front of the head, metres, 1 elsewhere
"""
COLUMN = {name: i for i, name in enumerate(FIELDS)}


@lru_cache(maxsize=2)
def regions(detail: str = "low") -> np.ndarray:
    """Coordinates (V, len(FIELDS)) of the average body's vertices."""
    assets = body_assets(detail)
    v, w = assets.vertices.astype(float), assets.weights
    joint = {name: assets.heads[i].astype(float) for i, name in enumerate(assets.bones)}

    def share(*prefixes: str) -> np.ndarray:
        return w[:, [b.startswith(prefixes) for b in assets.bones]].sum(1)

    arm, leg = np.zeros(len(v)), np.zeros(len(v))
    for side, mine in zip(SIDES, (v[:, 1] >= 0, v[:, 1] < 0), strict=True):
        chain = [joint[f"{b}.{side}"] for b in ("upperarm01", "lowerarm01", "wrist")]
        tip = chain[2] + 0.8 * (chain[2] - chain[1])
        arm[mine] = _along([*chain, tip], v[mine], [0.0, 0.5, 1.0, 1.4])
        chain = [joint[f"{b}.{side}"] for b in ("upperleg01", "lowerleg01", "foot")]
        below = chain[2] + 0.3 * (chain[2] - chain[1])
        leg[mine] = _along([*chain, below], v[mine], [0.0, 0.5, 1.0, 1.15])
    hip, neck = joint["upperleg01.L"], joint["neck01"]
    back = np.array([joint[b] for b in ("root", "spine04", "spine03", "spine02", "spine01", "neck01")])
    forward = v[:, 0] - np.interp(v[:, 2], back[:, 2], back[:, 0])
    torso = (v[:, 2] - hip[2]) / (neck[2] - hip[2])
    skull = share("head")
    on_head = v[skull > 0.6]
    half = np.ptp(on_head[:, 2]) / 2
    head = (v - (on_head.max(0) + on_head.min(0)) / 2) / half

    eyes = assets.eyes.astype(float)
    front = (skull > 0.6) & (v[:, 0] > eyes[0, 0] - 0.08)
    middle = np.array([eyes[0, 0], 0.0, eyes[0, 2]])

    def from_feature(places, scale) -> np.ndarray:
        away = np.min([np.linalg.norm((v - p) * scale, axis=1) for p in places], axis=0)
        return np.where(front, away, 1.0)

    columns = {
        "arm": arm,
        "on_arm": share("upperarm", "lowerarm", "wrist", "finger"),
        "leg": leg,
        "on_leg": share("upperleg", "lowerleg", "foot", "toes"),
        "torso": torso,
        "collar": torso + 0.7 * forward - 1.2 * np.maximum(np.abs(v[:, 1]) - 0.06, 0),
        "on_head": share("neck", "head"),
        "head_x": head[:, 0],
        "head_y": head[:, 1],
        "head_z": head[:, 2],
        "lateral_m": v[:, 1],
        "forward_m": forward,
        "eye_m": from_feature(eyes, [0.3, 0.9, 1.7]),
        "brow_m": from_feature(eyes + [0, 0, 0.023], [0.2, 0.75, 2.4]),
        "lips_m": from_feature([middle - [0, 0, 0.070]], [0.2, 0.8, 2.2]),
    }
    return np.stack([columns[name] for name in FIELDS], 1)


def _along(chain: list[np.ndarray], points: np.ndarray, marks: list[float]) -> np.ndarray:
    """Coordinate of points along a chain of joints, with ``marks`` at the joints, from the nearest piece."""
    best = np.full(len(points), np.inf)
    value = np.zeros(len(points))
    for i, (start, end) in enumerate(pairwise(chain)):
        along = end - start
        t = (points - start) @ along / (along @ along)
        t = np.clip(t, -0.5 if i == 0 else 0.0, 1.6 if i == len(chain) - 2 else 1.0)
        away = np.linalg.norm(points - start - t[:, None] * along, axis=1)
        closer = away < best
        best[closer] = away[closer]
        value[closer] = (marks[i] + t * (marks[i + 1] - marks[i]))[closer]
    return value
