# SPDX-License-Identifier: AGPL-3.0-or-later
"""Things that are not on the body's own surface: skirts, coat tails, long hair, buns, brims, bags and their straps.

Each is a small closed or thin mesh in the rest pose with skinning weights over the same bones; it is made from the
body's own measures, so it fits everybody.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sim.people.assets import BodyAssets
from sim.people.bodies import RestBody
from sim.people.rotations import unit
from sim.people.state import Outfit

HANGING = ("hang.L", "hang.R")
"""Bones after the body's own: at the palm, always upright, for what dangles from a hand."""

_ARM = ("upperarm", "lowerarm", "wrist", "finger")


@dataclass(frozen=True)
class Extra:
    """A mesh beside the body's. ``weights`` (V, J + 2); ``colour`` (V, 3); ``phases`` in which it is there."""

    vertices_m: np.ndarray
    faces: np.ndarray
    weights: np.ndarray
    colour: np.ndarray
    phases: tuple[int, ...] = (0, 1)


class Tailor:
    """Makes the extras of one body."""

    def __init__(self, body: RestBody, assets: BodyAssets, outfit: Outfit) -> None:
        self.body, self.assets, self.outfit = body, assets, outfit
        self.scale = float(np.ptp(body.vertices_m[:, 2])) / 1.72

    def extras(self) -> list[Extra]:
        """Everything the outfit calls for."""
        outfit, out = self.outfit, []
        if outfit.bottom.kind == "skirt":
            # Under a jacket it begins below the hem: the body's own cloth shows above that when the jacket is off.
            top = 0.21 if outfit.jacket is None else -0.01
            out.append(self._skirt(top, 0.10 + 0.86 * outfit.bottom.length, 0.024, 0.10, outfit.bottom.colour))
        if outfit.jacket is not None and outfit.jacket.kind == "coat":
            out.append(self._skirt(0.12, 0.42, 0.047, 0.08, outfit.jacket.colour, phases=(0,)))
        if outfit.hair.kind == "long":
            out.append(self._long_hair(0.22 + 0.16 * outfit.hair.length))
        if outfit.hair.kind == "bun":
            out.append(self._bun())
        if outfit.hair.kind == "cap":
            out.append(self._brim())
        if outfit.bag is not None:
            out += {"shoulder": self._shoulder_bag, "hand": self._hand_bag, "backpack": self._backpack}[
                outfit.bag.kind
            ]()
        return out

    def _joint(self, name: str) -> np.ndarray:
        return self.body.heads_m[self.assets.bones.index(name)]

    def _weights(self, count: int, **bones: np.ndarray | float) -> np.ndarray:
        out = np.zeros((count, len(self.assets.bones) + len(HANGING)), np.float32)
        for name, value in bones.items():
            label = name.replace("_", ".")
            names = (*self.assets.bones, *HANGING)
            out[:, names.index(label)] += value
        return out

    def _nearest_weights(self, points: np.ndarray) -> np.ndarray:
        from scipy.spatial import cKDTree

        _, near = cKDTree(self.body.vertices_m).query(points, k=6)
        mean = self.assets.weights[near].mean(1)
        return np.concatenate([mean, np.zeros((len(points), len(HANGING)), np.float32)], 1).astype(np.float32)

    def _skirt(self, top: float, length: float, off_m: float, flare_m: float, colour, phases=(0, 1)) -> Extra:
        """A cone from ``top`` (height over the hips as a share of the trunk) ``length`` of the leg down."""
        hip, knee, ankle = self._joint("upperleg01.L"), self._joint("lowerleg01.L"), self._joint("foot.L")
        trunk = self._joint("neck01")[2] - hip[2]
        z_top, z_end = hip[2] + top * trunk, hip[2] - length * (hip[2] - ankle[2])
        rings, around = 12, 36
        z = np.linspace(z_top, z_end, rings)
        angle = np.arange(around) / around * 2 * np.pi
        rays = np.stack([np.cos(angle), np.sin(angle)], 1)
        arms = self.assets.weights[:, [b.startswith(_ARM) for b in self.assets.bones]].sum(1)
        points = self.body.vertices_m[arms < 0.2]
        middle = np.array([self._joint("root")[0], 0.0])
        radius = np.empty((rings, around))
        for i, height in enumerate(z):
            # Only the widest place above counts below the hips, legs apart at rest must not widen it.
            near = points[np.abs(points[:, 2] - max(height, hip[2] - 0.16 * self.scale)) < 0.03][:, :2] - middle
            radius[i] = (near @ rays.T).max(0)
        radius = np.maximum.accumulate(radius, 0) + off_m
        down = np.clip((hip[2] - z) / (hip[2] - ankle[2]), 0, 1)[:, None]
        radius = radius + flare_m * down
        level = np.broadcast_to(z[:, None, None], (rings, around, 1))
        vertices = np.concatenate([middle + radius[..., None] * rays, level], -1).reshape(-1, 3)
        left = np.clip(0.5 + 0.5 * vertices[:, 1] / (0.12 * self.scale), 0, 1)
        left = left * left * (3 - 2 * left)
        depth = hip[2] - vertices[:, 2]
        on_thigh = 0.85 * np.clip((depth + 0.03) / 0.30, 0, 1)
        on_shin = 0.55 * np.clip((knee[2] - vertices[:, 2]) / 0.25, 0, 1) * on_thigh
        on_thigh = on_thigh - on_shin
        skin = self._weights(
            len(vertices), root=1 - on_thigh - on_shin, upperleg01_L=on_thigh * left,
            upperleg01_R=on_thigh * (1 - left), lowerleg01_L=on_shin * left, lowerleg01_R=on_shin * (1 - left),
        )  # fmt: skip
        faces = _grid(rings, around, closed=True)
        return _two_sided(vertices, faces, skin, np.tile(colour, (len(vertices), 1)), phases)

    def _skull(self) -> tuple[np.ndarray, np.ndarray]:
        """Middle and half sizes of the head."""
        points = self.body.vertices_m[self.assets.weights[:, self.assets.bones.index("head")] > 0.6]
        return (points.max(0) + points.min(0)) / 2, np.ptp(points, axis=0) / 2

    def _long_hair(self, length_m: float) -> Extra:
        """A sheet round the back of the head from the crown to the shoulders."""
        middle, half = self._skull()
        rows, columns = 9, 19
        angle = np.linspace(np.radians(84), np.radians(276), columns)
        drop = np.linspace(0, 1, rows)
        length = (length_m * self.scale + 0.1 * half[2]) * (0.62 + 0.38 * np.clip(-1.6 * np.cos(angle), 0, 1))
        z = middle[2] + 0.10 * half[2] - drop[:, None] * length
        wide = 1.10 - 0.12 * drop
        deep = 1.06 - 0.10 * drop
        x = middle[0] - 0.1 * half[0] + np.cos(angle) * half[0] * deep[:, None] * 0.95
        x = x - 0.03 * drop[:, None] * (np.cos(angle) < 0)
        y = np.sin(angle) * half[1] * wide[:, None]
        vertices = np.stack([x, y, z], -1).reshape(-1, 3)
        on_head = np.repeat(np.clip(1.25 - 1.1 * drop, 0.15, 1), columns)
        skin = self._weights(len(vertices), head=on_head, neck01=0.4 * (1 - on_head), spine01=0.6 * (1 - on_head))
        shade = 1 - 0.12 * np.repeat(drop, columns) + 0.05 * np.tile(np.sin(angle * 9), rows)
        colour = np.clip(np.array(self.outfit.hair.colour) * shade[:, None], 0, 1)
        return _two_sided(vertices, _grid(rows, columns, closed=False), skin, colour)

    def _bun(self) -> Extra:
        middle, half = self._skull()
        centre = middle + half * [-0.98, 0.0, 0.42]
        vertices, faces = _blob(centre, np.array([0.045, 0.05, 0.045]) * self.scale)
        return self._solid(vertices, faces, self.outfit.hair.colour, head=1.0)

    def _brim(self) -> Extra:
        """The peak of a cap."""
        middle, half = self._skull()
        centre = middle + half * [0.80, 0.0, 0.56]
        vertices, faces = _blob(centre, np.array([0.075, 0.075, 0.010]) * self.scale)
        return self._solid(vertices, faces, self.outfit.hair.colour, head=1.0)

    def _solid(self, vertices, faces, colour, **bones) -> Extra:
        return Extra(vertices, faces, self._weights(len(vertices), **bones), np.tile(colour, (len(vertices), 1)))

    def _sign(self) -> float:
        return 1.0 if self.outfit.bag_side == "left" else -1.0

    def _shoulder_bag(self) -> list[Extra]:
        """A bag at the hip with a strap over the other shoulder."""
        sign, colour = self._sign(), np.array(self.outfit.bag.colour)
        hip = self._joint("upperleg01.L" if sign > 0 else "upperleg01.R")
        body = self.body.vertices_m
        arms = self.assets.weights[:, [b.startswith(_ARM) for b in self.assets.bones]].sum(1)
        level = (np.abs(body[:, 2] - hip[2]) < 0.05) & (arms < 0.1)
        outside = (body[level, 1] * sign).max() + 0.05
        centre = np.array([hip[0] + 0.02, sign * outside, hip[2] + 0.02 * self.scale])
        vertices, faces = _blob(centre, np.array([0.15, 0.055, 0.115]) * self.scale, power=4.0)
        bag = self._solid(vertices, faces, colour, root=0.8, **{f"upperleg01_{'L' if sign > 0 else 'R'}": 0.2})
        other = self._joint("clavicle.R" if sign > 0 else "clavicle.L") + [0, -sign * 0.05, 0.03]
        return [bag, self._strap(centre + [0, 0, 0.08 * self.scale], other, colour * 0.8)]

    def _strap(self, low: np.ndarray, high: np.ndarray, colour: np.ndarray, above_m: float = -1.0) -> Extra:
        """A band round the trunk in the plane through two points and the forward direction."""
        from scipy.spatial import ConvexHull

        up = unit(high - low)
        ahead = np.array([1.0, 0.0, 0.0])
        side = unit(np.cross(up, ahead))
        ahead = np.cross(side, up)
        limbs = (*_ARM, "head", "neck", "upperleg")
        trunk = self.assets.weights[:, [b.startswith(limbs) for b in self.assets.bones]].sum(1) < 0.6
        points = self.body.vertices_m[trunk]
        d = points - low
        near = np.abs(d @ side) < 0.03
        flat = np.stack([d[near] @ up, d[near] @ ahead], 1)
        hull = flat[ConvexHull(flat).vertices]
        middle = hull.mean(0)
        hull = hull + unit(hull - middle) * 0.026
        loop = np.concatenate([hull, hull[:1]])
        along = np.r_[0, np.cumsum(np.linalg.norm(np.diff(loop, axis=0), axis=1))]
        at = np.linspace(0, along[-1], 48, endpoint=False)
        ring = np.stack([np.interp(at, along, loop[:, k]) for k in (0, 1)], 1)
        path = low + ring[:, :1] * up + ring[:, 1:] * ahead
        half = 0.016 * self.scale
        vertices = np.stack([path - half * side, path + half * side], 0).reshape(-1, 3)
        faces = _grid(2, len(path), closed=True)
        keep = vertices[faces][:, :, 2].min(1) > above_m
        skin = self._nearest_weights(vertices)
        return _two_sided(vertices, faces[keep], skin, np.tile(colour, (len(vertices), 1)))

    def _backpack(self) -> list[Extra]:
        low, high = self._joint("spine03"), self._joint("spine01")
        body = self.body.vertices_m
        middle = (low + high) / 2 + [0, 0, 0.02]
        level = (np.abs(body[:, 2] - middle[2]) < 0.12) & (np.abs(body[:, 1]) < 0.1)
        back = body[level, 0].min()
        centre = np.array([back - 0.075 * self.scale, 0.0, middle[2]])
        vertices, faces = _blob(centre, np.array([0.085, 0.145, 0.21]) * self.scale, power=4.0)
        colour = np.array(self.outfit.bag.colour)
        pack = self._solid(vertices, faces, colour, spine02=0.7, spine01=0.3)
        straps = []
        for sign in (1, -1):
            foot = np.array([middle[0], sign * 0.10 * self.scale, low[2]])
            straps.append(self._strap(foot, foot + [0, sign * 0.0, 0.3], colour * 0.7, above_m=low[2] + 0.04))
        return [pack, *straps]

    def _hand_bag(self) -> list[Extra]:
        """A bag that dangles from a hand."""
        sign, colour = self._sign(), np.array(self.outfit.bag.colour)
        palm = self.body.palm_m[0 if sign > 0 else 1]
        bone = "hang_L" if sign > 0 else "hang_R"
        vertices, faces = _blob(palm + [0.0, 0.0, -0.26 * self.scale], np.array([0.15, 0.06, 0.14]) * self.scale, 4.0)
        bag = self._solid(vertices, faces, colour, **{bone: 1.0})
        handles = []
        for shift in (-0.03, 0.03):
            angle = np.linspace(0, 2 * np.pi, 20, endpoint=False)
            ring = palm + [0, shift, -0.075] + np.stack([0.06 * np.cos(angle), 0 * angle, 0.075 * np.sin(angle)], 1)
            band = np.stack([ring - [0, 0.008, 0], ring + [0, 0.008, 0]], 0).reshape(-1, 3)
            skin = self._weights(len(band), **{bone: 1.0})
            colours = np.tile(colour * 0.7, (len(band), 1))
            handles.append(_two_sided(band, _grid(2, 20, closed=True), skin, colours))
        return [bag, *handles]


def _grid(rows: int, columns: int, *, closed: bool) -> np.ndarray:
    """Triangles of a sheet of ``rows`` times ``columns`` vertices, closed to a tube or not."""
    i, j = np.meshgrid(np.arange(rows - 1), np.arange(columns if closed else columns - 1), indexing="ij")
    k = (j + 1) % columns
    a, b, c, d = i * columns + j, i * columns + k, (i + 1) * columns + j, (i + 1) * columns + k
    return np.concatenate([np.stack([a, c, b], -1).reshape(-1, 3), np.stack([b, c, d], -1).reshape(-1, 3)])


def _two_sided(vertices, faces, weights, colour, phases=(0, 1)) -> Extra:
    """The sheet and its back, the back a little darker and its faces turned round."""
    count = len(vertices)
    return Extra(
        np.concatenate([vertices, vertices]),
        np.concatenate([faces, faces[:, ::-1] + count]),
        np.concatenate([weights, weights]),
        np.concatenate([colour, 0.7 * np.asarray(colour)]),
        phases,
    )


def _blob(centre: np.ndarray, half: np.ndarray, power: float = 2.0) -> tuple[np.ndarray, np.ndarray]:
    """A superellipsoid: round for power 2, a box with round edges above."""
    rows, columns = 11, 20
    latitude = np.linspace(-np.pi / 2, np.pi / 2, rows)
    longitude = np.arange(columns) / columns * 2 * np.pi
    direction = np.stack(
        [
            np.cos(latitude)[:, None] * np.cos(longitude),
            np.cos(latitude)[:, None] * np.sin(longitude),
            np.broadcast_to(np.sin(latitude)[:, None], (rows, columns)),
        ],
        -1,
    )
    size = (np.abs(direction) ** power).sum(-1, keepdims=True) ** (-1 / power)
    vertices = (centre + direction * size * half).reshape(-1, 3)
    return vertices, _grid(rows, columns, closed=True)[:, ::-1]
