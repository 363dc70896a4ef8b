# SPDX-License-Identifier: AGPL-3.0-or-later
"""The room around the shelves: floor, walls, glass front, ceiling with lamps, gondolas, gate, counter.

What kind of wall stands on an edge of the floor follows from the layout: an edge that a gondola stands at is solid, the
edge behind the gate has the door, every other edge is a glass front with a hall behind it.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from shapely.geometry import LineString, Polygon

from calibration.catalogue import Planogram
from calibration.layout import Gondola, StoreLayout
from sim.render.mesh import Mesh
from sim.shop import textures
from sim.shop.products import Atlas, in_rect, quads

Colour = tuple[float, float, float]
UP = np.array([0.0, 0, 1])
OUTSIDE_M = 2.2
"""How far the hall outside reaches before its far wall."""
BOARD_M = 0.022
RAIL_M = 0.035


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


def lamp_positions(layout: StoreLayout, spacing_m: float = 1.8) -> np.ndarray:
    """Float (L, 3): an even grid of lamps under the ceiling."""
    x0, y0, x1, y1 = layout.floor.bounds
    axes = [low + (np.arange(n := max(1, round((high - low) / spacing_m))) + 0.5) * (high - low) / n
            for low, high in ((x0, x1), (y0, y1))]  # fmt: skip
    return np.array([[x, y, layout.ceiling_m - 0.02] for x in axes[0] for y in axes[1]])


def room_textures(layout: StoreLayout, style: RoomStyle) -> dict[str, np.ndarray]:
    """Textures that `room_meshes` looks for in the atlas, uint8 BGR by name."""
    rng = np.random.default_rng(style.seed)
    x0, y0, x1, y1 = layout.floor.bounds
    made = {
        "floor": textures.floor_texture(rng, style.floor, style.floor_colour, (x1 - x0, y1 - y0), 200),
        "outside-floor": textures.floor_texture(rng, style.outside_floor, style.outside_colour, (3.0, 3.0), 60),
        "wall": textures.wall_texture(rng, style.wall, style.wall_colour, (3.0, layout.ceiling_m), 80),
        "outside": textures.outside_texture(rng, 8.0, layout.ceiling_m, 80),
        "screen": textures.screen_texture(rng),
        "pegboard": _pegboard(style),
        "tag": _price_tag(rng),
    }
    for i in range(style.clutter):
        made[f"poster{i}"] = textures.poster_texture(rng)
    return {name: np.ascontiguousarray(image[..., ::-1]) for name, image in made.items()}


def room_meshes(layout: StoreLayout, style: RoomStyle, atlas: Atlas, planogram: Planogram | None = None) -> list[Mesh]:
    """Everything but the goods, in world coordinates. A planogram puts price tags on the shelf rails."""
    draw = _Builder(atlas)
    rng = np.random.default_rng([style.seed, 1])
    solid = _floor_and_walls(draw, layout, style, rng)
    for gondola in layout.gondolas:
        _gondola(draw, gondola, style, planogram)
    _ceiling(draw, layout, style)
    _gates_and_obstacles(draw, layout, style)
    _posters(draw, layout, style, solid, rng)
    return draw.meshes()


class _Builder:
    """Collects quads by gloss."""

    def __init__(self, atlas: Atlas) -> None:
        self.atlas = atlas
        self._by_gloss: dict[float, tuple[list, list, list]] = {}

    def quad(self, origin, u, v, colour=(1.0, 1.0, 1.0), texture: str | None = None, part=(0, 0, 1, 1), gloss=0.0):
        """The parallelogram origin, origin + u, origin + u + v, origin + v, in that order counter-clockwise."""
        origin, u, v = (np.asarray(a, float) for a in (origin, u, v))
        corners, colours, uvs = self._by_gloss.setdefault(gloss, ([], [], []))
        corners.append([origin, origin + u, origin + u + v, origin + v])
        colours.append(colour)
        x0, y0, x1, y1 = part
        if texture is None:
            uvs.append(np.zeros((4, 2)))
        else:
            uvs.append(in_rect(self.atlas.rects[texture], [(x0, y0), (x1, y0), (x1, y1), (x0, y1)]))

    def box(self, origin, x, y, z, colour, gloss=0.0):
        """A box from `origin` along the right-handed edges x, y, z."""
        origin, x, y, z = (np.asarray(a, float) for a in (origin, x, y, z))
        for o, u, v in (
            (origin, x, z), (origin + x, y, z), (origin + x + y, -x, z), (origin + y, -y, z), (origin + z, x, y),
            (origin + y, x, -y),
        ):  # fmt: skip
            self.quad(o, u, v, colour, gloss=gloss)

    def meshes(self) -> list[Mesh]:
        return [
            quads(np.array(c), np.array(k), np.array(t), gloss) for gloss, (c, k, t) in sorted(self._by_gloss.items())
        ]


def _edges(layout: StoreLayout):
    """Edges of the floor, counter-clockwise: start, end, unit direction, unit normal into the room."""
    corners = np.array(layout.floor_m, float)
    if not Polygon(corners).exterior.is_ccw:
        corners = corners[::-1]
    for a, b in zip(corners, np.roll(corners, -1, axis=0), strict=True):
        along = (b - a) / np.linalg.norm(b - a)
        yield a, b, along, np.array([-along[1], along[0]])


def _floor_and_walls(draw: _Builder, layout: StoreLayout, style: RoomStyle, rng) -> list[tuple]:
    x0, y0, x1, y1 = layout.floor.bounds
    draw.quad((x0, y0, 0), (x1 - x0, 0, 0), (0, y1 - y0, 0), texture="floor", gloss=0.12)
    solid, halls = [], 0
    for a, b, along, normal in _edges(layout):
        line = LineString([a, b])
        backed = [g for g in layout.gondolas if line.distance(g.footprint) < 0.3]
        doors = [gate for gate in layout.gates if _is_behind(gate, a, b, normal)]
        if backed:
            _wall(draw, a, b, along, 0, np.linalg.norm(b - a), layout.ceiling_m)
            solid.append((a, b, along, normal))
        elif doors:
            _door_wall(draw, a, b, along, normal, doors[0], layout, style)
            solid.append((a, b, along, normal))
            _hall(draw, a, b, along, normal, layout, rng, halls)
            halls += 1
        else:
            _glass_front(draw, a, b, along, normal, layout, style)
            _hall(draw, a, b, along, normal, layout, rng, halls)
            halls += 1
    return solid


def _is_behind(gate, a, b, normal) -> bool:
    """Does one who goes out through the gate leave over this edge of the floor?"""
    outward = -np.array(gate.inward, float) / np.linalg.norm(gate.inward)
    if outward @ -normal < 0.7:
        return False
    middle = np.mean(np.array(gate.line_m, float), axis=0)
    return LineString([middle, middle + 3.0 * outward]).intersects(LineString([a, b]))


def _wall(draw: _Builder, a, b, along, start, end, height, low=0.0):
    """Solid wall between two places along an edge, in strips of the texture's width."""
    at = start
    while at < end - 1e-6:
        step = min(3.0, end - at)
        foot = np.array([*(a + along * (at + step)), low])
        part = (0, low / height, step / 3.0, 1)
        draw.quad(foot, (*(-along * step), 0), (0, 0, height - low), texture="wall", part=part)
        at += step


def _door_wall(draw, a, b, along, normal, gate, layout, style):
    """Solid wall with an opening as wide as the gate's line and a door frame around it."""
    length = np.linalg.norm(b - a)
    ends = sorted((np.array(p, float) - a) @ along for p in gate.line_m)
    left, right = max(ends[0], 0.1), min(ends[1], length - 0.1)
    _wall(draw, a, b, along, 0, left, layout.ceiling_m)
    _wall(draw, a, b, along, right, length, layout.ceiling_m)
    _wall(draw, a, b, along, left, right, layout.ceiling_m, low=2.15)
    x, y = np.array([*along, 0]), np.array([*normal, 0])
    for place in (left, right - 0.06):
        draw.box([*(a + along * place - normal * 0.06), 0], 0.06 * x, 0.08 * y, 2.15 * UP, style.frame_colour, 0.3)
    draw.box(
        [*(a + along * left - normal * 0.06), 2.09], (right - left) * x, 0.08 * y, 0.06 * UP, style.frame_colour, 0.3
    )


def _glass_front(draw, a, b, along, normal, layout, style):
    """Sill, header and mullions; the glass itself is not drawn."""
    length, height = np.linalg.norm(b - a), layout.ceiling_m
    x, y = np.array([*along, 0]), np.array([*normal, 0])
    foot = np.array([*(a - normal * 0.06), 0.0])
    draw.box(foot, length * x, 0.05 * y, 0.10 * UP, style.frame_colour, 0.3)
    draw.box(foot + 2.15 * UP, length * x, 0.05 * y, 0.08 * UP, style.frame_colour, 0.3)
    draw.quad(foot + 2.23 * UP + length * x + 0.05 * y, -length * x, (height - 2.23) * UP, texture="wall",
              part=(0, 2.23 / height, 1, 1))  # fmt: skip
    count = max(2, round(length / 1.2) + 1)
    for place in np.linspace(0, length - 0.06, count):
        draw.box(foot + place * x, 0.06 * x, 0.05 * y, height * UP, style.frame_colour, 0.3)


def _hall(draw, a, b, along, normal, layout, rng, number: int):
    """Floor and far wall of what lies outside an edge."""
    # Halls of neighbouring edges overlap in the corner: a little lower and deeper each, so that no surfaces coincide.
    length, depth, over = np.linalg.norm(b - a), OUTSIDE_M + 0.05 * number, OUTSIDE_M
    x, y = np.array([*along, 0]), np.array([*-normal, 0])
    corner = np.array([*a, -0.004 * (number + 1)]) - over * x
    wide = length + 2 * over
    for i in range(pieces := int(np.ceil(wide / 3.0))):
        step = wide / pieces
        part = (0, 0, step / 3, depth / 3)
        draw.quad(corner + (i + 1) * step * x, -step * x, depth * y, texture="outside-floor", part=part, gloss=0.12)
    start = rng.uniform(0, max(0.0, 1 - wide / 8.0))
    part = (start, 0, min(1.0, start + wide / 8.0), 1)
    far = corner + depth * y
    draw.quad(far + wide * x, -wide * x, layout.ceiling_m * UP, (0.95, 0.97, 1.0), "outside", part)
    draw.quad(far, -depth * y, layout.ceiling_m * UP, (0.8, 0.8, 0.8), "outside", (0.0, 0, depth / 8, 1))
    draw.quad(
        corner + wide * x, depth * y, layout.ceiling_m * UP, (0.8, 0.8, 0.8), "outside", (0.4, 0, 0.4 + depth / 8, 1)
    )


def _ceiling(draw: _Builder, layout: StoreLayout, style: RoomStyle):
    x0, y0, x1, y1 = layout.floor.bounds
    z = layout.ceiling_m
    draw.quad((x0, y1, z), (x1 - x0, 0, 0), (0, y0 - y1, 0), style.ceiling_colour)
    for x, y, _ in lamp_positions(layout):
        draw.box((x - 0.5, y - 0.09, z - 0.04), (1.0, 0, 0), (0, 0.18, 0), (0, 0, 0.04), (0.7, 0.7, 0.7))
        draw.quad((x - 0.47, y + 0.07, z - 0.045), (0.94, 0, 0), (0, -0.14, 0), (1, 1, 1))


def _gondola(draw: _Builder, gondola: Gondola, style: RoomStyle, planogram: Planogram | None):
    x, y = gondola.right, -gondola.normal  # to the shopper's right, away from the shopper
    width, depth, height = gondola.width_m, gondola.depth_m, gondola.height_m
    shelf_depth = max(s.depth_m for s in gondola.shelves)
    body = np.array(style.body_colour)
    back = min(shelf_depth + 0.002, depth - 0.01)
    corner = gondola.origin + back * y
    draw.box(corner, width * x, (depth - back) * y, height * UP, body * 0.8)
    levels = [s.height_m for s in gondola.shelves] + [height]
    draw.quad(corner - 0.002 * y, width * x, levels[0] * UP, body * 0.5)
    for low, high in pairwise(levels):  # darker under each board
        half = (high - low) / 2
        draw.quad(corner - 0.002 * y + low * UP, width * x, half * UP, (0.75,) * 3, "pegboard", (0, 0, 1, 0.5))
        draw.quad(corner - 0.002 * y + (low + half) * UP, width * x, half * UP, (0.5,) * 3, "pegboard", (0, 0.5, 1, 1))
    for place in (0.0, width - 0.03):
        draw.box(corner + place * x - 0.03 * y, 0.03 * x, 0.03 * y, height * UP, body)
    draw.box(gondola.origin + 0.06 * y, width * x, (depth - 0.06) * y, 0.12 * UP, body * 0.7)  # plinth
    for shelf in gondola.shelves:
        top = gondola.origin + (shelf.height_m - BOARD_M) * UP
        draw.box(top + 0.002 * y, width * x, (shelf.depth_m - 0.002) * y, (BOARD_M - 0.001) * UP, style.board_colour)
        # The rail hangs down from the board's front edge, 1 cm in front of it.
        rail = gondola.origin - 0.008 * y + (shelf.height_m - RAIL_M) * UP
        draw.box(rail, width * x, 0.008 * y, (RAIL_M - 0.002) * UP, style.rail_colour, gloss=0.2)
        previous = None
        for slot in shelf.slots:
            gtin = planogram.slots.get(slot.id) if planogram else None
            if gtin and gtin != previous:
                tag = rail - 0.001 * y + (slot.start_m + 0.02) * x + 0.003 * UP
                draw.quad(tag, 0.055 * x, (RAIL_M - 0.007) * UP, texture="tag")
            previous = gtin


def _gates_and_obstacles(draw: _Builder, layout: StoreLayout, style: RoomStyle):
    """Wide obstacles are counters with a monitor, narrow ones posts with a lit top."""
    for corners in layout.obstacles_m:
        polygon = Polygon(corners)
        x0, y0, x1, y1 = polygon.bounds
        size = np.array([x1 - x0, y1 - y0])
        x, y = np.array([size[0], 0, 0]), np.array([0, size[1], 0])
        foot = np.array([x0, y0, 0.0])
        if size.max() < 0.3:
            draw.box(foot, x, y, 1.0 * UP, (0.6, 0.61, 0.63), gloss=0.4)
            draw.box(foot + 1.0 * UP, x, y, 0.04 * UP, style.gate_colour, gloss=0.4)
            continue
        colour = np.array(style.counter_colour)
        draw.box(foot, x, y, 0.88 * UP, colour * 0.85)
        draw.box(foot - [0, 0, -0.88], x, y, 0.03 * UP, colour, gloss=0.15)
        # The monitor stands against the wall that the counter stands at, and looks into the room.
        inward = (
            np.array(layout.floor.centroid.coords[0])
            - (x0 + x1) / 2 * np.array([1, 0])
            - (y0 + y1) / 2 * np.array([0, 1])
        )
        axis = int(np.argmin(size))
        into = np.zeros(3)
        into[axis] = np.sign(inward[axis]) or 1.0
        right = np.cross(UP, into)  # to the right of one who looks at the screen
        centre = foot + (x + y) / 2 - into * (size[axis] / 2 - 0.07)
        wide, tall = min(0.7, 0.8 * size[1 - axis]), 0.4
        base = centre + 1.05 * UP - right * wide / 2
        draw.box(
            base - 0.03 * into - 0.02 * UP,
            wide * right,
            0.028 * into,
            (tall + 0.02) * UP,
            (0.05, 0.05, 0.05),
            gloss=0.3,
        )
        draw.quad(base, wide * right, tall * UP, texture="screen", gloss=0.4)
        draw.box(centre + 0.91 * UP - 0.05 * right - 0.03 * into, 0.1 * right, 0.03 * into, 0.14 * UP, (0.1, 0.1, 0.1))
        keys = centre + into * 0.12 + 0.912 * UP - right * 0.2
        draw.box(keys, 0.4 * right, 0.13 * into, 0.015 * UP, (0.08, 0.08, 0.09))


def _posters(draw: _Builder, layout: StoreLayout, style: RoomStyle, solid: list[tuple], rng: np.random.Generator):
    """Posters on the solid walls, above the gondolas or beside them."""
    for i in range(style.clutter if solid else 0):
        a, b, along, normal = solid[int(rng.integers(len(solid)))]
        place = rng.uniform(0.3, max(0.31, np.linalg.norm(b - a) - 0.5))
        wide = rng.uniform(0.2, 0.45)
        low = rng.uniform(1.2, layout.ceiling_m - 0.1 - wide * 1.3)
        foot = np.array([*(a + along * place + normal * 0.012), low])
        draw.quad(foot, (*(-along * wide), 0), wide * 1.3 * UP, texture=f"poster{i}", gloss=0.1)


def _pegboard(style: RoomStyle) -> np.ndarray:
    image = np.empty((64, 128, 3), np.uint8)
    image[:] = (255 * np.clip(np.array(style.body_colour) * 1.3 + 0.03, 0, 1)).astype(np.uint8)
    image[4::12, 4::12] = image[5::12, 4::12] = image[4::12, 5::12] = image[5::12, 5::12] = image[0, 0] // 3
    return image


def _price_tag(rng: np.random.Generator) -> np.ndarray:
    image = np.full((22, 44, 3), 250, np.uint8)
    image[3:7, 3:30] = 120
    image[10:19, 14:40] = 40
    image[12:17, 20:24] = image[12:17, 30:34] = 250
    image[:, :2] = [(220, 40, 40), (40, 80, 200), (240, 190, 20)][int(rng.integers(3))]
    return image
