# SPDX-License-Identifier: AGPL-3.0-or-later
"""People bend down, squat and sit: they stay who they are, and what is known of their height is not forgotten."""

import numpy as np
import pytest

from pipeline.perception.floor.bodies import H
from pipeline.perception.floor.tracker import NS, FloorTracker
from tests.unit.perception.test_worlds import looks, room


def follow(people_at, seconds, seed=0):
    """`people_at(t)`: (x, y, height, half width) of everybody. Yields time, tracker and tracks ten times a second."""
    place, random = room(), np.random.default_rng(seed)
    tracker = FloorTracker(place)
    for step in range(round(seconds * 10)):
        at_ns = NS + step * NS // 10
        tracks = tracker.update(list(looks(place, people_at(step / 10), at_ns, random)), at_ns)
        yield step / 10, tracker, {t.track_id: t.floor_xy_m for t in tracks}


def squats(t, low_m):
    return (4.0, 3.0, low_m, 0.36) if 3 <= t < 6 else (4.0, 3.0, 1.75, 0.3)


@pytest.mark.parametrize("low_m", [0.8, 1.1, 1.3])
def test_who_squats_stays_the_same_and_is_as_tall_afterwards(low_m):
    names = set()
    for t, tracker, tracks in follow(lambda t: [squats(t, low_m), (4.8, 3.2, 1.65, 0.28)], 9):
        if t < 1:
            continue
        assert len(tracks) == 2
        name = min(tracks, key=lambda k: np.linalg.norm(tracks[k] - (4.0, 3.0)))
        assert np.linalg.norm(tracks[name] - (4.0, 3.0)) < 0.2
        names.add(name)
        person = next(p for p in tracker.people if p.track_id == name)
        if 4 < t < 6:
            assert person.bent and person.mean[H] == pytest.approx(low_m, abs=0.1)
        if not 3 <= t < 6.5:
            assert not person.bent
        if t > 2:
            assert person.stature_m == pytest.approx(1.75, abs=0.04)
    assert len(names) == 1


def test_who_sat_when_first_seen_has_no_height_until_they_stand_up():
    for t, tracker, _ in follow(lambda t: [(4.0, 3.0, 1.0 if t < 3 else 1.6, 0.33)], 5):
        if 1 < t < 3:
            (person,) = tracker.people
            assert person.bent and person.stature_sigma_m == pytest.approx(0.1)
    (person,) = tracker.people
    assert not person.bent
    assert person.stature_m == pytest.approx(1.6, abs=0.04)
    assert person.stature_sigma_m < 0.03


def test_who_gets_up_slowly_stands_in_the_end():
    """A bent body of any height follows its boxes up: it must not be believed for ever, as it has no height to know
    somebody by."""
    *_, (_, tracker, _) = follow(lambda t: [(4.0, 3.0, min(1.15 + 0.2 * t, 1.7), 0.31)], 5)
    (person,) = tracker.people
    assert not person.bent
    assert person.stature_m == pytest.approx(1.7, abs=0.04)
    assert person.stature_sigma_m < 0.03


def test_nobody_bends_down_who_is_only_hidden_by_somebody_taller():
    """A camera's view that is blocked is not a missing head."""
    for t, tracker, tracks in follow(lambda t: [(3.6 + 0.1 * t, 3.0, 1.6, 0.28), (4.4 - 0.1 * t, 3.3, 1.9, 0.34)], 8):
        if t > 1:
            assert not any(p.bent for p in tracker.people)
            assert len(tracks) == 2
