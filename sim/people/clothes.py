# SPDX-License-Identifier: AGPL-3.0-or-later
"""Dressing a rest body: the mesh is cut along hems and necklines, and garments stand off the skin.

Vertices on a seam are doubled and joined by a little wall, so colours stop sharply at a hem and a shirt hangs over
the trousers. The cuts depend only on the outfit, never on the outfit phase: a jacket that comes off changes places
and colours, not the faces.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from sim.people import cutting
from sim.people.assets import body_assets
from sim.people.bodies import RestBody, vertex_normals
from sim.people.extras import HANGING, Tailor
from sim.people.patterns import CUT_PATTERNS, paint, pattern_extent, pattern_lines, second_colour
from sim.people.regions import COLUMN, FIELDS, regions
from sim.people.rotations import unit
from sim.people.state import Garment, Outfit

SOLE_M = 0.022
"""How much shoes raise a body."""

SKIN, HAIR, TOP, BOTTOM, SHOES, JACKET, EYES, LIPS, BROWS, GLASSES, TOP_SECOND, BOTTOM_SECOND, BEARD = range(13)
_PARTS = 13
_FRAME_M = (0.0195, 0.0235)
_HAIRLINE_X = (-1.0, -0.45, -0.15, 0.08, 0.22, 0.45, 0.75)
_HAIRLINE_Z = (-0.62, -0.60, -0.40, -0.02, 0.30, 0.52, 0.60)
_LONG_HAIRLINE_Z = (-1.30, -1.25, -1.00, -0.30, 0.30, 0.52, 0.60)


@dataclass(frozen=True)
class Dressed:
    """A dressed rest body in one outfit phase, standing on its soles at z = 0.

    Attributes:
        vertices_m, normals, colours: (V, 3) float32.
        weights: (V, J) float32, mostly zeros.
        faces: (F, 3) int32.
    """

    vertices_m: np.ndarray
    normals: np.ndarray
    colours: np.ndarray
    weights: np.ndarray
    faces: np.ndarray


class Cloth:
    """Region coordinates of points by name, for the rules below."""

    def __init__(self, rows: np.ndarray) -> None:
        self.rows = rows

    def __getattr__(self, name: str) -> np.ndarray:
        return self.rows[:, COLUMN[name]]

    @property
    def trunk(self) -> np.ndarray:
        return (self.on_arm < 0.5) & (self.on_head < 0.75)


def dress(body: RestBody, outfit: Outfit, phase: int, detail: str = "low", seed: int = 0) -> Dressed:
    """Put an outfit on a body; phase 1 is without the jacket."""
    assets = body_assets(detail)
    n = len(FIELDS)
    normals = vertex_normals(body.vertices_m, assets.faces)
    rows = np.concatenate([regions(detail), body.vertices_m, normals, assets.weights], axis=1)
    faces = assets.faces
    for rule in _cuts(outfit):
        level, only = rule(Cloth(rows[:, :n]))
        rows, faces = cutting.cut(rows, faces, level, None if only is None else only[faces].any(1))
    for label, garment in ((TOP, outfit.top), (BOTTOM, outfit.bottom)):
        if garment.pattern in CUT_PATTERNS:
            rows, faces = _cut_pattern(rows, faces, label, garment, outfit)
    centre = Cloth(rows[faces, :n].mean(1))
    with_jacket, without = (_parts(centre, outfit, jacket) for jacket in (True, False))
    source, side, apart, walls = cutting.take_apart(faces, with_jacket * _PARTS + without)
    part = side // _PARTS if phase == 0 else side % _PARTS
    rows = rows[source]
    where = Cloth(rows[:, :n])

    vertices = rows[:, n : n + 3] + rows[:, n + 3 : n + 6] * _thickness(where, outfit, part)[:, None]
    vertices += rows[:, n + 3 : n + 6] * _folds(rows[:, n : n + 3], part, seed)[:, None]
    sole = (part == SHOES) & (vertices[:, 2] < 0.024)
    vertices[sole, 2] = -SOLE_M
    vertices[:, 2] += SOLE_M
    whole = np.zeros((source.max() + 1, 3))
    np.add.at(whole, source, vertices)
    whole /= np.maximum(np.bincount(source), 1)[:, None]
    smooth = vertex_normals(whole, source[apart])[source]
    weights = np.concatenate([rows[:, n + 6 :], np.zeros((len(rows), len(HANGING)))], 1)
    meshes = [(vertices, smooth, _colours(where, outfit, part, rows[:, n : n + 3], seed), weights)]
    triangles = [np.concatenate([apart, walls])]
    for extra in Tailor(body, assets, outfit).extras():
        triangles.append(extra.faces + sum(len(m[0]) for m in meshes))
        there = extra.vertices_m + [0, 0, SOLE_M]
        if phase not in extra.phases:  # folded away into the belly, so that the faces stay the same
            there = np.tile(body.heads_m[0], (len(there), 1))
        meshes.append((there, vertex_normals(extra.vertices_m, extra.faces), extra.colour, extra.weights))
    joined = (np.concatenate(parts).astype(np.float32) for parts in zip(*meshes, strict=True))
    return Dressed(*joined, np.concatenate(triangles).astype(np.int32))


def _collar(garment: Garment) -> float:
    return {"tshirt": 0.985, "tank": 0.90, "shirt": 1.06, "sweater": 1.02}.get(garment.kind, 1.0)


def _hem(garment: Garment, tucked: bool = False) -> float:
    if tucked:
        return 0.17
    return {"tshirt": 0.02, "sweater": 0.04, "tank": 0.04, "coat": -0.02, "jacket": -0.02, "vest": 0.02}.get(
        garment.kind, 0.10
    )


def _leg_end(garment: Garment) -> float:
    """How far down the legs cloth is drawn on the body; a skirt's own mesh hides the rest."""
    return 0.22 if garment.kind == "skirt" else max(garment.length, 0.15) * 0.98


def _shoe_top(outfit: Outfit) -> float:
    return 0.80 if outfit.shoes.kind == "boots" else 0.985


def _opening_m(where: Cloth) -> np.ndarray:
    """Half width of an open jacket's front."""
    return 0.035 + 0.05 * np.clip(1 - where.torso, 0, 1)


def _hair_level(where: Cloth, hair: Garment) -> np.ndarray:
    """Above zero under hair, cap or hood."""
    line = _LONG_HAIRLINE_Z if hair.kind in ("long", "hood") else _HAIRLINE_Z
    return where.head_z - np.interp(where.head_x, _HAIRLINE_X, line)


def _beard_level(where: Cloth) -> np.ndarray:
    """Above zero under a beard: cheeks, chin and upper lip."""
    top = np.interp(where.head_x, (0.0, 0.2, 0.55, 0.8), (-0.05, -0.25, -0.36, -0.32))
    return np.minimum(np.minimum(top - where.head_z, where.head_z + 1.05), where.head_x - 0.0)


def _cuts(outfit: Outfit) -> list:
    """Rules that give the level (V,) to cut along and where that cut counts (V,) or None for everywhere."""
    top, bottom, jacket = outfit.top, outfit.bottom, outfit.jacket

    def on_legs(w):
        return w.on_leg > 0.02

    def sleeve(length):
        return lambda w: (w.arm - length, w.on_arm > 0.02)

    def arm_hole(w):
        return w.on_arm - 0.45, None

    rules = [
        lambda w: (w.leg - _shoe_top(outfit), on_legs(w)),
        lambda w: (w.leg - _leg_end(bottom), on_legs(w)),
        lambda w: (w.torso - _hem(top, bottom.kind == "skirt"), w.on_arm < 0.5),
        lambda w: (w.collar - _collar(top), w.on_arm < 0.9),
        arm_hole if top.kind == "tank" else sleeve(top.length),
    ]
    if jacket is not None:
        rules += [
            lambda w: (w.torso - _hem(jacket), w.on_arm < 0.5),
            lambda w: (w.collar - 1.05, w.on_arm < 0.9),
            lambda w: (np.abs(w.lateral_m) - _opening_m(w), (w.on_arm < 0.5) & (w.forward_m > 0.0)),
            arm_hole if jacket.kind == "vest" else sleeve(jacket.length),
        ]
    if outfit.hair.kind != "bald":
        rules.append(lambda w: (_hair_level(w, outfit.hair), w.on_head > 0.3))
    if outfit.beard:
        rules.append(lambda w: (_beard_level(w), w.on_head > 0.6))
    if outfit.glasses:
        rules += [lambda w, d=d: (d - w.eye_m, w.eye_m < 0.9) for d in _FRAME_M]
    rules += [
        lambda w: (0.0125 - w.eye_m, w.eye_m < 0.9),
        lambda w: (0.0150 - w.brow_m, w.brow_m < 0.9),
        lambda w: (0.0190 - w.lips_m, w.lips_m < 0.9),
    ]
    return rules


def _cut_pattern(
    rows: np.ndarray, faces: np.ndarray, label: int, garment: Garment, outfit: Outfit
) -> tuple[np.ndarray, np.ndarray]:
    """Cut along the lines of a pattern, only in the garment that has it."""
    n = len(FIELDS)
    plain = replace(outfit, top=replace(outfit.top, pattern="plain"), bottom=replace(outfit.bottom, pattern="plain"))
    _, lines = pattern_lines(garment, Cloth(rows[:1, :n]))
    for line in lines:
        where = Cloth(rows[:, :n])
        along, _ = pattern_lines(garment, where)
        near = np.abs(along - line) < 0.2
        faces_near = faces[near[faces].any(1)]
        if not len(faces_near):
            continue
        worn = np.zeros(len(faces), bool)
        worn[near[faces].any(1)] = _parts(Cloth(rows[faces_near, :n].mean(1)), plain, jacket=False) == label
        worn &= pattern_extent(garment, where)[faces].any(1)
        rows, faces = cutting.cut(rows, faces, along - line, worn)
    return rows, faces


def _parts(where: Cloth, outfit: Outfit, jacket: bool) -> np.ndarray:
    """What each face shows, from its centre's coordinates."""
    part = np.full(len(where.rows), SKIN)
    top, bottom = outfit.top, outfit.bottom
    legs = where.on_leg > 0.5
    trunk = where.trunk
    part[trunk & (where.leg < _leg_end(bottom)) & (where.torso < 0.3)] = BOTTOM
    part[(where.leg > _shoe_top(outfit)) & legs] = SHOES
    sleeves = (where.on_arm > 0.45) & (where.arm < top.length) if top.kind != "tank" else np.zeros(len(part), bool)
    bodice = (where.on_arm < (0.45 if top.kind == "tank" else 0.5)) & (where.on_head < 0.98)
    part[(bodice & (where.torso > _hem(top, bottom.kind == "skirt")) & (where.collar < _collar(top))) | sleeves] = TOP
    if jacket and outfit.jacket is not None:
        coat = outfit.jacket
        front = (where.forward_m > 0.02) & (np.abs(where.lateral_m) < _opening_m(where))
        arms = (where.on_arm > 0.45) & (where.arm < coat.length) & (coat.kind != "vest")
        covered = (where.on_arm < 0.5) & (where.torso > _hem(coat)) & (where.collar < 1.05)
        part[(covered & ~front) | arms] = JACKET
    if outfit.hair.kind != "bald":
        part[(where.on_head > 0.6) & (_hair_level(where, outfit.hair) > 0)] = HAIR
    for label, second, garment in ((TOP, TOP_SECOND, top), (BOTTOM, BOTTOM_SECOND, bottom)):
        if garment.pattern in CUT_PATTERNS:
            part[(part == label) & second_colour(garment, where)] = second
    if outfit.beard:
        part[(where.on_head > 0.6) & (_beard_level(where) > 0) & (part == SKIN)] = BEARD
    if outfit.glasses:
        part[(where.eye_m > _FRAME_M[0]) & (where.eye_m < _FRAME_M[1])] = GLASSES
    part[where.eye_m < 0.0125] = EYES
    part[where.brow_m < 0.0150] = BROWS
    part[where.lips_m < 0.0190] = LIPS
    return part


def _thickness(where: Cloth, outfit: Outfit, part: np.ndarray) -> np.ndarray:
    """How far (V,) each vertex stands off the skin, metres."""
    loose = {"tshirt": 0.013, "shirt": 0.013, "sweater": 0.020, "tank": 0.007}
    legs = {"trousers": 0.012, "jeans": 0.009, "shorts": 0.014, "skirt": 0.010, "leggings": 0.004}
    flare = {"trousers": 0.016, "shorts": 0.024, "jeans": 0.007}
    hair = {"short": 0.014, "long": 0.022, "bun": 0.010, "cap": 0.013, "hood": 0.022}
    belly = np.exp(-(((where.torso - 0.35) / 0.3) ** 2)) * (1 - np.clip(where.on_arm, 0, 1))
    sleeve = np.clip(where.arm, 0, 1) * np.clip(where.on_arm, 0, 1)
    top = loose.get(outfit.top.kind, 0.013) + 0.010 * belly
    if outfit.top.length < 0.7:
        top = top + 0.03 * sleeve  # short sleeves stand away from the arm
    out = np.zeros(len(part))
    wears_top, wears_bottom = np.isin(part, (TOP, TOP_SECOND)), np.isin(part, (BOTTOM, BOTTOM_SECOND))
    out[wears_top] = top[wears_top]
    trousers = legs.get(outfit.bottom.kind, 0.012) + flare.get(outfit.bottom.kind, 0.0) * np.clip(where.leg, 0, 1)
    out[wears_bottom] = trousers[wears_bottom]
    coat = 0.032 + 0.012 * belly
    out[part == JACKET] = coat[part == JACKET]
    out[part == SHOES] = 0.008
    crown = hair.get(outfit.hair.kind, 0.0)
    if outfit.hair.kind == "long":
        crown = crown + 0.015 * np.clip(-where.head_z, 0, 1)
    # Hair thins out towards the hairline instead of ending in a step.
    crown = crown * np.clip(0.25 + 2.2 * _hair_level(where, outfit.hair), 0.25, 1)
    out[part == HAIR] = crown[part == HAIR]
    out[part == BEARD] = 0.006
    return out


def _folds(position_m: np.ndarray, part: np.ndarray, seed: int) -> np.ndarray:
    """Unevenness (V,) of cloth in metres: a few waves of 8 to 20 cm, so that light plays on it."""
    rng = np.random.default_rng(seed)
    out = np.zeros(len(part))
    for _ in range(7):
        wave = unit(rng.normal(size=3) * [1.0, 1.0, 0.7]) * 2 * np.pi / rng.uniform(0.08, 0.20)
        out += np.sin(position_m @ wave + rng.uniform(0, 2 * np.pi))
    cloth = np.isin(part, (TOP, TOP_SECOND, BOTTOM, BOTTOM_SECOND, JACKET))
    return 0.0016 * out * cloth


def _colours(where: Cloth, outfit: Outfit, part: np.ndarray, position_m: np.ndarray, seed: int) -> np.ndarray:
    skin, hair = np.array(outfit.skin), np.array(outfit.hair.colour)
    out = np.tile(skin, (len(part), 1))
    out[part == HAIR] = hair
    out[part == BEARD] = 0.25 * skin + 0.75 * hair
    out[part == EYES] = [0.10, 0.08, 0.07]
    out[part == BROWS] = 0.35 * skin + 0.65 * np.minimum(hair, 0.5)
    out[part == LIPS] = skin * [0.85, 0.62, 0.62]
    rng = np.random.default_rng(seed)
    for label, garment in ((TOP, outfit.top), (BOTTOM, outfit.bottom), (SHOES, outfit.shoes), (JACKET, outfit.jacket)):
        mine = part == label
        if garment is not None and mine.any():
            out[mine] = paint(garment, position_m[mine], rng)
    out[part == TOP_SECOND], out[part == BOTTOM_SECOND] = outfit.top.second, outfit.bottom.second
    out[part == GLASSES] = 0.08
    return np.clip(out, 0, 1)
