# SPDX-License-Identifier: AGPL-3.0-or-later
"""What hands do: reach into a shelf and out of it, bring things to the bag or the other arm and take them out again."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from calibration.layout import Gondola
from sim.behaviour.body import DT_S, Body, Via
from sim.behaviour.grasp import grasp_pose, held_pose
from sim.behaviour.stock import Hold, Item
from sim.behaviour.walk import Walker

BEFORE_FACE_M = 0.12
"""How far before the face's edge a hand comes to on its way in and out."""
GLIDE_S = 0.25
Ticks = Iterator[None]


class Handler(Walker):
    """A walker with two hands.

    Attributes:
        main: 0 left or 1 right, the hand that takes and gives. `held`: item a hand holds, None where empty.
        stowed: items in the arm or bag, oldest first. `carry_mode`: which of the two.
    """

    def __init__(self, world, body: Body, spec, carry_palms_m: np.ndarray, rng: np.random.Generator, arm: bool) -> None:
        super().__init__(world, body)
        self.spec, self.carry_palms_m, self.rng = spec, carry_palms_m, rng
        bag = spec.outfit.bag
        self.carry_mode = "bag" if bag is not None and bag.kind == "shoulder" and not arm else "arm"
        # The arm that wears the bag is not the one that takes.
        self.main = 0 if spec.outfit.bag_side == "right" else 1
        if bag is None:
            self.main = int(rng.random() < 0.85)
        self.held: list[Item | None] = [None, None]
        self.stowed: list[Item] = []
        self._beside: list[Ticks | None] = [None, None]
        self._before_m = np.zeros(3)

    def _pause(self, seconds: float) -> Ticks:
        end_s = self.world.now_s + seconds
        while self.world.now_s < end_s - DT_S / 2:
            self.stand()
            yield

    def _grasp(self, gondola: Gondola, item: Item, side: int) -> np.ndarray:
        return grasp_pose(gondola, item.history[-1].pose, self.world.size_m(item.gtin), side)[:3, 3]

    def _grip(self, item: Item) -> float:
        """How far fingers close around an item: less the wider it is."""
        return float(np.interp(self.world.size_m(item.gtin)[0], [0.04, 0.12], [0.8, 0.35]))

    def _reach_in(self, gondola: Gondola, grasp_m: np.ndarray, side: int, pace: float) -> Ticks:
        """Lead the palm over the front edge to a point in the shelf."""
        seconds = float(self.rng.uniform(0.55, 0.8)) / pace
        self.body.look_goal = grasp_m
        self.body.crouch_goal = self.world.crouch_for(self, grasp_m)
        # Going down takes longer than stretching an arm out.
        yield from self._pause(max(0.0, 0.55 * abs(self.body.crouch_goal - self.body.crouch) - 0.1))
        self._before_m = self._in_front(gondola, grasp_m)
        vias = [Via(self._before_m, 0.0, 0.6 * seconds), Via(grasp_m, 0.4 * seconds, seconds)]
        self.body.move_hand(side, vias, 1.0, 0.0, 0.7 * seconds)
        while self.body.hand_moves(side):
            self.stand()
            yield

    def _reach_out(self, gondola: Gondola, side: int, pace: float) -> Ticks:
        """Lead the palm out of the shelf to before the chest."""
        seconds = float(self.rng.uniform(0.65, 0.9)) / pace
        lifted = self._before_m + [0.0, 0.0, 0.03]
        vias = [Via(lifted, 0.0, 0.6 * seconds), Via(self._show_point(side), 0.45 * seconds, seconds, "body")]
        self.body.move_hand(side, vias, 1.0)
        while self.body.hand_moves(side):
            self.stand()
            if self.body.hand_time_left_s(side) < 0.5 * seconds:
                self.body.crouch_goal = 0.0
            yield

    def _in_front(self, gondola: Gondola, point_m: np.ndarray) -> np.ndarray:
        along, _, up = gondola.to_face(point_m)
        return gondola.to_world(along, BEFORE_FACE_M, up + 0.02)

    def _show_point(self, side: int) -> np.ndarray:
        """Body frame: where a hand holds something to look at it."""
        height = self.body.height_m
        return np.array([0.22 * height, (0.07, -0.07)[side] * height, 0.66 * height])

    def _lower(self, side: int, seconds: float) -> None:
        self.body.grip_goal[side] = 0.0
        self.body.carry_goal[side] = 0.0
        self.body.release_hand(side, seconds)

    def _until_hand_is_free(self, side: int) -> Ticks:
        while self._beside[side] is not None:
            self.stand()
            yield

    def _stow(self, side: int, items: list[Item]) -> Ticks:
        """Look at what was taken, then bring it to the bag or into the other arm; runs beside the main action."""
        for _ in range(int(float(self.rng.uniform(0.45, 0.75)) / DT_S)):
            yield
        place = self._stow_point(side)
        if self.carry_mode == "arm":
            self.body.carry_goal[1 - side] = 1.0
        self.body.move_hand(side, [Via(place, 0.0, 0.55, "body")], 1.0)
        while self.body.hand_moves(side):
            yield
        for _ in range(int(0.12 / DT_S)):
            yield
        for item in items:
            where = Hold(
                self.world.now_s, self.carry_mode, None, self.id, 1 - side, len(self.stowed),
                glide_s=0.0 if self.carry_mode == "bag" else GLIDE_S,
            )  # fmt: skip
            item.history.append(where)
            self.stowed.append(item)
        for _ in range(int(0.15 / DT_S)):
            yield
        self.held[side] = None
        self._lower(side, 0.5)

    def _stow_point(self, side: int) -> np.ndarray:
        """Body frame: where a hand lets go of an item above the other arm or the bag."""
        if self.carry_mode == "arm":
            palm = self.carry_palms_m[1 - side]
            return palm + np.array([0.05, (0.08, -0.08)[side], 0.06])
        height = self.body.height_m
        across = 0.17 if self.spec.outfit.bag_side == "left" else -0.17
        return np.array([0.10, across, 0.56 * height])

    def _take_out(self, item: Item) -> Ticks:
        """Have an item in a hand, before the chest, for everyone to see."""
        while item not in self.stowed and any(task is not None for task in self._beside):
            self.stand()
            yield
        if item in self.stowed:
            side = self.main
            yield from self._until_hand_is_free(side)
            self.body.move_hand(side, [Via(self._stow_point(side), 0.0, 0.5, "body")], 1.0)
            while self.body.hand_moves(side):
                self.stand()
                yield
            self.body.grip_goal[side] = self._grip(item)
            yield from self._pause(0.15)
            gondola = self.world.layout.slot_by_id[item.home][0]
            held = held_pose(gondola, item.history[0].pose, self.world.size_m(item.gtin), side)
            glide_s = GLIDE_S if item.history[-1].place == "arm" else 0.0
            item.history.append(Hold(self.world.now_s, "hand", held, self.id, side, glide_s=glide_s))
            self.stowed.remove(item)
            self.held[side] = item
            if not self.stowed and self.carry_mode == "arm":
                self.body.carry_goal[1 - side] = 0.0
            self.body.move_hand(side, [Via(self._show_point(side), 0.0, 0.5, "body")], 1.0)
            yield from self._pause(0.7 + float(self.rng.uniform(0.0, 0.3)))
