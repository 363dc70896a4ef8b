# SPDX-License-Identifier: AGPL-3.0-or-later
from __future__ import annotations

import numpy as np
import pytest

from pipeline.shelf.hands import Hand
from pipeline.shelf.reach import FaceSlots, ReachDetector
from pipeline.shelf.settings import ShelfSettings

SETTINGS = ShelfSettings()
STEP_NS = 100_000_000


def hand_at(layout, at_ns, along, out, up, sigma=0.02):
    gondola = layout.gondola_by_id["g1"]
    palm = gondola.to_world(np.array(along), np.array(out), np.array(up))
    return Hand(at_ns, palm, palm, sigma**2 * np.eye(3), 4)


def play(layout, path, side="left"):
    """Reaches that come out of a path of (along, out, up), one instant a window; None is a hand nobody sees."""
    detector = ReachDetector(layout, SETTINGS)
    done = []
    for i, place in enumerate(path):
        hand = None if place is None else hand_at(layout, i * STEP_NS, *place)
        done += detector.update("t1", side, i * STEP_NS, hand)
    return done + detector.flush("t1")


def in_and_out(along, up, deepest=-0.06, n=16):
    """The left palm on its way to an item at `along`: beside it."""
    along -= SETTINGS.grasp_beside_m
    return [(along, 0.45 - (0.45 - deepest) * np.sin(np.pi * k / (n - 1)), up) for k in range(n)]


def test_one_reach_with_the_touched_slot_first(layout):
    reaches = play(layout, in_and_out(0.45, 0.9))
    assert len(reaches) == 1
    reach = reaches[0]
    assert reach.gondola_id == "g1"
    assert reach.slots[0][0] == "g1.2.5"  # second board, 0.4 to 0.5 m
    assert 0 < reach.t0_ns < reach.t1_ns < 15 * STEP_NS
    assert len(reach.path_m) == len(reach.path_ns)
    assert sum(p for _, p in reach.slots) <= 1 + 1e-9


@pytest.mark.parametrize("along", [0.05, 0.25, 0.85])
@pytest.mark.parametrize("board", [0, 1, 2])
def test_every_slot_can_be_reached(layout, along, board):
    reach = play(layout, in_and_out(along, 0.4 + 0.4 * board + 0.12))[0]
    assert reach.slots[0][0] == f"g1.{board + 1}.{int(along * 10) + 1}"


def test_the_right_hand_holds_things_from_the_other_side(layout):
    there = 0.45 + SETTINGS.grasp_beside_m
    assert play(layout, [(there, -0.05, 0.9)] * 6, side="right")[0].slots[0][0] == "g1.2.5"


def test_walking_past_is_no_reach(layout):
    assert play(layout, [(x, 0.35, 0.9) for x in np.linspace(-0.5, 1.5, 30)]) == []


def test_a_hand_beside_the_face_is_no_reach(layout):
    assert play(layout, in_and_out(1.4, 0.9)) == []


def test_two_reaches_of_one_hand_stay_two(layout):
    assert len(play(layout, in_and_out(0.45, 0.9) + in_and_out(0.75, 0.9))) == 2


def test_trembling_at_the_front_plane_is_one_reach(layout):
    path = [(0.5, 0.09 + 0.02 * (-1) ** k, 0.9) for k in range(20)]
    assert len(play(layout, path)) == 1


def test_a_short_gap_does_not_end_a_reach_and_a_long_one_does(layout):
    steady = [(0.5, 0.0, 0.9)] * 5
    assert len(play(layout, steady + [None] * 2 + steady)) == 1
    assert len(play(layout, steady + [None] * 8 + steady)) == 2


def test_deep_and_slow_instants_decide_about_the_slot(layout):
    # The hand sweeps in over slots 1 to 4 and rests in slot 8.
    path = [(0.05 + 0.1 * k, 0.08, 0.9) for k in range(4)] + [(0.70, -0.05, 0.9)] * 4 + [(0.70, 0.4, 0.9)]
    assert play(layout, path)[0].slots[0][0] == "g1.2.8"


def test_probabilities_spread_with_the_error(layout):
    face = FaceSlots.of(layout.gondola_by_id["g1"])
    touch, one = np.array([[0.45, 0.9]]), np.ones(1)
    sharp = face.probabilities(touch, np.full((1, 2), 0.02), one)
    blunt = face.probabilities(touch, np.full((1, 2), 0.15), one)
    middle = face.slot_ids.index("g1.2.5")
    assert sharp[middle] > 0.95
    assert blunt[middle] < 0.4
    assert sharp.sum() <= 1 + 1e-9
