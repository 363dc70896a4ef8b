# SPDX-License-Identifier: AGPL-3.0-or-later
"""One identity a person over all cameras."""

from dataclasses import replace

import numpy as np
import pytest

from pipeline.messages import CameraTracks, Detections
from pipeline.perception.floor.settings import FloorSettings
from pipeline.perception.floor.tracker import FloorTracker

START_NS = 1_700_000_000_000_000_000
STEP_NS = 100_000_000


def walk(*corners, speed_m_s=1.0):
    """Places every 0.1 s along straight lines between corners; a number instead of a corner waits so many seconds."""
    places = [np.array(corners[0], float)]
    for corner in corners[1:]:
        if isinstance(corner, (int, float)):
            places += [places[-1]] * round(corner * 10)
            continue
        way = np.array(corner, float) - places[-1]
        steps = max(1, round(np.linalg.norm(way) / speed_m_s * 10))
        places += [places[-1] + way * k / steps for k in range(1, steps + 1)]
    return places


class Follow:
    """Runs a tracker over people's ways and keeps what it said."""

    def __init__(self, world, **settings):
        self.world, self.tracker = world, FloorTracker(world.layout, **settings)
        self.windows = []
        self.now_ns = START_NS

    def run(self, *ways, cameras=None, **kwargs):
        """Everybody at once, until the longest way is over; who has come to the end stays there."""
        for k in range(max(map(len, ways), default=0)):
            self.step([way[min(k, len(way) - 1)] for way in ways], cameras, **kwargs)
        return self

    def step(self, places, cameras=None, **kwargs):
        self.show(self.world.look(self.now_ns, places, cameras, **kwargs), places)

    def nothing(self, seconds):
        for _ in range(round(seconds * 10)):
            self.show(self.world.look(self.now_ns, []), [])
        return self

    def show(self, looks, places=()):
        self.windows.append((list(places), self.tracker.update(looks, self.now_ns)))
        self.now_ns += STEP_NS

    @property
    def last(self):
        return self.windows[-1][1]

    @property
    def ids(self):
        return sorted({t.track_id for _, tracks in self.windows for t in tracks})

    def owner(self, person, since=5):
        """Ids of the track nearest to a person in every window, in order, without repeats; `None` when 0.6 m away."""
        names = []
        for places, tracks in self.windows[since:]:
            if len(places) <= person:
                continue
            away = [np.linalg.norm(t.floor_xy_m - places[person]) for t in tracks]
            name = tracks[int(np.argmin(away))].track_id if away and min(away) < 0.6 else None
            if not names or names[-1] != name:
                names.append(name)
        return names


IN = (0.1, 2.0)


def test_one_person_is_one_track_in_all_cameras(world):
    follow = Follow(world).run(walk(IN, (3, 2), (4.5, 1)))
    assert follow.ids == ["t0001"]
    assert follow.owner(0) == ["t0001"]
    assert len(follow.last[0].sources) >= 3
    errors = [np.linalg.norm(t[0].floor_xy_m - p[0]) for p, t in follow.windows[10:]]
    assert np.median(errors) < 0.08
    assert np.linalg.norm(follow.last[0].velocity_m_s) < 1.6


def test_sources_are_the_rows_of_that_person(world):
    follow = Follow(world).run(walk(IN, (3, 1.5)), walk(IN, 1.5, (2, 2.8)))
    tracks = {t.track_id: t for t in follow.last}
    looks = {look.camera_id: look for look in world.look(follow.now_ns, [(3, 1.5), (2, 2.8)])}
    for person, track_id in ((0, "t0001"), (1, "t0002")):
        for camera_id, row in tracks[track_id].sources.items():
            if len(looks[camera_id].detections) == 2:
                assert row == person


def test_two_people_cross_and_keep_their_identities(world):
    follow = Follow(world).run(walk(IN, (2, 1.0), 1.5, (4.5, 3.0)), walk(IN, 0.01, 1.5, (2, 3.0), 0.5, (4.5, 1.0)))
    assert follow.owner(0, since=40) == ["t0001"]
    assert follow.owner(1, since=40) == ["t0002"]
    assert follow.ids == ["t0001", "t0002"]


def test_somebody_hidden_for_three_seconds_is_the_same_afterwards(world):
    follow = Follow(world).run(walk(IN, (3, 2)))
    follow.nothing(3)
    assert [t.track_id for t in follow.last] == ["t0001"], "nobody vanishes in the middle of the shop"
    assert follow.last[0].sources == {} and follow.now_ns - follow.last[0].last_seen_ns >= 3e9
    lost = np.trace(follow.last[0].covariance_m2)
    follow.run(walk((3.8, 2.6), 0.5, (4.5, 1)))
    assert follow.ids == ["t0001"]
    assert np.trace(follow.last[0].covariance_m2) < lost / 10


def test_hidden_feet_do_not_move_anybody(world):
    follow = Follow(world).run(walk(IN, (3, 2), 1.0)).run(walk((3, 2), 2.0), hidden_below_m=1.0)
    assert follow.owner(0) == ["t0001"]
    assert follow.last[0].floor_xy_m == pytest.approx((3, 2), abs=0.15)


def test_who_walks_out_is_gone_and_the_next_is_another(world):
    follow = Follow(world).run(walk(IN, (3, 2), 0.5, (-0.3, 2))).nothing(2)
    assert follow.last == []
    follow.run(walk(IN, (3, 2)))
    assert follow.ids == ["t0001", "t0002"]


def test_a_reflection_in_one_camera_is_nobody(world):
    tracker = Follow(world).run(walk(IN, (2, 2)))
    ghost = world.detect("cam-a", [(4.5, 1.5)])
    for _ in range(12):
        looks = world.look(tracker.now_ns, [(2, 2)])
        both = [
            CameraTracks(
                look.camera_id, look.captured_at_ns,
                Detections(*(np.concatenate([getattr(look.detections, f), getattr(ghost, f)])
                             for f in ("xyxy_px", "score", "keypoints_px"))),
                np.append(look.track_id, 99),
            ) if look.camera_id == "cam-a" else look
            for look in looks
        ]  # fmt: skip
        tracker.show(both, [(2, 2)])
    assert tracker.ids == ["t0001"]


@pytest.mark.parametrize(("place", "somebody"), [((0.9, 2.0), True), ((3.5, 2.0), False)])
def test_who_is_steadily_seen_at_a_gate_is_somebody_though_most_cameras_do_not_see_them(world, place, somebody):
    """Others are in the way. Inside, where nobody appears, it may be a second box of somebody known."""
    follow = Follow(world, settings=FloorSettings(support=0.6)).nothing(1.5)
    for _ in range(8):
        looks = world.look(follow.now_ns, [place])
        for look in [look for look in looks if len(look.detections)][2:]:
            looks[looks.index(look)] = replace(look, detections=Detections.empty(), track_id=np.zeros(0, int))
        assert sum(len(look.detections) for look in looks) == 2
        follow.show(looks)
    assert bool(follow.last) is somebody


def test_people_outside_the_shop_are_not_in_it(world):
    follow = Follow(world).run(walk(IN, (2, 2)), [np.array([7.3, 2.0])])
    assert follow.ids == ["t0001"]


def test_weak_detections_keep_but_do_not_make_a_person(world):
    assert Follow(world).run(walk(IN, (3, 2)), score=0.2).ids == []
    follow = Follow(world).run(walk(IN, (3, 2))).run(walk((3, 2), (3.8, 2)), score=0.2)
    assert follow.owner(0) == ["t0001"]
    assert follow.last[0].sources


def test_somebody_who_is_inside_when_it_begins_is_followed(world):
    assert Follow(world).run(walk((4, 2), (2, 1.5))).owner(0) == ["t0001"]


def test_cameras_that_were_not_looked_at_change_nothing(world):
    follow = Follow(world).run(walk(IN, (3, 2)))
    follow.run(walk((3, 2), (4.5, 2)), cameras=["cam-b"])
    assert follow.owner(0) == ["t0001"]


def test_the_same_input_gives_the_same_tracks_and_reset_forgets(shop, world):
    def tracks(tracker):
        other = type(world)(shop, seed=3)
        out = []
        for k, place in enumerate(walk(IN, (3, 2), (4, 1))):
            out += tracker.update(other.look(START_NS + k * STEP_NS, [place]), START_NS + k * STEP_NS)
        return [(t.track_id, t.at_ns, *t.floor_xy_m) for t in out]

    tracker = FloorTracker(shop)
    first = tracks(tracker)
    assert first
    tracker.reset()
    assert tracks(tracker) == first == tracks(FloorTracker(shop))


def test_late_and_early_pictures_are_laid_on_the_windows_time(world):
    """A camera whose pictures are 50 ms old shows a walking person 5 cm behind; both agree once time is considered."""
    follow = Follow(world)
    for place in walk(IN, (4, 2)):
        looks = world.look(follow.now_ns, [place], ["cam-a", "cam-c"])
        late = world.look(follow.now_ns - 50_000_000, [place - (0.05, 0)], ["cam-b", "cam-d"])
        follow.show([*looks, *late], [place])
    errors = [t[0].floor_xy_m - p[0] for p, t in follow.windows[15:]]
    assert abs(np.mean(errors, axis=0)[0]) < 0.03
