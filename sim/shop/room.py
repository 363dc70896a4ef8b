# SPDX-License-Identifier: AGPL-3.0-or-later
"""The room around the shelves: floor, walls, glass front, ceiling with lamps, gondolas, gate, counter.

What kind of wall stands on an edge of the floor follows from the layout: an edge that a gondola stands at is solid, the
edge behind the gate has the door, every other edge is a glass front with a hall behind it.
"""

from __future__ import annotations

import numpy as np
from shapely.geometry import LineString, Polygon

from calibration.catalogue import Planogram
from calibration.layout import StoreLayout
from sim.render.mesh import Mesh
from sim.shop import textures
from sim.shop.furniture import draw_gates_and_obstacles, draw_gondola, pegboard, price_tag
from sim.shop.mesh_builder import UP, MeshBuilder
from sim.shop.products import Atlas
from sim.shop.room_style import RoomStyle

OUTSIDE_M = 2.2
"""How far the hall outside reaches before its far wall."""


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
        "pegboard": pegboard(style),
        "tag": price_tag(rng),
    }
    for i in range(style.clutter):
        made[f"poster{i}"] = textures.poster_texture(rng)
    return {name: np.ascontiguousarray(image[..., ::-1]) for name, image in made.items()}


def room_meshes(layout: StoreLayout, style: RoomStyle, atlas: Atlas, planogram: Planogram | None = None) -> list[Mesh]:
    """Everything but the goods, in world coordinates. A planogram puts price tags on the shelf rails."""
    draw = MeshBuilder(atlas)
    rng = np.random.default_rng([style.seed, 1])
    solid = _floor_and_walls(draw, layout, style, rng)
    for gondola in layout.gondolas:
        draw_gondola(draw, gondola, style, planogram)
    _ceiling(draw, layout, style)
    draw_gates_and_obstacles(draw, layout, style)
    _posters(draw, layout, style, solid, rng)
    return draw.meshes()


def _edges(layout: StoreLayout):
    """Edges of the floor, counter-clockwise: start, end, unit direction, unit normal into the room."""
    corners = np.array(layout.floor_m, float)
    if not Polygon(corners).exterior.is_ccw:
        corners = corners[::-1]
    for a, b in zip(corners, np.roll(corners, -1, axis=0), strict=True):
        along = (b - a) / np.linalg.norm(b - a)
        yield a, b, along, np.array([-along[1], along[0]])


def _floor_and_walls(draw: MeshBuilder, layout: StoreLayout, style: RoomStyle, rng) -> list[tuple]:
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


def _wall(draw: MeshBuilder, a, b, along, start, end, height, low=0.0):
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


def _ceiling(draw: MeshBuilder, layout: StoreLayout, style: RoomStyle):
    x0, y0, x1, y1 = layout.floor.bounds
    z = layout.ceiling_m
    draw.quad((x0, y1, z), (x1 - x0, 0, 0), (0, y0 - y1, 0), style.ceiling_colour)
    for x, y, _ in lamp_positions(layout):
        draw.box((x - 0.5, y - 0.09, z - 0.04), (1.0, 0, 0), (0, 0.18, 0), (0, 0, 0.04), (0.7, 0.7, 0.7))
        draw.quad((x - 0.47, y + 0.07, z - 0.045), (0.94, 0, 0), (0, -0.14, 0), (1, 1, 1))


def _posters(draw: MeshBuilder, layout: StoreLayout, style: RoomStyle, solid: list[tuple], rng: np.random.Generator):
    """Posters on the solid walls, above the gondolas or beside them."""
    for i in range(style.clutter if solid else 0):
        a, b, along, normal = solid[int(rng.integers(len(solid)))]
        place = rng.uniform(0.3, max(0.31, np.linalg.norm(b - a) - 0.5))
        wide = rng.uniform(0.2, 0.45)
        low = rng.uniform(1.2, layout.ceiling_m - 0.1 - wide * 1.3)
        foot = np.array([*(a + along * place + normal * 0.012), low])
        draw.quad(foot, (*(-along * wide), 0), wide * 1.3 * UP, texture=f"poster{i}", gloss=0.1)
