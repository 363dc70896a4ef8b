# SPDX-License-Identifier: AGPL-3.0-or-later
"""Who the simulated people are and what they do at one instant.

World frame: metres, right-handed, z up, floor at z = 0. "Left" and "right" are the person's own; arrays of two
are in the order left, right.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

HAND_FOLLOWS_GAIT = np.full((2, 3), np.nan)
"""A ``hand_target_m`` with which both hands do what walking or standing makes of them."""


@dataclass(frozen=True)
class PersonState:
    """One person at one instant, written by the behaviour code.

    Attributes:
        person_id: whose state it is; one of the specs given to the crowd.
        floor_xy_m: shape (2,), the point the pelvis is over.
        heading_rad: where the person faces, 0 is +x, counter-clockwise.
        speed_m_s: forward walking speed; 0 stands. It only chooses the length of the stride and the swing.
        stride_phase: gait cycle in [0, 1); advance it by ``speed * dt / motion.stride_length_m(height, speed)``
            and planted feet do not slide. At 0 the left heel meets the floor. While standing it drives idle sway.
        crouch: 0 standing to 1 deep squat.
        look_at_m: shape (3,) world point the eyes go to, or None for straight ahead.
        hand_target_m: shape (2, 3) world points for the palm centres, NaN for a hand that follows the gait.
        hand_weight: shape (2,), 0 gait pose to 1 at the target.
        grip: shape (2,), 0 open to 1 closed.
        carry: shape (2,), 0..1, forearm raised, holding something against the body.
        outfit_phase: 0, or 1 once the jacket has been taken off.
    """

    person_id: str
    floor_xy_m: np.ndarray
    heading_rad: float
    speed_m_s: float = 0.0
    stride_phase: float = 0.0
    crouch: float = 0.0
    look_at_m: np.ndarray | None = None
    hand_target_m: np.ndarray = field(default_factory=lambda: HAND_FOLLOWS_GAIT)
    hand_weight: np.ndarray = field(default_factory=lambda: np.zeros(2))
    grip: np.ndarray = field(default_factory=lambda: np.zeros(2))
    carry: np.ndarray = field(default_factory=lambda: np.zeros(2))
    outfit_phase: int = 0


@dataclass(frozen=True)
class BodyShape:
    """Shape of a body.

    Attributes:
        gender: 0 male to 1 female.
        age_years: 6 to 90; below 18 the proportions are a child's.
        height_m: barefoot height; met exactly.
        weight: 0 thin, 0.5 average, 1 heavy.
        muscle: 0 to 1.
        proportions: 0 to 1.
        ancestry: shares of the model's (african, asian, caucasian) face and body shapes.
    """

    gender: float = 0.5
    age_years: float = 35.0
    height_m: float = 1.72
    weight: float = 0.5
    muscle: float = 0.5
    proportions: float = 0.5
    ancestry: tuple[float, float, float] = (1 / 3, 1 / 3, 1 / 3)


@dataclass(frozen=True)
class Garment:
    """One piece of clothing; colours are sRGB in [0, 1].

    Attributes:
        kind: top: ``tshirt shirt sweater tank``; bottom: ``trousers jeans shorts skirt leggings``;
            jacket: ``jacket coat vest``; shoes: ``shoes boots``; hair: ``short long bun bald cap hood``;
            bag: ``shoulder hand backpack``.
        colour: main colour.
        pattern: ``plain hstripes vstripes checks dots logo blocks``.
        second: the pattern's other colour.
        length: 0..1, sleeves (0 none, 0.3 short, 1 to the wrist), legs or skirt (0.3 above the knee, 1 to the ankle).
        scale_m: period of the pattern.
    """

    kind: str
    colour: tuple[float, float, float] = (0.5, 0.5, 0.5)
    pattern: str = "plain"
    second: tuple[float, float, float] = (0.8, 0.8, 0.8)
    length: float = 1.0
    scale_m: float = 0.08


@dataclass(frozen=True)
class Outfit:
    """What somebody wears; ``jacket`` is gone from outfit phase 1 on."""

    skin: tuple[float, float, float]
    hair: Garment
    top: Garment
    bottom: Garment
    shoes: Garment
    jacket: Garment | None = None
    bag: Garment | None = None
    bag_side: str = "left"
    glasses: bool = False
    beard: bool = False


@dataclass(frozen=True)
class PersonSpec:
    """Who somebody is: drawn by ``casting.random_person`` or read from a scenario by ``casting.person_from_dict``.

    Attributes:
        style_seed: personal habits of posture and gait (stance width, arm swing, stoop).
    """

    person_id: str
    shape: BodyShape
    outfit: Outfit
    style_seed: int = 0


@dataclass(frozen=True)
class PosedBody:
    """One person's surface in the world at one instant.

    Attributes:
        vertices_m: shape (V, 3) float32, world.
        normals: shape (V, 3) float32, unit, outwards.
        colours: shape (V, 3) float32 sRGB in [0, 1]; the same array for a spec and outfit phase.
        faces: shape (F, 3) int32, counter-clockwise from outside; the same array for a spec in all phases.
        keypoints_m: shape (17, 3), COCO order, world, inside the body.
        palms: shape (2, 4, 4), left and right palm frame to world: origin palm centre, x along the fingers,
            z out of the palm.
    """

    person_id: str
    vertices_m: np.ndarray
    normals: np.ndarray
    colours: np.ndarray
    faces: np.ndarray
    keypoints_m: np.ndarray
    palms: np.ndarray
