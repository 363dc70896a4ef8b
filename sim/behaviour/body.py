# SPDX-License-Identifier: AGPL-3.0-or-later
"""One shopper's body over time: what `PersonState` needs, moved in small steps towards what the shopper wants.

Hands follow scripted moves with minimum-jerk profiles (Flash and Hogan, 1985); gaze, crouch, grip and the carrying arm
follow their goals smoothly. Points in the body's own frame are (forward, left, up) in metres from the floor point.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sim.people.motion import stride_length_m

DT_S = 0.02
_IDLE_HZ = 0.22
_RATES = {"crouch": 1.9, "carry": 2.6, "grip": 4.5}  # per second, for goals from 0 to 1


def minimum_jerk(t: float) -> float:
    """0 to 1 while `t` goes from 0 to 1."""
    t = min(max(t, 0.0), 1.0)
    return t * t * t * (10 + t * (6 * t - 15))


@dataclass(frozen=True)
class Via:
    """A point the hand goes to between two instants of its move. `frame`: `world` or `body`."""

    point: np.ndarray
    from_s: float
    to_s: float
    frame: str = "world"


@dataclass
class _HandMove:
    start: tuple[str, np.ndarray]
    vias: list[Via]
    weight: tuple[float, float, float, float]  # before, after, from, to
    t: float = 0.0

    @property
    def length_s(self) -> float:
        return max([v.to_s for v in self.vias] + [self.weight[3]])


class Body:
    """The channels of one body; `tick` moves them on by `DT_S`."""

    def __init__(self, height_m: float, xy_m: np.ndarray, heading_rad: float) -> None:
        self.height_m = height_m
        self.xy = np.array(xy_m, float)
        self.heading = heading_rad
        self.speed = 0.0
        self.phase = 0.0
        self.crouch = self.crouch_goal = 0.0
        self.grip, self.grip_goal = np.zeros(2), np.zeros(2)
        self.carry, self.carry_goal = np.zeros(2), np.zeros(2)
        self.weight = np.zeros(2)
        self.outfit_phase = 0
        self.look_goal: np.ndarray | None = None
        self._ahead = np.array([2.2, 0.0, 0.86 * height_m])
        self.look = self.to_world(self._ahead)
        self._aim: list[tuple[str, np.ndarray]] = [
            ("body", np.array([0.3, 0.2, 1.0])),
            ("body", np.array([0.3, -0.2, 1.0])),
        ]
        self._moves: list[_HandMove | None] = [None, None]
        self._rate = 0.0
        self._crouch_from = (0.0, 0.0)

    # --- frames ---

    def to_world(self, point: np.ndarray) -> np.ndarray:
        """A point of the body's own frame in the world, both (3,)."""
        c, s = np.cos(self.heading), np.sin(self.heading)
        x, y, z = point
        return np.array([self.xy[0] + c * x - s * y, self.xy[1] + s * x + c * y, z])

    def to_own(self, point: np.ndarray) -> np.ndarray:
        """A world point in the body's own frame, both (3,)."""
        c, s = np.cos(self.heading), np.sin(self.heading)
        x, y = np.asarray(point)[:2] - self.xy
        return np.array([c * x + s * y, -s * x + c * y, point[2]])

    # --- what the shopper asks for ---

    def move_hand(
        self, side: int, vias: list[Via], weight: float, from_s: float = 0.0, to_s: float | None = None
    ) -> None:
        """Lead a palm through points and its weight to a value between `from_s` and `to_s` of the move."""
        # A hand that hangs down starts at its first point: the weight alone leads it there.
        start = self._aim[side] if self.weight[side] > 0.02 else (vias[0].frame, vias[0].point)
        end_s = to_s if to_s is not None else max(v.to_s for v in vias)
        self._moves[side] = _HandMove(start, list(vias), (float(self.weight[side]), weight, from_s, end_s))

    def release_hand(self, side: int, seconds: float) -> None:
        """Let a hand fall back into the gait or the carrying pose."""
        self._moves[side] = _HandMove(self._aim[side], [], (float(self.weight[side]), 0.0, 0.0, seconds))

    def hand_moves(self, side: int) -> bool:
        return self._moves[side] is not None

    def hand_time_left_s(self, side: int) -> float:
        """How long the hand's present move still takes."""
        move = self._moves[side]
        return 0.0 if move is None else move.length_s - move.t

    def turn_towards(self, heading_rad: float, limit_rad_s: float = 2.9) -> float:
        """Turn on; returns how far it still is, radians."""
        error = (heading_rad - self.heading + np.pi) % (2 * np.pi) - np.pi
        wanted = float(np.clip(4.5 * error, -limit_rad_s, limit_rad_s))
        self._rate += float(np.clip(wanted - self._rate, -14 * DT_S, 14 * DT_S))
        self.heading += self._rate * DT_S
        return abs(error)

    def rest_turn(self) -> None:
        self._rate *= 0.8
        self.heading += self._rate * DT_S

    # --- time ---

    def tick(self) -> None:
        walking = self.speed > 0.03
        self.phase += DT_S * (self.speed / float(stride_length_m(self.height_m, self.speed)) if walking else _IDLE_HZ)
        look = self.to_world(self._ahead) if self.look_goal is None else self.look_goal
        self.look = self.look + (look - self.look) * (1 - np.exp(-DT_S / 0.12))
        self._approach_crouch()
        self.grip += np.clip(self.grip_goal - self.grip, -_RATES["grip"] * DT_S, _RATES["grip"] * DT_S)
        self.carry += np.clip(self.carry_goal - self.carry, -_RATES["carry"] * DT_S, _RATES["carry"] * DT_S)
        for side in (0, 1):
            self._move(side)

    def _approach_crouch(self) -> None:
        # Speeds up and slows down: the rate falls with what is left and rises with what is done.
        start, goal = self._crouch_from
        if goal != self.crouch_goal:
            self._crouch_from = (self.crouch, self.crouch_goal)
            start, goal = self._crouch_from
        left = goal - self.crouch
        done = abs(self.crouch - start)
        rate = _RATES["crouch"] * min(1.0, 0.15 + 5 * done, 0.05 + 5 * abs(left))
        self.crouch += float(np.clip(left, -rate * DT_S, rate * DT_S))

    def _move(self, side: int) -> None:
        move = self._moves[side]
        if move is None:
            return
        move.t += DT_S
        before, after, from_s, to_s = move.weight
        self.weight[side] = before + (after - before) * minimum_jerk((move.t - from_s) / max(to_s - from_s, DT_S))
        point = self._resolve(*move.start)
        last = point
        for via in move.vias:
            goal = self._resolve(via.frame, via.point)
            point = point + (goal - last) * minimum_jerk((move.t - via.from_s) / max(via.to_s - via.from_s, DT_S))
            last = goal
        if move.t >= move.length_s:
            if move.vias:
                self._aim[side] = (move.vias[-1].frame, move.vias[-1].point)
            self._moves[side] = None
        else:
            self._aim[side] = ("world", point)

    def _resolve(self, frame: str, point: np.ndarray) -> np.ndarray:
        return self.to_world(point) if frame == "body" else point

    def hand_targets(self) -> np.ndarray:
        """(2, 3) world points."""
        return np.array([self._resolve(*aim) for aim in self._aim])
