# SPDX-License-Identifier: AGPL-3.0-or-later
"""What two shoppers do with each other: wait, face one another, pass things from hand to hand."""

from __future__ import annotations

import numpy as np

from sim.behaviour import actions as act
from sim.behaviour.body import DT_S, Via
from sim.behaviour.grasp import held_pose
from sim.behaviour.hands import GLIDE_S, Handler, Ticks
from sim.behaviour.stock import Hold, Item


class Exchange(Handler):
    """Hands that meet other people's.

    Attributes:
        items: by the names that the scenario gives them with `as`. `ready_for`: whom they wait for to begin together.
        received_from: who has just given them something.
    """

    def __init__(self, *args, **more) -> None:
        super().__init__(*args, **more)
        self.items: dict[str, Item] = {}
        self.ready_for: str | None = None
        self.received_from: str | None = None

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

    def _face(self, other: Exchange, apart_m: float) -> Ticks:
        """Go up to somebody and look at them."""
        away = self.body.xy - other.body.xy
        distance = float(np.hypot(*away))
        if distance > apart_m + 0.1:
            yield from self.walk_to(other.body.xy + away / distance * apart_m)
        toward = float(np.arctan2(*(other.body.xy - self.body.xy)[::-1]))
        for _ in range(int(1.0 / DT_S)):
            self.stand(toward)
            yield
