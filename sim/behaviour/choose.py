# SPDX-License-Identifier: AGPL-3.0-or-later
"""Which slot an action is about: what the scenario says, and the seed where it leaves a choice."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from calibration.layout import Gondola, Shelf, Slot, StoreLayout
from pipeline.errors import ScenarioError
from sim.behaviour.stock import Item, Stock

LEVELS_M = {"low": (0.0, 0.6), "middle": (0.6, 1.3), "high": (1.3, 9.0), "any": (0.0, 9.0)}
NEAR_M = (0.12, 0.42)
"""How far apart the slots of two people are whose arms are to cross."""


def slot_centre(gondola: Gondola, shelf: Shelf, slot: Slot) -> np.ndarray:
    """(3,): the middle of the slot's front edge, on the board."""
    return gondola.to_world((slot.start_m + slot.end_m) / 2, 0.0, shelf.height_m)


def choose_slot(
    action,
    rng: np.random.Generator,
    layout: StoreLayout,
    stock: Stock,
    *,
    at_m: np.ndarray,
    visited: list[str],
    names: Mapping[str, str],
    near_slot: str | None = None,
    only_slot: str | None = None,
    highest_m: float = 1.6,
    where: str = "",
) -> str:
    """Id of a slot that is not empty and fits everything the action asks for.

    Args:
        at_m: (2,) where the shopper is. visited: gondolas where they have been. names: name -> slot id.
        near_slot: for `near`, the slot of the other shopper. only_slot: for `with` and `moved_by`.
        highest_m: the highest board this shopper reaches. where: scenario and shopper, for errors.
    """
    quantity = getattr(action, "quantity", 1)
    enough = stock.room if action.kind == "restock" else stock.count
    fits = {
        slot_id: place
        for slot_id, place in layout.slot_by_id.items()
        if enough(slot_id) >= quantity and place[1].height_m <= highest_m
    }

    def keep(what: str, test) -> None:
        nonlocal fits
        left = {k: v for k, v in fits.items() if test(k, *v)}
        if not left:
            raise ScenarioError(f"{where}: no stocked slot is left that fits {what}")
        fits = left

    low, high = LEVELS_M[action.level]
    keep(f"level {action.level!r}", lambda _k, _g, shelf, _s: low <= shelf.height_m < high)
    if action.slot is not None:
        keep(f"slot {action.slot!r}", lambda k, *_: k == action.slot)
    if only_slot is not None:
        keep("the other one's place", lambda k, *_: k == only_slot)
    if action.same_as is not None:
        keep(f"same_as {action.same_as!r}", lambda k, *_: k == names[action.same_as])
    if action.product is not None:
        keep(f"product {action.product!r}", lambda k, *_: stock.gtin_of[k] == action.product)
    if action.beside is not None:
        beside = names[action.beside]
        gondola, shelf, slot = layout.slot_by_id[beside]
        keep(
            f"beside {action.beside!r}", lambda k, g, sh, _s: sh is shelf and stock.gtin_of[k] != stock.gtin_of[beside]
        )
        gap = {k: max(v[2].start_m - slot.end_m, slot.start_m - v[2].end_m) for k, v in fits.items()}
        nearest = min(gap.values())
        keep("the neighbour", lambda k, *_: gap[k] <= nearest + 0.12)
    if action.facing_of is not None:
        facing = names[action.facing_of]
        _, shelf, slot = layout.slot_by_id[facing]
        keep(
            f"facing_of {action.facing_of!r}",
            lambda k, _g, sh, s: (
                sh is shelf and k != facing and stock.gtin_of[k] == stock.gtin_of[facing]
                and min(abs(s.start_m - slot.end_m), abs(slot.start_m - s.end_m)) < 0.02
            ),
        )  # fmt: skip
    if near_slot is not None:
        there = slot_centre(*layout.slot_by_id[near_slot])
        gondola = layout.slot_by_id[near_slot][0]
        keep(f"near {action.near!r}", lambda _k, g, _sh, _s: g is gondola)
        keep(
            f"near {action.near!r}",
            lambda _k, g, sh, s: NEAR_M[0] <= np.linalg.norm(slot_centre(g, sh, s) - there) <= NEAR_M[1],
        )
    elif action.gondola in ("other", "nearest", "farthest"):
        keep("a gondola not visited", lambda _k, g, *_: g.id not in visited)
        left = {g.id: float(np.hypot(*(_middle(g) - at_m))) for g, *_ in fits.values()}
        if action.gondola != "other":
            wanted = (min if action.gondola == "nearest" else max)(left, key=left.get)
            keep(action.gondola, lambda _k, g, *_: g.id == wanted)
    elif action.gondola != "any":
        keep(f"gondola {action.gondola!r}", lambda _k, g, *_: g.id == action.gondola)
    return str(rng.choice(sorted(fits)))


def slot_to_put(item: Item, where: str, rng: np.random.Generator, layout: StoreLayout, stock: Stock, size_of) -> str:
    """Id of the slot where an item is put back; `where` as in `PutBack`, names resolved.

    Into a place of another product only what fits between its neighbours: not wider or taller than the slot, hardly
    deeper than what else stands there. `size_of`: width, depth and height of a GTIN.
    """
    if where == "own":
        return item.home
    if where not in ("other", "beside"):
        return where
    width, depth, height = size_of(item.gtin)
    _, home_shelf, home = layout.slot_by_id[item.home]
    fits = {}
    for slot_id, (_, shelf, slot) in layout.slot_by_id.items():
        gtin = stock.gtin_of.get(slot_id)
        if gtin is None or gtin == item.gtin or not stock.room(slot_id) or not stock.count(slot_id):
            continue
        if width > slot.end_m - slot.start_m or height > shelf.clearance_m or depth > size_of(gtin)[1] + 0.02:
            continue
        if where == "other" or shelf is home_shelf:
            fits[slot_id] = max(slot.start_m - home.end_m, home.start_m - slot.end_m)
    if not fits:
        raise ScenarioError(f"no slot with room is left for {item.gtin} ({where}); give the scenario more `gaps`")
    if where == "beside":
        return min(sorted(fits), key=fits.get)
    return str(rng.choice(sorted(fits)))


def _middle(gondola: Gondola) -> np.ndarray:
    return gondola.to_world(gondola.width_m / 2, 0.0, 0.0)[:2]
