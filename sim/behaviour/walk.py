# SPDX-License-Identifier: AGPL-3.0-or-later
"""Walking: along a path with a smooth speed, giving way to others and going round those who stand."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from sim.behaviour.body import DT_S, Body

_ACCELERATION = 1.9
_DECELERATION = 1.7
_AHEAD_M = 0.26
_CLOSEST_M = 0.46
"""Middles of two people are never nearer than this."""
_PUSHED_M = 0.441
"""Who makes way for one may be pushed so near to another, no nearer."""
_PATIENCE_S = 0.5
_STUCK_S, _SQUEEZE_M, _SQUEEZED_PAST_M = 2.5, 0.45, 0.9
"""Who gets no further for so long squeezes past, shoulder to shoulder, for so far. Without it two who meet between
shelves, each with the other in front, stand there for ever, and everybody queues up behind them."""
_WEDGED_S, _CROWDED_S, _CROWD, _WEDGED_M = 12.0, 5.0, 9, 0.25
_ASIDE_S, _WAIT_S = 4.0, 1.5
"""Who on their way gets no further than that for so long (sooner among so many others) steps aside for so long at most,
and waits."""


class Walker:
    """The walking part of a shopper. `goal_m`: (2,) where they are going to stand, for others to keep clear of."""

    def __init__(self, world, body: Body) -> None:
        self.world, self.body = world, body
        self.goal_m = body.xy.copy()
        self.walk_m_s = 1.2
        self._stuck_s, self._stuck_at = 0.0, body.xy.copy()
        self._squeezing = False
        self._wedged_s, self._wedged_at = 0.0, body.xy.copy()

    def stand(self, heading_rad: float | None = None) -> None:
        """One step on the spot."""
        self.body.speed = max(0.0, self.body.speed - 4 * DT_S)
        if heading_rad is None:
            self.body.rest_turn()
        else:
            self.body.turn_towards(heading_rad)

    def walk_to(
        self,
        goal_m: np.ndarray,
        heading_rad: float | None = None,
        *,
        pass_by_m: float = 0.015,
        stop: bool = True,
        look: np.ndarray | None = None,
        at_most_s: float = np.inf,
    ) -> Iterator[None]:
        """Walk to a point and turn to a heading there.

        Args:
            pass_by_m: how near is near enough. stop: slow down towards the end. look: world point that the eyes go
                to on the last metre. at_most_s: gives up after so long.
        """
        body, space = self.body, self.world.space
        self.goal_m = space.nearest(goal_m)
        path, along, blocked_s = self._plan(()), 0.0, 0.0
        while True:
            left = _length(path) - along
            if look is not None and left < 1.0:
                body.look_goal = look
            near_end = heading_rad is not None and left < 0.22
            if left <= pass_by_m or (left < 0.05 and body.speed < 0.02) or at_most_s <= 0:
                break
            at_most_s -= DT_S
            aim = _at(path, along + _AHEAD_M)
            direction = aim - body.xy
            direction /= max(float(np.hypot(*direction)), 1e-9)
            walk_heading = float(np.arctan2(direction[1], direction[0]))
            error = body.turn_towards(heading_rad if near_end else walk_heading)
            facing = 1.0 if near_end else float(np.clip((np.cos(error) - 0.2) / 0.7, 0.08, 1.0))
            wanted = self.walk_m_s * facing
            if stop:
                wanted = min(wanted, np.sqrt(2 * _DECELERATION * max(left - 0.01, 0.0)) + 0.03)
            free = self._room_ahead(direction)
            wanted *= free
            change = np.clip(wanted - body.speed, -3.5 * DT_S, _ACCELERATION * DT_S)
            body.speed = max(0.0, body.speed + float(change))
            there = self._kept_apart(direction * min(body.speed * DT_S, left))
            body.speed = min(body.speed, float(np.hypot(*(there - body.xy))) / DT_S + 0.1)
            body.xy = there
            along = _nearest_along(path, body.xy, along)
            blocked = body.speed < 0.12 and facing > 0.5 and left > 0.15
            blocked_s = blocked_s + DT_S if blocked else 0.0
            self._note_progress(blocked or body.speed < 0.02)
            if self._wedged() and np.isinf(at_most_s):
                yield from self._step_aside()
                blocked_s = np.inf
            if blocked_s > _PATIENCE_S:
                path, along, blocked_s = self._plan([o.body.xy for o in self.world.others(self)]), 0.0, 0.0
            yield
        self.goal_m = body.xy.copy()
        while heading_rad is not None:
            self.stand(heading_rad)
            error = (heading_rad - body.heading + np.pi) % (2 * np.pi) - np.pi
            yield
            if abs(error) < np.radians(4):
                return

    def _wedged(self) -> bool:
        crowded = len(self.world.others(self)) >= _CROWD
        return self._wedged_s > (_CROWDED_S if crowded else _WEDGED_S)

    def _step_aside(self) -> Iterator[None]:
        """Make room for those who are in the way, and whose way this one is in: back off, wait a little, come again."""
        goal_m, self._wedged_s = self.goal_m, 0.0
        others = self.world.others(self)
        places = np.concatenate([[o.body.xy for o in others], [o.goal_m for o in others]])
        refuge = self.world.space.refuge(self.body.xy, places, self.world.faces_m)
        if refuge is not None:
            yield from self.walk_to(refuge, pass_by_m=0.1, at_most_s=_ASIDE_S)
            for _ in range(round(_WAIT_S / DT_S)):
                self.stand()
                yield
        self.goal_m, self._wedged_s = goal_m, 0.0

    def _note_progress(self, slow: bool) -> None:
        """Begin to squeeze past after a while without getting on, and stop when past."""
        way_m = float(np.hypot(*(self.body.xy - self._stuck_at)))
        if float(np.hypot(*(self.body.xy - self._wedged_at))) > _WEDGED_M:
            self._wedged_s, self._wedged_at = 0.0, self.body.xy.copy()
        self._wedged_s += DT_S
        if self._squeezing and way_m > _SQUEEZED_PAST_M:
            self._squeezing = False
        if not self._squeezing:
            if way_m > 0.3:
                self._stuck_s, self._stuck_at = 0.0, self.body.xy.copy()
            self._stuck_s += DT_S if slow else 0.0
            self._squeezing = self._stuck_s > _STUCK_S

    def _plan(self, avoid) -> np.ndarray:
        standing = [o.body.xy for o in self.world.others(self) if o.body.speed < 0.2]
        radius = {"radius_m": _SQUEEZE_M} if self._squeezing else {}
        for others in ([*avoid] or standing, standing, ()):
            path = self.world.space.path(self.body.xy, self.goal_m, others, **radius)
            if path is not None:
                return path
        return np.array([self.body.xy, self.goal_m])

    def _room_ahead(self, direction: np.ndarray) -> float:
        """0..1: how much of the wanted speed the people in front leave."""
        room = 1.0
        near_m = _SQUEEZE_M if self._squeezing else 0.52
        for other in self.world.others(self):
            gap = other.body.xy - self.body.xy
            distance = float(np.hypot(*gap))
            ahead = float(gap @ direction)
            beside = abs(float(gap[0] * direction[1] - gap[1] * direction[0]))
            if ahead > 0.4 * distance and beside < 0.5 and distance < 1.0:
                room = min(room, float(np.clip((distance - near_m) / 0.4, 0.0, 1.0)))
        return max(room, 0.3) if self._squeezing else room

    def _kept_apart(self, step: np.ndarray) -> np.ndarray:
        """Where a step (2,) leads if it slides along the space that others take up; nowhere if between two of them, or
        between one and a shelf, there is no room (in a gap two squeeze past one another all the same)."""
        here, space = self.body.xy, self.world.space
        least_m = _SQUEEZE_M if self._squeezing else _CLOSEST_M
        middles = np.reshape([o.body.xy for o in self.world.others(self)], (-1, 2))
        closest = np.minimum(least_m, np.hypot(*(middles - here).T))
        there = here + step
        for middle, closest_m in zip(middles, closest, strict=True):
            gap = there - middle
            distance = float(np.hypot(*gap))
            if 0 < distance < closest_m:
                there = middle + gap / distance * closest_m
        if not space.contains(there):
            there = space.nearest(there)
        free = np.hypot(*(middles - there).T) >= np.minimum(closest, _PUSHED_M)
        return there if free.all() or space.is_gap(here) else here


def _length(path: np.ndarray) -> float:
    return float(np.linalg.norm(np.diff(path, axis=0), axis=1).sum())


def _at(path: np.ndarray, along_m: float) -> np.ndarray:
    """The point (2,) of a path at a length from its start."""
    lengths = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(path, axis=0), axis=1))])
    return np.array([np.interp(along_m, lengths, path[:, 0]), np.interp(along_m, lengths, path[:, 1])])


def _nearest_along(path: np.ndarray, xy: np.ndarray, from_m: float) -> float:
    """Length along the path of its point nearest to `xy`, not before `from_m` and not far after it."""
    candidates = from_m + np.linspace(0.0, 0.12, 13)
    points = np.array([_at(path, c) for c in candidates])
    return float(candidates[((points - xy) ** 2).sum(-1).argmin()])
