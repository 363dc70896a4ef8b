# SPDX-License-Identifier: AGPL-3.0-or-later
"""Dressing a rest body: every face belongs to skin, hair or a garment, garments stand off the skin.

The mesh is cut between garments (vertices on a seam are doubled, one for each side), so colours stop sharply at a
hem and a shirt hangs over the trousers. The cut depends only on the outfit, never on the outfit phase: a jacket
that comes off changes places and colours, not the faces.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sim.people.assets import body_assets
from sim.people.bodies import RestBody, vertex_normals
from sim.people.patterns import paint
from sim.people.regions import Regions, regions
from sim.people.state import Garment, Outfit

SOLE_M = 0.022

SKIN, HAIR, TOP, BOTTOM, SHOES, JACKET, EYES, LIPS, BROWS = range(9)


@dataclass(frozen=True)
class Dressed:
    """A dressed rest body in one outfit phase; standing on its soles at z = 0.

    Attributes:
        vertices_m, normals, colours: (V, 3).
        weights: (V, J).
        faces: (F, 3) int32.
        lift_m: how much the barefoot body was raised by its soles.
    """

    vertices_m: np.ndarray
    normals: np.ndarray
    colours: np.ndarray
    weights: np.ndarray
    faces: np.ndarray
    lift_m: float


def dress(body: RestBody, outfit: Outfit, phase: int, detail: str = "low", seed: int = 0) -> Dressed:
    """Put an outfit on a body; ``phase`` 1 is without the jacket."""
    assets, where = body_assets(detail), regions(detail)
    with_jacket = _parts(where, outfit, jacket=True)
    without = _parts(where, outfit, jacket=False)
    worn = with_jacket if phase == 0 else without
    faces = assets.faces
    # One label a face: that of its most outward corner; what two phases show differs, so both cut.
    face_part = _face_parts(worn, faces)
    cut = _face_parts(with_jacket, faces) * 16 + _face_parts(without, faces)
    keys = faces.astype(np.int64) * 256 + cut[:, None]
    unique, first, inverse = np.unique(keys.ravel(), return_index=True, return_inverse=True)
    source = unique // 256
    part = np.repeat(face_part, 3)[first]
    new_faces = inverse.reshape(-1, 3).astype(np.int32)

    normals = vertex_normals(body.vertices_m, faces)
    vertices = body.vertices_m[source] + normals[source] * _thickness(where, outfit, part, source)[:, None]
    vertices = _shape_shoes(vertices, part, where, source)
    vertices[:, 2] += SOLE_M
    # Shade smoothly over seams: normals come from the shape before the cut, clothes soften them.
    smooth = vertex_normals(_merged(vertices, source, len(body.vertices_m)), faces)[source]
    colours = _colours(where, outfit, part, source, body, seed)
    return Dressed(
        vertices.astype(np.float32),
        smooth.astype(np.float32),
        colours.astype(np.float32),
        assets.weights[source],
        new_faces,
        SOLE_M,
    )


def _merged(vertices: np.ndarray, source: np.ndarray, count: int) -> np.ndarray:
    total = np.zeros((count, 3))
    np.add.at(total, source, vertices)
    return total / np.maximum(np.bincount(source, minlength=count), 1)[:, None]


def _parts(where: Regions, outfit: Outfit, jacket: bool) -> np.ndarray:
    """The part (V,) each vertex would show."""
    part = np.full(len(where.arm), SKIN)
    trunk = (where.arm < 0) & (where.leg < 0) & (where.head < 0.5)
    bottom = outfit.bottom
    waist = 0.22
    skirt = bottom.kind == "skirt"
    reach = 0.06 + 0.94 * (0.25 if skirt else bottom.length)
    part[(trunk & (where.torso < waist)) | ((where.leg >= -0.5) & (where.leg < reach))] = BOTTOM
    part[(where.foot > 0.5) | (where.leg > (0.80 if outfit.shoes.kind == "boots" else 0.97))] = SHOES
    top = outfit.top
    neckline = 0.94 if top.kind in ("tshirt", "tank") else 0.99
    hem = 0.06 if top.kind in ("tshirt", "sweater") else 0.12
    chest = trunk & (where.torso > hem) & (where.torso < neckline)
    sleeve = (where.arm > -0.6) & (where.arm < max(top.length, 0.02) * 1.0) & (where.arm != -1)
    if top.kind == "tank":
        sleeve &= where.arm < 0.02
    part[chest | sleeve] = TOP
    if jacket and outfit.jacket is not None:
        coat = outfit.jacket
        long = coat.kind == "coat"
        covered = trunk & (where.torso > (-0.6 if long else 0.0)) & (where.torso < 1.02)
        # Open in front: a wedge from the neck down.
        open_front = (np.abs(where.scalp[:, 1]) < 0.28 + 0.25 * np.clip(where.torso, 0, 1)) & (where.scalp[:, 0] > 0.1)
        sleeve = (where.arm != -1) & (where.arm < coat.length)
        part[(covered & ~open_front) | sleeve] = JACKET
        if long:
            part[(where.leg >= -0.5) & (where.leg < 0.36)] = JACKET
    part[_hair(where, outfit.hair)] = HAIR
    for name, label in (("eyes", EYES), ("brows", BROWS), ("lips", LIPS)):
        part[where.face[name]] = label
    return part


def _hair(where: Regions, hair: Garment) -> np.ndarray:
    """Vertices (V,) under hair or a cap."""
    if hair.kind == "bald":
        return np.zeros(len(where.head), bool)
    x, y, z = where.scalp.T
    on_head = where.head > 0.5
    hairline = np.where(x > 0.25, 0.42 + 0.18 * np.clip(x, 0, 1), np.where(x > -0.15, -0.05 + 1.1 * (x + 0.15), -0.55))
    if hair.kind in ("long", "hood"):
        hairline = np.where(x > 0.25, hairline, np.where(x > 0.0, -0.3, -1.2))
    return on_head & (z > hairline) & (x < 0.62)


def _face_parts(part: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """The commonest label of a face's corners, the middle corner's where all three differ."""
    a, b, c = part[faces].T
    return np.where(b == c, b, np.where(a == c, a, np.where(a == b, a, np.maximum(a, np.maximum(b, c)))))


def _thickness(where: Regions, outfit: Outfit, part: np.ndarray, source: np.ndarray) -> np.ndarray:
    """How far (V,) each vertex stands off the skin, metres."""
    loose = {"tshirt": 0.013, "shirt": 0.013, "sweater": 0.02, "tank": 0.008}
    legs = {"trousers": 0.014, "jeans": 0.010, "shorts": 0.020, "skirt": 0.012, "leggings": 0.005}
    out = np.zeros(len(source))
    torso, arm, leg = where.torso[source], where.arm[source], where.leg[source]
    belly = np.exp(-(((torso - 0.35) / 0.3) ** 2)) * (arm == -1)
    out[part == TOP] = loose.get(outfit.top.kind, 0.013)
    out += (part == TOP) * 0.010 * belly
    out[part == BOTTOM] = legs.get(outfit.bottom.kind, 0.012)
    flare = {"trousers": 0.014, "shorts": 0.020, "jeans": 0.006}.get(outfit.bottom.kind, 0.0)
    out += (part == BOTTOM) * flare * np.clip(leg, 0, 1)
    out[part == JACKET] = 0.032
    out += (part == JACKET) * 0.012 * belly
    out[part == SHOES] = 0.009
    x, y, z = where.scalp[source].T
    crown = {"short": 0.016, "long": 0.024, "bun": 0.012, "cap": 0.014, "hood": 0.022}.get(outfit.hair.kind, 0.0)
    out[part == HAIR] = crown
    if outfit.hair.kind == "long":
        out += (part == HAIR) * 0.03 * np.clip(-z, 0, 1)
    return out


def _shape_shoes(vertices: np.ndarray, part: np.ndarray, where: Regions, source: np.ndarray) -> np.ndarray:
    """Flat soles under the feet."""
    shoe = part == SHOES
    sole = shoe & (vertices[:, 2] < 0.022)
    vertices = vertices.copy()
    vertices[sole, 2] = -SOLE_M
    return vertices


def _colours(
    where: Regions, outfit: Outfit, part: np.ndarray, source: np.ndarray, body: RestBody, seed: int
) -> np.ndarray:
    rng = np.random.default_rng(seed)
    skin = np.array(outfit.skin)
    out = np.tile(skin, (len(source), 1))
    hair = np.array(outfit.hair.colour)
    out[part == HAIR] = hair
    out[part == EYES] = np.array([0.10, 0.08, 0.07])
    out[part == BROWS] = 0.35 * skin + 0.65 * np.minimum(hair, 0.5)
    out[part == LIPS] = skin * [0.85, 0.62, 0.62]
    position = body.vertices_m[source]
    for label, garment in ((TOP, outfit.top), (BOTTOM, outfit.bottom), (SHOES, outfit.shoes), (JACKET, outfit.jacket)):
        mine = part == label
        if garment is not None and mine.any():
            out[mine] = paint(garment, position[mine], where.torso[source][mine], where.arm[source][mine], rng)
    # Small unevenness, as skin and cloth have; the same for all copies of a vertex.
    shade = 1 + 0.05 * (rng.random(len(body.vertices_m))[source] - 0.5)
    return np.clip(out * shade[:, None], 0, 1)
