# SPDX-License-Identifier: AGPL-3.0-or-later
"""What stands in the room: gondolas with boards, rails and price tags, counters with a monitor, gate posts."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from shapely.geometry import Polygon

from calibration.catalogue import Planogram
from calibration.layout import Gondola, StoreLayout
from sim.shop.mesh_builder import UP, MeshBuilder
from sim.shop.room_style import RoomStyle

BOARD_M = 0.022
RAIL_M = 0.035


def draw_gondola(draw: MeshBuilder, gondola: Gondola, style: RoomStyle, planogram: Planogram | None):
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


def draw_gates_and_obstacles(draw: MeshBuilder, layout: StoreLayout, style: RoomStyle):
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


def pegboard(style: RoomStyle) -> np.ndarray:
    image = np.empty((64, 128, 3), np.uint8)
    image[:] = (255 * np.clip(np.array(style.body_colour) * 1.3 + 0.03, 0, 1)).astype(np.uint8)
    image[4::12, 4::12] = image[5::12, 4::12] = image[4::12, 5::12] = image[5::12, 5::12] = image[0, 0] // 3
    return image


def price_tag(rng: np.random.Generator) -> np.ndarray:
    image = np.full((22, 44, 3), 250, np.uint8)
    image[3:7, 3:30] = 120
    image[10:19, 14:40] = 40
    image[12:17, 20:24] = image[12:17, 30:34] = 250
    image[:, :2] = [(220, 40, 40), (40, 80, 200), (240, 190, 20)][int(rng.integers(3))]
    return image
