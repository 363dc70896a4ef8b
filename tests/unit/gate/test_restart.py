# SPDX-License-Identifier: AGPL-3.0-or-later
"""A gate keeper that takes over from one that died: visits go on, with all that was done in them."""

import json

import numpy as np
import pytest

from pipeline.errors import StateError
from pipeline.gate import GateKeeper
from pipeline.messages import FloorTrack, PersonWithoutPass, TrackBound, VisitClosed
from tests.gate_walks import FAMILY, ROUND, WINDOW_NS, Tap, at, behind, pick


def play(keeper, paths, from_s, to_s, taps=(), shelf_events=(), prefix=""):
    """Events and closings between two instants."""
    said = []
    for k in range(round(from_s * 10), round(to_s * 10)):
        now = at(0) + k * WINDOW_NS
        tracks = []
        for track_id, points in paths.items():
            times = np.array([at(p[0]) for p in points])
            if times[0] <= now <= times[-1]:
                here, before = (
                    np.array([np.interp(t, times, [p[i] for p in points]) for i in (1, 2)])
                    for t in (now, now - WINDOW_NS)
                )
                tracks.append(FloorTrack(prefix + track_id, now, here, np.eye(2) * 0.01, (here - before) * 10, now))
        keeper.note([e for e in shelf_events if e.t1_ns <= now < e.t1_ns + WINDOW_NS])
        update = keeper.update(now, tracks, [t for t in taps if now - WINDOW_NS < t.at_ns <= now])
        said += update.events
        said += [keeper.close(left) for left in update.exits]
    return said


def handed_over(layout, keeper, since=()):
    """A new keeper with what the old one left, as text."""
    new = GateKeeper(layout)
    new.restore(json.loads(json.dumps(keeper.snapshot())), since)
    return new


TAPS = [Tap(at(1.5), "anna", party_size=3)]


@pytest.mark.parametrize("down_s", [0.5, 5, 20])
def test_a_party_goes_on_after_the_restart(layout, down_s):
    """Everybody stands where they stood; every label is new."""
    paths = {t: [*points[:4], (60, *points[3][1:]), (64, 0.0, points[3][2])] for t, points in FAMILY.items()}
    old = GateKeeper(layout)
    play(old, paths, 0, 10, TAPS, [pick(8, t1=1.0), pick(9, t3=1.0)])
    new = handed_over(layout, old)
    said = play(new, paths, 10 + down_s, 68, (), [pick(40, **{"b-t2": 1.0})], prefix="b-")
    assert {e.track_id for e in said if isinstance(e, TrackBound)} == {"b-t1", "b-t2", "b-t3"}
    assert not [e for e in said if isinstance(e, PersonWithoutPass)]
    (closing,) = [e for e in said if isinstance(e, VisitClosed)]
    assert {"pick-8", "pick-9", "pick-40"} <= set(closing.event_ids)


def test_without_a_restart_nothing_is_different(layout):
    """The keeper that goes on and the one that takes over under the same labels say the same."""
    paths, events = {"t1": ROUND, "t2": behind()}, [pick(8, t1=1.0), pick(12, t2=1.0)]
    old = GateKeeper(layout)
    play(old, paths, 0, 10, [Tap(at(1.5), "anna")], events)
    new = handed_over(layout, old)
    assert play(new, paths, 10, 30, (), events) == play(old, paths, 10, 30, (), events)


def test_what_the_log_says_since_the_snapshot_counts(layout):
    old = GateKeeper(layout)
    first = play(old, {"t1": ROUND}, 0, 1, [])
    saved = json.loads(json.dumps(old.snapshot()))
    since = play(old, {"t1": ROUND}, 1, 10, [Tap(at(1.5), "anna")], [pick(8, t1=1.0)])
    new = GateKeeper(layout)
    new.restore(saved, [*since, pick(8, t1=1.0)])
    assert first == [] and [v.visit_id for v in new.open_visits()] == [since[0].visit_id]
    said = play(new, {"t1": [(10, 4, 1), *ROUND[4:]]}, 10, 30, prefix="b-")
    (closing,) = [e for e in said if isinstance(e, VisitClosed)]
    assert "pick-8" in closing.event_ids

    ended = GateKeeper(layout)
    ended.restore(saved, [*since, closing])
    assert ended.open_visits() == ()


def test_two_who_cannot_be_told_apart_are_not_guessed(layout):
    paths = {"t1": [*ROUND[:4], (10, 4, 0.95)], "t2": [(t + 2, x, y) for t, x, y in ROUND[:4]]}
    old = GateKeeper(layout)
    play(old, paths, 0, 8, [Tap(at(1.5), "anna"), Tap(at(3.5), "ben")])
    new = handed_over(layout, old)
    said = play(new, {"t1": [(9, 4, 1), (12, 4, 1)], "t2": [(9, 4, 0.98), (12, 4, 0.98)]}, 9, 12, prefix="b-")
    assert said == [] and len(new.open_visits()) == 2


def test_a_snapshot_of_another_version_is_refused(layout):
    with pytest.raises(StateError, match="version 99"):
        GateKeeper(layout).restore({"version": 99})
