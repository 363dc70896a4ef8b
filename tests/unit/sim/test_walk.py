# SPDX-License-Identifier: AGPL-3.0-or-later
"""Two people in a gap that is too narrow to pass one another at arm's length get past all the same."""

import numpy as np
import pytest

from calibration.layout import StoreLayout
from sim.behaviour.body import DT_S, Body
from sim.behaviour.space import FreeSpace
from sim.behaviour.walk import Walker

CORRIDOR = StoreLayout.model_validate(
    {
        "store_id": "corridor", "floor_m": [[0, 0], [8, 0], [8, 0.95], [0, 0.95]],
        "gondolas": [
            {"id": "g", "origin_m": [7.9, 0.1], "facing_deg": 180, "width_m": 0.5, "height_m": 1.6, "depth_m": 0.3,
             "shelves": [{"id": "s", "height_m": 1, "depth_m": 0.3, "clearance_m": 0.3, "slots": []}]}
        ],
        "cameras": [{"id": "c", "focal_px": [640, 640], "position_m": [0, 0, 2.6], "look_at_m": [3, 0.5, 0.8]}],
        "gates": [{"id": "gate", "line_m": [[0.1, 0.1], [0.1, 0.9]], "inward": [1, 0], "tap_m": [0.2, 0.5]}],
    }
)  # fmt: skip


class Corridor:
    def __init__(self):
        self.space, self.walkers, self.faces_m = FreeSpace(CORRIDOR), [], np.zeros((0, 2))

    def others(self, walker):
        return [w for w in self.walkers if w is not walker]


@pytest.mark.parametrize("beside_m", [0.0, 0.05])
def test_who_meet_in_a_narrow_gap_get_past(beside_m):
    world = Corridor()
    ways = [((1.0, 0.5), (5.0, 0.5)), ((5.0, 0.5 + beside_m), (1.0, 0.5))]
    tasks = []
    for start, goal in ways:
        world.walkers.append(Walker(world, Body(1.7, np.array(start), 0.0)))
        tasks.append(world.walkers[-1].walk_to(np.array(goal), pass_by_m=0.1))
    done, nearest = [False, False], np.inf
    for _ in range(round(40 / DT_S)):
        for k, task in enumerate(tasks):
            done[k] = done[k] or next(task, "over") == "over"
            world.walkers[k].body.tick()
        nearest = min(nearest, float(np.hypot(*(world.walkers[0].body.xy - world.walkers[1].body.xy))))
        if all(done):
            break
    assert all(done)
    assert 0.2 < nearest < 0.46


def room() -> FreeSpace:
    """4 m by 2.9 m, without shelves in the way."""
    layout = CORRIDOR.model_dump() | {"floor_m": [[0, 0], [4, 0], [4, 2.9], [0, 2.9]]}
    return FreeSpace(StoreLayout.model_validate(layout))


def test_a_corridor_is_a_gap_and_a_room_is_none():
    assert FreeSpace(CORRIDOR).is_gap(np.array([3.0, 0.5]))
    assert not room().is_gap(np.array([2.0, 1.4])) and not room().is_gap(np.array([2.0, 0.3]))


def test_who_steps_aside_keeps_clear_of_the_others_and_of_shelves():
    here, other, before_shelf = np.array([2.0, 1.4]), np.array([2.5, 1.4]), np.array([[2.0, 2.0]])
    place = room().refuge(here, other[None], before_shelf)
    assert 0.4 < np.linalg.norm(place - here) < 0.6  # no further than needed
    assert np.linalg.norm(place - other) > 0.6 and np.linalg.norm(place - before_shelf[0]) > 0.7


def test_in_a_full_room_there_is_nowhere_to_step_aside_to():
    everywhere = np.stack(np.meshgrid(np.arange(0, 4.1, 0.5), np.arange(0, 3, 0.5)), -1).reshape(-1, 2)
    assert room().refuge(np.array([2.0, 1.4]), everywhere, np.zeros((0, 2))) is None
