# SPDX-License-Identifier: AGPL-3.0-or-later
"""Who has no boxes of their own is lost: where others' boxes went to says nothing of them."""

import numpy as np
import pytest

from tests.unit.perception.test_postures import follow

PLACE = (3.0, 3.0)


def meeting(t):
    """Somebody walks up to who stands at PLACE; one body is left, which walks away; at 7 s one stands there again."""
    if t < 4:
        return [(*PLACE, 1.7, 0.3), (min(5.0, max(7.0 - t, 3.0)), 3.0, 1.7, 0.3)]
    walks = (min(3.0 + 0.8 * (t - 4), 5.4), 3.0, 1.7, 0.3)
    return [walks] if t < 7 else [walks, (*PLACE, 1.7, 0.3)]


@pytest.fixture(scope="module")
def steps():
    """(time, label -> (place, velocity, lost?), labels that are reported) of every window."""
    return [
        (t, {p.track_id: (p.mean[:2].copy(), p.mean[4:].copy(), bool(p.lost_ns)) for p in tracker.people}, set(tracks))
        for t, tracker, tracks in follow(meeting, 8)
    ]


def test_of_two_tracks_with_one_persons_boxes_one_is_lost_and_stands_still(steps):
    alone = [(t, people) for t, people, _ in steps if any(lost for *_, lost in people.values())]
    assert 5 < alone[0][0] < 6.5
    places = [xy for _, people in alone for xy, _, lost in people.values() if lost]
    assert np.ptp(places, axis=0).max() < 0.05, "the other one goes on at 0.8 m/s"
    assert all(not velocity.any() for _, people in alone for _, velocity, lost in people.values() if lost)


def test_nobody_says_for_long_where_who_is_lost_should_be(steps):
    begin = next(t for t, people, _ in steps if any(lost for *_, lost in people.values()))
    assert all(len(shown) == 2 for t, _, shown in steps if 1 < t < begin + 0.8)
    assert all(len(shown) == 1 for t, _, shown in steps if begin + 1.2 < t < 6.8)


def test_who_was_lost_is_found_again_under_their_name(steps):
    before, after = steps[20][1], steps[-1][1]
    assert before.keys() == after.keys() and len(after) == 2
    assert sorted(round(xy[0], 0) for xy, *_ in after.values()) == [3, 5]
    assert not any(lost for *_, lost in after.values())
