# SPDX-License-Identifier: AGPL-3.0-or-later
"""One shopper: the actions of the scenario as generators that are resumed every `DT_S`.

What goes on beside the main action (bringing an item to the bag while walking on) runs as a second generator a hand.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from calibration.layout import Gondola
from sim.behaviour import scenario as act
from sim.behaviour.body import DT_S, Body, Via
from sim.behaviour.choose import choose_slot
from sim.behaviour.grasp import grasp_pose, held_pose
from sim.behaviour.hands import GLIDE_S, Handler, Ticks
from sim.behaviour.space import inside_of, outside
from sim.behaviour.stock import Hold, Item

ARM_OFFSET_M = 0.14
"""Where a slot is to the side of somebody who reaches into it comfortably."""
APART_M = 0.60


class Shopper(Handler):
    """A person of the scenario in the shop; `world` is the play they are in.

    Attributes:
        items, slots: by the names that the scenario gives them with `as`. `visited`: gondolas, oldest first.
        slot_id: the slot they are busy with. `ready_for`: whom they wait for to begin together.
    """

    def __init__(self, world, script: act.Shopper, spec, carry_palms_m: np.ndarray, rng: np.random.Generator) -> None:
        self.script = script
        self.gate = world.layout.gates[0]
        ahead = np.array(self.gate.inward, float)
        body = Body(spec.shape.height_m, outside(self.gate), float(np.arctan2(ahead[1], ahead[0])))
        super().__init__(world, body, spec, carry_palms_m, rng, arm=script.carry == "arm")
        self.walk_m_s = self._draw(script.walk_m_s)
        self.enter_s = self._draw(script.enter_s)
        self.present, self.done = False, False
        self.items: dict[str, Item] = {}
        self.slots: dict[str, str] = {}
        self.visited: list[str] = []
        self.slot_id: str | None = None
        self.last_slot_id: str | None = None
        self.ready_for: str | None = None
        self.received_from: str | None = None
        self.entered_s = self.left_s = None
        self._script = self._visit()

    @property
    def id(self) -> str:
        return self.script.id

    def _draw(self, value: act.Range) -> float:
        return float(self.rng.uniform(*value)) if isinstance(value, tuple) else float(value)

    def tick(self) -> None:
        """One step of everything."""
        if not self.present:
            if self.done or self.world.now_s < self.enter_s:
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

    def _do_leave(self, _action: act.Leave) -> Ticks:
        yield from self.walk_to(outside(self.gate), stop=False)

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
        side = yield from self._step_to(gondola, self.slot_id, self._free_hand())
        pace = self._draw(action.pace)
        yield from self._reach_in(gondola, self._grasp(gondola, item, side), side, pace)
        yield from self._pause(self._draw(action.hold_s))
        yield from self._reach_out(gondola, side, pace)
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

    def _do_put_back(self, action: act.PutBack) -> Ticks:
        item = self.items[action.item]
        stock = self.world.stock
        slot_id = item.home if action.where == "own" else action.where
        if slot_id == "other":
            room = [s for s in stock.gtin_of if stock.room(s) and stock.gtin_of[s] != item.gtin and s != item.home]
            slot_id = str(self.rng.choice(sorted(room)))
        gondola = self.world.layout.slot_by_id[slot_id][0]
        yield from self._take_out(item)
        side = self.held.index(item)
        self.slot_id = slot_id
        yield from self._step_to(gondola, slot_id, side)
        yield from self._pause(0.1)
        pace = self._draw(action.pace)
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
        self._lower(side, 0.5)
        self._done_at_shelf()

    def _do_hand_over(self, action: act.HandOver) -> Ticks:
        item, other = self.items[action.item], self.world.shoppers[action.to]
        yield from self._take_out(item)
        side = self.held.index(item)
        self.ready_for = other.id
        while other.ready_for != self.id:
            yield
        yield from self._face(other, 0.75)
        meet = np.array([*((self.body.xy + other.body.xy) / 2), 1.05])
        began_s = self.world.now_s
        self.body.look_goal = meet
        self.body.move_hand(side, [Via(meet, 0.0, 0.6)], 1.0)
        yield from self._pause(0.8)
        taking = other.main if other.held[other.main] is None else 1 - other.main
        other.body.move_hand(taking, [Via(meet, 0.0, 0.5)], 1.0)
        other.body.grip_goal[taking] = self._grip(item)
        yield from self._pause(0.7)
        at_s = self.world.now_s
        size = self.world.size_m(item.gtin)
        gondola = self.world.layout.slot_by_id[item.home][0]
        held = held_pose(gondola, item.history[0].pose, size, taking)
        item.history.append(Hold(at_s, "hand", held, other.id, taking, glide_s=GLIDE_S))
        self.held[side], other.held[taking] = None, item
        other.items["last"] = item
        self.body.grip_goal[side] = 0.0
        yield from self._pause(0.3)
        self.world.event("hand_over", self, side, item, 1, at_s, began_s, None, other.id)
        self._lower(side, 0.5)
        self.body.look_goal = other.body.look_goal = None
        other.received_from, self.ready_for = self.id, None

    def _do_receive(self, action: act.Receive) -> Ticks:
        giver = self.world.shoppers[action.from_]
        self.received_from = None
        self.ready_for = giver.id
        while self.received_from != giver.id:
            if giver.ready_for == self.id:
                self.body.turn_towards(float(np.arctan2(*(giver.body.xy - self.body.xy)[::-1])))
            yield
        self.ready_for = None
        item = self.items["last"]
        if action.name:
            self.items[action.name] = item
        side = self.held.index(item)
        if self.carry_mode == "arm" and not self.stowed:
            self.main = side
        self._beside[side] = self._stow(side, [item])

    # --- parts of actions ---

    def _choose(self, action) -> Iterator[None]:
        """Settle the slot; returns gondola, shelf and slot."""
        near = None
        if action.near is not None:
            other = self.world.shoppers[action.near]
            while other.slot_id is None and not other.done:
                self.stand()
                yield
            near = other.slot_id or other.last_slot_id
        self.slot_id = choose_slot(
            action,
            self.rng,
            self.world.layout,
            self.world.stock,
            at_m=self.body.xy,
            visited=self.visited,
            names=self.slots,
            near_slot=near,
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
                        cost += 8 * max(0.0, APART_M - float(np.hypot(*(spot - place))))
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

    def _wait_for_partner(self, partner: str | None) -> Ticks:
        """Until the other one is ready too, not longer than a few seconds."""
        if partner is None:
            return
        other, end_s = self.world.shoppers[partner], self.world.now_s + 6.0
        self.ready_for = partner
        while other.ready_for != self.id and self.world.now_s < end_s and not other.done:
            self.stand()
            yield
        yield  # the other sees it as well
        self.ready_for = None

    def _face(self, other: Shopper, apart_m: float) -> Ticks:
        """Go up to somebody and look at them."""
        away = self.body.xy - other.body.xy
        distance = float(np.hypot(*away))
        if distance > apart_m + 0.1:
            yield from self.walk_to(other.body.xy + away / distance * apart_m)
        toward = float(np.arctan2(*(other.body.xy - self.body.xy)[::-1]))
        for _ in range(int(1.0 / DT_S)):
            self.stand(toward)
            yield
