# SPDX-License-Identifier: AGPL-3.0-or-later
"""What is known of places on the floor: how well a box places somebody, and where one can leave."""

from dataclasses import replace

import numpy as np
import pytest

from pipeline.perception.floor.scene import scene_of
from pipeline.perception.floor.settings import BodySettings
from pipeline.perception.floor.sightings import sightings
from pipeline.perception.floor.tracker import FloorTracker
from pipeline.perception.zones import ShopZones

START_NS, STEP_NS = 1_700_000_000_000_000_000, 100_000_000
STILL, IN, OUT = np.zeros(2), np.array((1.0, 0.0)), np.array((-1.0, 0.0))


def spread_m(shop, world, score):
    """How well cam-a's key points place somebody in a box of this score, metres."""
    scene = scene_of(shop)
    look = world.look(START_NS, [(3.0, 2.0)], ["cam-a"], score=score)
    seen = sightings(scene.bank, scene.cameras, look, START_NS, 0.1, BodySettings())
    return float(np.sqrt(np.linalg.inv(seen.information[0] + np.diag([0, 0, 1e6]))[0, 0]))


def test_key_points_are_worth_what_their_box_score_is(shop, world):
    weak, fair, sure = (spread_m(shop, world, score) for score in (0.15, 0.5, 0.9))
    assert weak > 2 * fair > 2 * sure
    assert sure < 0.05


@pytest.mark.parametrize(
    ("place", "velocity", "left"),
    [
        ((3.0, 2.0), OUT, False),  # in the middle
        ((3.0, 4.3), STILL, False),  # in the wall
        ((6.4, 2.0), IN, False),  # behind the far wall
        ((0.3, 2.0), STILL, True),  # beyond the line
        ((-0.9, 2.0), OUT, True),  # off the floor, on the way from the gate
        ((0.8, 2.0), OUT, True),
        ((0.8, 2.0), IN, False),
    ],
)
def test_people_leave_at_gates_and_through_no_wall(shop, place, velocity, left):
    assert ShopZones(shop).has_left(np.array(place), velocity) is left


def test_who_walks_into_a_wall_and_is_not_seen_any_more_is_still_in_the_shop(shop, world):
    tracker, now_ns = FloorTracker(shop), START_NS
    for step in range(25):
        world_look = world.look(now_ns, [(1.0 + 0.1 * step, min(2.0 + 0.08 * step, 3.85))])
        tracks = tracker.update(world_look, now_ns)
        now_ns += STEP_NS
    (known,) = tracks
    for _ in range(50):
        nobody = [replace(s, detections=s.detections[:0], track_id=s.track_id[:0]) for s in world_look]
        tracks = tracker.update([replace(s, captured_at_ns=now_ns) for s in nobody], now_ns)
        now_ns += STEP_NS
    assert [t.track_id for t in tracks] == [known.track_id]
