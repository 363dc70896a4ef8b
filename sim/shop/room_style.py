# SPDX-License-Identifier: AGPL-3.0-or-later
"""What a room is made of and painted with, and random ones for training."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sim.shop import textures

Colour = tuple[float, float, float]


@dataclass(frozen=True)
class RoomStyle:
    """How a room looks; colours are sRGB in [0, 1]. `seed` draws what is random: marks, posters, the hall outside.

    `floor` is one of `textures.FLOORS`, `wall` one of `textures.WALLS`. `clutter`: posters and things standing about.
    """

    floor: str = "wood"
    floor_colour: Colour = (0.66, 0.58, 0.48)
    wall: str = "paint"
    wall_colour: Colour = (0.76, 0.75, 0.73)
    ceiling_colour: Colour = (0.85, 0.85, 0.83)
    body_colour: Colour = (0.10, 0.10, 0.11)
    board_colour: Colour = (0.22, 0.22, 0.24)
    rail_colour: Colour = (0.88, 0.88, 0.90)
    frame_colour: Colour = (0.09, 0.09, 0.10)
    counter_colour: Colour = (0.55, 0.53, 0.50)
    gate_colour: Colour = (0.35, 0.75, 0.35)
    outside_floor: str = "lino"
    outside_colour: Colour = (0.80, 0.81, 0.78)
    clutter: int = 3
    seed: int = 0


def random_style(rng: np.random.Generator) -> RoomStyle:
    """A room unlike the others: materials, colours, clutter."""

    def tinted(low: float, high: float, tint: float) -> Colour:
        return tuple(float(v) for v in np.clip(rng.uniform(low, high) + rng.uniform(-tint, tint, 3), 0.02, 0.98))

    dark = rng.random() < 0.5
    metal = tinted(0.05, 0.25, 0.05) if dark else tinted(0.6, 0.95, 0.08)
    wooden = tuple(np.array([0.62, 0.46, 0.30]) * rng.uniform(0.6, 1.3))
    floor = str(rng.choice(textures.FLOORS))
    return RoomStyle(
        floor=floor,
        floor_colour=wooden if floor == "wood" else tinted(0.25, 0.9, 0.08),
        wall=str(rng.choice(textures.WALLS, p=[0.6, 0.25, 0.15])),
        wall_colour=tinted(0.45, 0.95, 0.12),
        ceiling_colour=tinted(0.6, 0.95, 0.03),
        body_colour=metal,
        board_colour=wooden if rng.random() < 0.25 else tuple(np.clip(np.array(metal) + rng.uniform(0, 0.15), 0, 1)),
        rail_colour=tinted(0.7, 0.95, 0.05) if rng.random() < 0.7 else tinted(0.1, 0.9, 0.4),
        frame_colour=tinted(0.05, 0.3, 0.03) if rng.random() < 0.7 else tinted(0.6, 0.9, 0.05),
        counter_colour=tinted(0.2, 0.9, 0.15),
        gate_colour=tinted(0.3, 0.9, 0.4),
        outside_floor=str(rng.choice(textures.FLOORS)),
        outside_colour=tinted(0.35, 0.9, 0.06),
        clutter=int(rng.integers(0, 7)),
        seed=int(rng.integers(2**31)),
    )
