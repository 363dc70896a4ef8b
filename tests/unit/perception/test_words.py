# SPDX-License-Identifier: AGPL-3.0-or-later
"""How far the cameras' own trackers are believed, and what it does to who is who."""

from dataclasses import replace

import numpy as np
import pytest

from pipeline.messages import CameraTracks, Detections
from pipeline.perception.floor.scene import scene_of
from pipeline.perception.floor.settings import AssociationSettings, BodySettings
from pipeline.perception.floor.sightings import sightings
from pipeline.perception.floor.tracker import FloorTracker
from pipeline.perception.floor.words import CameraWords

START_NS, STEP_NS = 1_700_000_000_000_000_000, 100_000_000
ALONE, BESIDE, OVER = (100, 100, 160, 300), (400, 100, 460, 300), (112, 100, 172, 300)
IN = np.array((0.1, 2.0))


class Heard:
    """Windows of one camera's boxes, and what its tracks' words are worth."""

    def __init__(self, shop) -> None:
        self.scene, self.words, self.now_ns = scene_of(shop), CameraWords(AssociationSettings()), START_NS

    def say(self, *tracked, camera="cam-a"):
        """(box, track) of each; nats by track."""
        boxes = np.array([box for box, _ in tracked], np.float32).reshape(-1, 4)
        found = Detections(boxes, np.full(len(boxes), 0.9, np.float32), np.zeros((len(boxes), 17, 3), np.float32))
        look = CameraTracks(camera, self.now_ns, found, np.array([track for _, track in tracked], int))
        seen = sightings(self.scene.bank, self.scene.cameras, [look], self.now_ns, 0.1, BodySettings())
        nats, last_ns = self.words.update(seen, self.now_ns)
        self.now_ns += STEP_NS
        assert ((nats > 0) == (last_ns > 0)).all()
        return {track: float(n) for (_, track), n in zip(tracked, nats, strict=True)}


@pytest.fixture
def heard(shop):
    return Heard(shop)


def test_a_new_track_and_a_box_without_one_say_nothing(heard):
    assert heard.say((ALONE, 1), (BESIDE, -1)) == {1: 0, -1: 0}
    assert heard.say((ALONE, 2), (BESIDE, -1)) == {2: 0, -1: 0}


def test_a_track_whose_box_stays_apart_is_believed_more_than_one_that_was_covered(heard):
    heard.say((ALONE, 1), (BESIDE, 2))
    apart = heard.say((ALONE, 1), (BESIDE, 2))[1]
    assert apart > 1
    heard.say((ALONE, 1), (OVER, 2))
    after = heard.say((ALONE, 1), (BESIDE, 2))
    assert after[1] < 0.8 * apart, "they may have been exchanged since"
    assert heard.say((ALONE, 1), (BESIDE, 2))[1] == pytest.approx(apart)


def test_a_track_that_had_no_box_for_a_while_is_hardly_believed(heard):
    heard.say((ALONE, 1), (BESIDE, 2))
    apart = heard.say((ALONE, 1), (BESIDE, 2))[1]
    for _ in range(10):
        heard.say((BESIDE, 2))
    assert 0 < heard.say((ALONE, 1), (BESIDE, 2))[1] < apart / 3
    for _ in range(25):
        heard.say((BESIDE, 2))
    assert heard.say((ALONE, 1))[1] == 0, "after two seconds it is forgotten"


def test_a_camera_that_did_not_look_missed_nothing(heard):
    heard.say((ALONE, 1))
    apart = heard.say((ALONE, 1))[1]
    for _ in range(8):
        heard.say((BESIDE, 7), camera="cam-b")
    assert heard.say((ALONE, 1))[1] == pytest.approx(apart)


def way(*corners):
    """A place every 0.1 s at 1 m/s."""
    out = [np.array(corners[0], float)]
    for corner in corners[1:]:
        step = np.array(corner, float) - out[-1]
        count = max(1, round(np.linalg.norm(step) * 10))
        out += [out[-1] + step * k / count for k in range(1, count + 1)]
    return out


def followed(world, ways, tracks_of):
    """Label of each person at the end of their ways; `tracks_of(k)`: the cameras' own tracks of the people."""
    tracker, nearest = FloorTracker(world.layout), None
    for k in range(max(map(len, ways))):
        places = [w[min(k, len(w) - 1)] for w in ways]
        looks = [replace(look, track_id=np.array(tracks_of(k))) for look in world.look(START_NS + k * STEP_NS, places)]
        people = tracker.update(looks, START_NS + k * STEP_NS)
        nearest = [min(people, key=lambda t, p=p: np.linalg.norm(t.floor_xy_m - p), default=None) for p in places]
    return [t.track_id for t in nearest]


@pytest.mark.parametrize("crossing", [True, False])
def test_of_two_who_met_in_one_place_the_cameras_tracks_tell_who_went_where(world, crossing):
    """The same boxes, of people as tall as one another: whether they passed or turned back, only the tracks say."""
    meet = (3.0, 2.0)
    first, second = way(IN, (2.2, 1.4), meet, (3.8, 2.6)), [IN - (0.5, 0)] * 8 + way(IN, (2.2, 2.6), meet, (3.8, 1.4))
    length = max(len(first), len(second))
    first, second = ([w[0]] * (length - len(w)) + w for w in (first, second))
    met = int(np.argmin([np.linalg.norm(a - b) for a, b in zip(first[30:], second[30:], strict=True)])) + 30
    start = followed(world, [first[: met - 6], second[: met - 6]], lambda k: [1, 2])
    assert len(set(start)) == 2
    end = followed(type(world)(world.layout), [first, second], lambda k: [1, 2] if crossing or k < met else [2, 1])
    assert end == (start if crossing else start[::-1])


def test_who_went_out_is_gone_whatever_boxes_are_left_over(world):
    tracker = FloorTracker(world.layout)
    places = way(IN, (3, 2), (-0.3, 2))
    for k in range(len(places) + 30):
        gone = k >= len(places)
        place, score = (places[-1], 0.2) if gone else (places[k], 0.9)
        at_ns = START_NS + k * STEP_NS
        people = tracker.update(world.look(at_ns, [place], ["cam-b", "cam-c"] if gone else None, score=score), at_ns)
        assert people or k < 5 or k > len(places)
        if k == len(places) + 10:
            assert people == [], "a second after their last sure box"
