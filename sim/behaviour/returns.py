# SPDX-License-Identifier: AGPL-3.0-or-later
"""Letting go of things: back on a shelf, on the floor, new stock into a slot; and a jacket that comes off."""

from __future__ import annotations

import numpy as np

from sim.behaviour import actions as act
from sim.behaviour.body import Via
from sim.behaviour.choose import slot_to_put
from sim.behaviour.exchange import Exchange
from sim.behaviour.grasp import grasp_pose
from sim.behaviour.hands import GLIDE_S, Ticks
from sim.behaviour.stock import Hold, Item

_DOWN_M = (0.40, 0.45, 0.35, 0.50)
"""How far ahead a thing is set down on the floor, tried in this order."""


class Returns(Exchange):
    """Attributes:
    slots: slot ids by the names that the scenario gives them with `as`. put_slot_id: where they last put something.
    """

    def __init__(self, *args, **more) -> None:
        super().__init__(*args, **more)
        self.slots: dict[str, str] = {}
        self.put_slot_id: str | None = None
        self._brought = 0

    def _do_put_back(self, action: act.PutBack) -> Ticks:
        item = self.items[action.item]
        where = self.slots.get(action.where, action.where)
        slot_id = slot_to_put(item, where, self.rng, self.world.layout, self.world.stock, self.world.size_m)
        if action.name:
            self.slots[action.name] = slot_id
        yield from self._put(item, slot_id, action.pace)

    def _do_restock(self, action: act.Restock) -> Ticks:
        yield from self._choose(action)
        slot_id = self.slot_id
        for _ in range(action.quantity):
            item = self.world.stock.bring(slot_id, self._brought, self.id)
            self._brought += 1
            self.stowed.append(item)
            yield from self._put(item, slot_id, action.pace)

    def _put(self, item: Item, slot_id: str, pace: act.Range) -> Ticks:
        """Bring an item into a slot."""
        stock = self.world.stock
        gondola = self.world.layout.slot_by_id[slot_id][0]
        yield from self._take_out(item)
        side = self.held.index(item)
        self.slot_id = slot_id
        yield from self._step_to(gondola, slot_id, side)
        yield from self._pause(0.1)
        pace = self._draw(pace)
        size = self.world.size_m(item.gtin)
        began_s = self.world.now_s
        place = stock.free_place(slot_id)
        yield from self._reach_in(gondola, grasp_pose(gondola, place, size, side)[:3, 3], side, pace)
        yield from self._pause(GLIDE_S)
        stock.put(item, slot_id, self.world.now_s, GLIDE_S)
        self.held[side] = None
        at_s = self.world.now_s
        yield from self._pause(0.1)
        self.body.grip_goal[side] = 0.0
        yield from self._pause(float(self.rng.uniform(0.12, 0.25)) / pace)
        yield from self._reach_out(gondola, side, pace)
        self.world.event("put_back", self, side, item, 1, at_s, began_s, slot_id)
        self.put_slot_id = slot_id
        self._lower(side, 0.5)
        self._done_at_shelf()

    def _do_drop(self, action: act.Drop) -> Ticks:
        """Turn to where the floor is free, crouch, and set the item down."""
        item = self.items[action.item]
        yield from self._take_out(item)
        side = self.held.index(item)
        heading, spot = self._free_floor()
        for _ in range(40):
            self.stand(heading)
            yield
        height = self.world.size_m(item.gtin)[2]
        target = np.array([*spot, 0.55 * height + 0.02])
        began_s = self.world.now_s
        self.body.look_goal = target
        self.body.crouch_goal = 0.9
        yield from self._pause(0.55)
        self.body.move_hand(side, [Via(target, 0.0, 0.7)], 1.0)
        while self.body.hand_moves(side):
            self.stand()
            yield
        pose = item.history[0].pose.copy()
        pose[:3, 3] = [*spot, 0.0]
        item.history.append(Hold(self.world.now_s, "floor", pose, glide_s=GLIDE_S))
        self.held[side] = None
        at_s = self.world.now_s + GLIDE_S
        yield from self._pause(GLIDE_S + 0.1)
        self.body.grip_goal[side] = 0.0
        yield from self._pause(0.15)
        self._lower(side, 0.6)
        self.body.crouch_goal = 0.0
        self.body.look_goal = None
        yield from self._pause(0.5)
        self.world.event("drop", self, side, item, 1, at_s, began_s, None)

    def _free_floor(self) -> tuple[float, np.ndarray]:
        """A heading, as near as may be to the present one, in which floor lies free, and the point (2,) on it."""
        for ahead in _DOWN_M:
            for turn in np.radians([0, 45, -45, 90, -90, 135, -135, 180]):
                heading = self.body.heading + turn
                spot = self.body.xy + ahead * np.array([np.cos(heading), np.sin(heading)])
                others = [np.hypot(*(o.body.xy - spot)) for o in self.world.others(self)]
                if self.world.space.contains(spot) and min(others, default=1.0) > 0.45:
                    return heading, spot
        return self.body.heading, self.body.to_world(np.array([0.3, 0.0, 0.0]))[:2]

    def _do_take_off_jacket(self, _action: act.TakeOffJacket) -> Ticks:
        """Both hands open it, draw it off the shoulders and put it away."""
        for side in (0, 1):
            yield from self._until_hand_is_free(side)
        tall = self.body.height_m
        for side, out in ((0, 1.0), (1, -1.0)):
            chest = np.array([0.17, 0.04 * out, 0.76 * tall])
            wide = np.array([0.02, 0.36 * out, 0.66 * tall])
            front = np.array([0.22, 0.10 * out, 0.56 * tall])
            vias = [Via(chest, 0.0, 0.5, "body"), Via(wide, 0.6, 1.3, "body"), Via(front, 1.4, 2.0, "body")]
            self.body.move_hand(side, vias, 1.0, 0.0, 0.5)
        yield from self._pause(1.2)
        self.body.outfit_phase = 1
        yield from self._pause(0.9)
        for side in (0, 1):
            self._lower(side, 0.5)
        yield from self._pause(0.3)
