# SPDX-License-Identifier: AGPL-3.0-or-later
"""One shopper: the actions of the scenario as generators that are resumed every `DT_S`.

What goes on beside the main action (bringing an item to the bag while walking on) runs as a second generator a hand.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from calibration.layout import Gondola
from sim.behaviour import actions as act
from sim.behaviour.body import Body
from sim.behaviour.choose import choose_slot
from sim.behaviour.grasp import held_pose
from sim.behaviour.hands import GLIDE_S, Ticks
from sim.behaviour.returns import Returns
from sim.behaviour.scenario import Shopper as Script
from sim.behaviour.space import inside_of, outside
from sim.behaviour.stock import Hold, Item

ARM_OFFSET_M = 0.14
"""Where a slot is to the side of somebody who reaches into it comfortably."""
DOOR_M = 0.60
"""How far others are from where somebody comes in."""


@dataclass(frozen=True)
class Stay:
    """One time in the shop, in seconds from the start; the items are those they went out with, or still have."""

    tapped_s: float | None
    entered_s: float | None
    left_s: float | None
    items: dict[str, int]


class Shopper(Returns):
    """A person of the scenario in the shop; `world` is the play they are in.

    Attributes:
        visited: gondolas, oldest first. slot_id: the slot they are busy with. stays: their earlier times in the shop.
    """

    def __init__(self, world, script: Script, spec, carry_palms_m: np.ndarray, rng: np.random.Generator) -> None:
        self.script = script
        self.gate = world.layout.gates[0]
        ahead = np.array(self.gate.inward, float)
        body = Body(spec.shape.height_m, outside(self.gate), float(np.arctan2(ahead[1], ahead[0])))
        super().__init__(world, body, spec, carry_palms_m, rng, arm=script.carry == "arm")
        self.walk_m_s = self._draw(script.walk_m_s)
        self.enter_s = self._draw(script.enter_s)
        self.present, self.done = False, False
        self.visited: list[str] = []
        self.slot_id: str | None = None
        self.last_slot_id: str | None = None
        self.tapped_s = self.entered_s = self.left_s = None
        self.stays: list[Stay] = []
        self._script = self._visit()

    @property
    def id(self) -> str:
        return self.script.id

    def _draw(self, value: act.Range) -> float:
        return float(self.rng.uniform(*value)) if isinstance(value, tuple) else float(value)

    def tick(self) -> None:
        """One step of everything."""
        if not self.present:
            if self.done or self.world.now_s < self.enter_s or not self._may_come():
                return
            self.present = True
        was_inside = inside_of(self.gate, self.body.xy) > 0
        if next(self._script, "over") == "over":
            # Who has left is gone; whose script ends in the shop stands there.
            self.done, self.present = True, was_inside
            self.stand()
            if not self.present:
                return
        for side, task in enumerate(self._beside):
            if task is not None and next(task, "over") == "over":
                self._beside[side] = None
        self.body.tick()
        is_inside = inside_of(self.gate, self.body.xy) > 0
        if is_inside and not was_inside and self.entered_s is None:
            self.entered_s = self.world.now_s
        if was_inside and not is_inside:
            self.left_s = self.world.now_s

    def _may_come(self) -> bool:
        """The way in is free, and whoever they follow has been let in."""
        first = self.script.do[0]
        if isinstance(first, act.Follow) and self.world.shoppers[first.behind].tapped_s is None:
            return False
        door = outside(self.gate)
        return all(np.hypot(*(other.body.xy - door)) > DOOR_M for other in self.world.others(self))

    def stay(self) -> Stay:
        """The present time in the shop."""
        items: dict[str, int] = {}
        for item in self._mine():
            items[item.gtin] = items.get(item.gtin, 0) + 1
        return Stay(self.tapped_s, self.entered_s, self.left_s, dict(sorted(items.items())))

    def _mine(self) -> list[Item]:
        return [i for i in self.world.stock.items.values() if len(i.history) > 1 and i.history[-1].person == self.id]

    # --- the actions ---

    def _visit(self) -> Ticks:
        for action in self.script.do:
            yield from getattr(self, f"_do_{action.kind}")(action)

    def _do_tap(self, _action: act.Tap) -> Ticks:
        tap = np.array(self.gate.tap_m)
        yield from self.walk_to(tap, pass_by_m=0.12)
        self.world.tap(self)
        yield from self._pause(float(self.rng.uniform(0.15, 0.4)))

    def _do_wait(self, action: act.Wait) -> Ticks:
        yield from self._pause(self._draw(action.for_s))

    def _do_follow(self, _action: act.Follow) -> Ticks:
        yield from self.walk_to(np.mean(self.gate.line_m, axis=0), pass_by_m=0.2, stop=False)

    def _do_leave(self, _action: act.Leave) -> Ticks:
        yield from self.walk_to(outside(self.gate), stop=False)

    def _do_come_back(self, action: act.ComeBack) -> Ticks:
        while self._beside != [None, None]:  # somebody still busy with their bag
            yield
        self.stays.append(self.stay())
        for item in self._mine():  # stays at home
            item.history.append(Hold(self.world.now_s, "bag"))
        self.stowed, self.held = [], [None, None]
        self.body.carry_goal[:] = self.body.grip_goal[:] = 0.0
        self.tapped_s = self.entered_s = self.left_s = None
        self.visited = []
        self.enter_s = self.world.now_s + self._draw(action.after_s)
        self.present = False
        self.body.xy, self.body.speed = outside(self.gate), 0.0
        self.body.heading = float(np.arctan2(self.gate.inward[1], self.gate.inward[0]))
        yield

    def _do_look(self, action: act.Look) -> Ticks:
        gondola, shelf, _ = yield from self._choose(action)
        yield from self._step_to(gondola, self.slot_id, None)
        left = self._draw(action.for_s)
        while left > 0:  # the eyes go along the shelves, a glance every half second or so
            along = float(self.rng.uniform(0.1, 0.9)) * gondola.width_m
            self.body.look_goal = gondola.to_world(along, 0.0, shelf.height_m + float(self.rng.normal(0.1, 0.2)))
            glance = min(left, float(self.rng.uniform(0.4, 0.8)))
            yield from self._pause(glance)
            left -= glance
        self.body.look_goal = None
        self.slot_id = None

    def _do_touch(self, action: act.Touch) -> Ticks:
        gondola, _, _ = yield from self._choose(action)
        item = self.world.stock.front(self.slot_id)[0]
        self.world.stock.reserved.add(item.item_id)  # nobody takes it from under the hand
        side = yield from self._step_to(gondola, self.slot_id, self._free_hand())
        pace = self._draw(action.pace)
        yield from self._reach_in(gondola, self._grasp(gondola, item, side), side, pace)
        yield from self._pause(self._draw(action.hold_s))
        yield from self._reach_out(gondola, side, pace)
        self.world.stock.reserved.discard(item.item_id)
        self._lower(side, 0.5)
        self._done_at_shelf()

    def _do_pick(self, action: act.Pick) -> Ticks:
        gondola, _, _ = yield from self._choose(action)
        if action.quantity > 1 and self.held != [None, None]:
            yield from self._until_hand_is_free(self.main)
        items = self.world.stock.front(self.slot_id, action.quantity)
        self.world.stock.reserved |= {i.item_id for i in items}
        side = yield from self._step_to(gondola, self.slot_id, self._free_hand())
        yield from self._until_hand_is_free(side)
        yield from self._wait_for_partner(action.together)
        pace = self._draw(action.pace)
        began_s = self.world.now_s
        yield from self._reach_in(gondola, self._grasp(gondola, items[0], side), side, pace)
        self.body.grip_goal[side] = self._grip(items[0])
        yield from self._pause(float(self.rng.uniform(0.2, 0.4)) / pace + self._draw(action.hold_s))
        size = self.world.size_m(items[0].gtin)
        first = items[0].history[-1].pose
        for item in items:
            held = held_pose(gondola, first, size, side) @ np.linalg.inv(first) @ item.history[-1].pose
            self.world.stock.take(item, Hold(self.world.now_s, "hand", held, self.id, side, glide_s=GLIDE_S))
        self.held[side] = items[-1]
        if action.name:
            self.items[action.name] = items[-1]
        self.items["last"] = items[-1]
        at_s = self.world.now_s
        yield from self._reach_out(gondola, side, pace)
        self.world.event("pick", self, side, items[0], action.quantity, at_s, began_s, self.slot_id)
        if self.carry_mode == "arm" and not self.stowed:
            self.main = side  # from now on the other arm carries
        self._beside[side] = self._stow(side, items)
        self._done_at_shelf()

    # --- parts of actions ---

    def _choose(self, action) -> Iterator[None]:
        """Settle the slot; returns gondola, shelf and slot."""
        near = only = None
        if action.near is not None or action.with_ is not None:
            other = self.world.shoppers[action.near or action.with_]
            while other.slot_id is None and not other.done:
                self.stand()
                yield
            near = other.slot_id or other.last_slot_id
            if action.near is None:
                near, only = None, near
        if action.moved_by is not None:
            other = self.world.shoppers[action.moved_by]
            while other.put_slot_id is None and not other.done:
                self.stand()
                yield
            only = other.put_slot_id
        self.slot_id = choose_slot(
            action,
            self.rng,
            self.world.layout,
            self.world.stock,
            at_m=self.body.xy,
            visited=self.visited,
            names=self.slots,
            near_slot=near,
            only_slot=only,
            highest_m=0.98 * self.body.height_m - 0.10,
            where=f"{self.world.name}, {self.id}",
        )
        if action.name:
            self.slots[action.name] = self.slot_id
        place = self.world.layout.slot_by_id[self.slot_id]
        self.visited.append(place[0].id)
        return place

    def _free_hand(self) -> int | None:
        """The hand that must be used, or None if either will do."""
        if self.stowed or self._beside != [None, None] or self.held != [None, None]:
            return self.main
        return None

    def _step_to(self, gondola: Gondola, slot_id: str, side: int | None) -> Iterator[None]:
        """Stand where a hand reaches the slot, facing it; returns the hand (0 left, 1 right)."""
        _, shelf, slot = self.world.layout.slot_by_id[slot_id]
        along = (slot.start_m + slot.end_m) / 2
        target = gondola.to_world(along, 0.0, shelf.height_m + 0.08)
        side = self.main if side is None and self.rng.random() < 0.7 else side
        sides = (side,) if side is not None else (0, 1)
        best = None
        away = float(self.rng.uniform(0.46, 0.56))
        for hand in sides:
            for offset in np.arange(-0.5, 0.501, 0.05):
                spot = self.world.space.stand_before(gondola, along + offset, away)
                _, out, _ = gondola.to_face(np.array([*spot, 0.0]))
                # A right hand likes the slot on its right: the body stands to the left of it.
                liked = -ARM_OFFSET_M if hand == 1 else ARM_OFFSET_M
                cost = abs(offset - liked) + 3 * abs(out - away) + 0.15 * float(np.hypot(*(spot - self.body.xy)))
                for other in self.world.others(self):
                    for place in (other.body.xy, other.goal_m):
                        cost += 8 * max(0.0, self.script.apart_m - float(np.hypot(*(spot - place))))
                if best is None or cost < best[0]:
                    best = (cost, spot, hand)
        _, spot, hand = best
        facing = np.arctan2(*(-gondola.normal[:2])[::-1])
        toward = np.arctan2(*(target[:2] - spot)[::-1])
        turn = (toward - facing + np.pi) % (2 * np.pi) - np.pi
        self.body.look_goal = None
        yield from self.walk_to(spot, facing + 0.35 * turn, look=target)
        self.body.look_goal = target
        return hand

    def _done_at_shelf(self) -> None:
        self.last_slot_id, self.slot_id = self.slot_id, None
        self.body.look_goal = None
        self.body.crouch_goal = 0.0
