# SPDX-License-Identifier: AGPL-3.0-or-later
"""What is said of who is who, from scripted tracks: meetings, exchanges found later, people found again."""

import itertools
from dataclasses import dataclass, field

import numpy as np
import pytest

from pipeline.messages import (
    CameraTracks,
    Detections,
    FloorTrack,
    TrackAmbiguous,
    TracksKept,
    TracksMerged,
    TracksSwapped,
)
from pipeline.perception.appearance import looks
from pipeline.perception.identity.watch import IdentityWatch
from sim.identity_events import Names

NS = 10**9
BEGIN_NS = 1_700_000_000 * NS
CAMERAS = ("cam-a", "cam-b", "cam-c", "cam-d")


@dataclass
class Story:
    """Two people walk towards one another along y = 2, meet in the middle at 5 s and walk on, or do something else.

    `apart_m`: between them when they pass. `exchange_s`: from then on, until `back_s`, the tracker gives each the
    other's label.
    `break_s`: from then on every camera's own tracker calls people by new numbers. `heights_m`: of the two, and
    `bent_s`: until then both bend. `places`: label -> where it is at a time (None: nowhere), instead of the walk.
    """

    apart_m: float = 0.05
    exchange_s: float | None = None
    back_s: float = np.inf
    break_s: float | None = None
    heights_m: tuple[float, float] = (1.7, 1.7)
    bent_s: float = 0.0
    clothes: tuple | None = None
    """BGR of (upper, lower) body of each of the two, where there are pictures; `jacket_off_s`: from then on the first
    one's upper body is white."""
    jacket_off_s: float = 99.0
    until_s: float = 16.0
    places: dict = field(default_factory=dict)

    def people(self, at_s):
        way = np.interp(at_s, [1, 5, 5.4, 9], [0.0, 2.0, 2.2, 4.0])
        away = self.apart_m / 2
        return {"t0001": np.array([1.0 + way, 2.0 + away]), "t0002": np.array([5.0 - way, 2.0 - away])}

    def window(self, at_s):
        at_ns = BEGIN_NS + round(at_s * NS)
        if self.places:
            here = {label: place(at_s) for label, place in self.places.items()}
            here = {label: np.array(xy) for label, xy in here.items() if xy is not None}
        else:
            here = self.people(at_s)
        exchanged = self.exchange_s is not None and self.exchange_s <= at_s < self.back_s
        tracks = []
        for row, (person, xy) in enumerate(here.items()):
            label = {"t0001": "t0002", "t0002": "t0001"}.get(person, person) if exchanged else person
            height_m = self.heights_m[row % 2] - (0.4 if 5 < at_s < self.bent_s else 0.0)
            seen = dict.fromkeys(CAMERAS, row)
            tracks.append(FloorTrack(label, at_ns, xy, 0.002 * np.eye(2), np.zeros(2), at_ns, seen, height_m))
        number = 10 if self.break_s is not None and at_s >= self.break_s else 1
        n = len(here)
        boxes = np.array([[100 + 150 * k, 50, 180 + 150 * k, 300] for k in range(n)], np.float32).reshape(-1, 4)
        found = Detections(boxes, np.ones(n, np.float32), np.zeros((n, 17, 3), np.float32))
        numbers = np.arange(number, number + n)
        wears = self.looks(at_s, found)
        return [CameraTracks(c, at_ns, found, numbers, wears) for c in CAMERAS], tracks, at_ns

    def looks(self, at_s, found):
        if self.clothes is None:
            return None
        picture = np.full((360, 640, 3), 128, np.uint8)
        for k, (x1, y1, x2, y2) in enumerate(found.xyxy_px.astype(int)):
            upper, lower = self.clothes[k]
            picture[y1 : (y1 + y2) // 2, x1:x2] = (250, 250, 250) if k == 0 and at_s >= self.jacket_off_s else upper
            picture[(y1 + y2) // 2 : y2, x1:x2] = lower
        shade = 1.0 if at_s < 5 else 0.7  # it is darker where they go to
        return looks((picture * shade).astype(np.uint8), found.xyxy_px, found.keypoints_px)


def told(shop, story, leaves=None):
    """Events of a story, each with the second in which it was said; `leaves`: (second, label) of who is flushed."""
    watch, out = IdentityWatch(shop), []
    for at_s in np.arange(0.05, story.until_s, 0.1):
        out += [(at_s, e) for e in watch.update(*story.window(at_s))]
        if leaves and at_s <= leaves[0] < at_s + 0.1:
            out += [(at_s, e) for e in watch.flush(leaves[1])]
    return out


def seconds(at_ns):
    return (at_ns - BEGIN_NS) / NS


@pytest.mark.parametrize(
    "story",
    [
        Story(apart_m=1.0),
        Story(apart_m=0.12),  # so near that either is possible, but every camera went on with the right one
        Story(apart_m=0.05, break_s=5.0, heights_m=(1.6, 1.85)),  # no camera did, but they are not the same size
    ],
)
def test_nothing_is_said_where_it_is_clear_who_is_who(shop, story):
    assert told(shop, story) == []


@pytest.mark.parametrize(
    "story",
    [Story(exchange_s=5.0), Story(exchange_s=5.0, heights_m=(1.6, 1.85))],
)
def test_an_exchange_is_found_by_what_people_were_before(shop, story):
    ((said_s, swap),) = told(shop, story)
    assert isinstance(swap, TracksSwapped) and {swap.track_id, swap.other_track_id} == {"t0001", "t0002"}
    assert seconds(swap.at_ns) == pytest.approx(5.1, abs=0.3)
    assert said_s < 9  # while they are still in the shop


def test_who_cannot_be_told_apart_is_ambiguous_from_the_meeting_on(shop):
    ((said_s, doubt),) = told(shop, Story(apart_m=0.0, break_s=5.0))
    assert isinstance(doubt, TrackAmbiguous) and doubt.track_ids == ("t0001", "t0002")
    assert 4.5 < seconds(doubt.at_ns) < 5.1 < seconds(doubt.until_ns) < 5.8 < said_s < 8
    assert doubt.exchange_probability == pytest.approx(0.5, abs=0.12)


@pytest.mark.parametrize(("apart_m", "break_s"), [(0.12, 5.0), (0.0, None)])
def test_cameras_are_not_believed_without_end(shop, apart_m, break_s):
    """The same with cameras that lost both; and two in one place, where the cameras may have exchanged them too."""
    ((_, doubt),) = told(shop, Story(apart_m=apart_m, break_s=break_s))
    assert isinstance(doubt, TrackAmbiguous)


def test_a_doubt_is_settled_when_they_stand_upright_again(shop):
    (_, doubt), (kept_s, kept) = told(shop, Story(break_s=5.0, heights_m=(1.55, 1.95), bent_s=8.0))
    assert isinstance(doubt, TrackAmbiguous) and isinstance(kept, TracksKept)
    assert kept.settles == (doubt.event_id,) and 8 < kept_s < 10
    swapped = told(shop, Story(break_s=5.0, heights_m=(1.55, 1.95), bent_s=8.0, exchange_s=5.0))
    (_, doubt), (_, swap) = swapped
    assert isinstance(swap, TracksSwapped) and swap.settles == (doubt.event_id,)


RED, GREEN, BLUE = (40, 40, 200), (60, 160, 60), (170, 60, 40)


@pytest.mark.parametrize("jacket_off_s", [99.0, 5.0])
def test_clothes_tell_two_people_apart_also_when_one_takes_a_jacket_off(shop, jacket_off_s):
    story = {"break_s": 5.0, "clothes": ((RED, BLUE), (GREEN, GREEN)), "jacket_off_s": jacket_off_s}
    assert told(shop, Story(**story)) == []
    ((_, said),) = told(shop, Story(exchange_s=5.0, **story))
    assert isinstance(said, TracksSwapped) or (jacket_off_s == 5.0 and said.exchange_probability > 0.8)


def test_twins_stay_in_doubt(shop):
    ((_, doubt),) = told(shop, Story(apart_m=0.0, break_s=5.0, clothes=((RED, BLUE), (RED, BLUE))))
    assert isinstance(doubt, TrackAmbiguous) and doubt.exchange_probability == pytest.approx(0.5, abs=0.12)


def test_who_leaves_is_judged_at_once_and_once(shop):
    events = told(shop, Story(break_s=5.0), leaves=(5.6, "t0002"))
    ((said_s, doubt),) = events
    assert isinstance(doubt, TrackAmbiguous) and said_s == pytest.approx(5.6, abs=0.1)


def test_nobody_is_confused_out_in_the_street(shop):
    story = Story(places={"t0001": lambda s: (-0.1, 2.0), "t0002": lambda s: (-0.1 + 0.1 * abs(s - 5), 2.0)}, until_s=7)
    assert told(shop, story) == []


def test_the_same_story_gives_the_same_ids(shop):
    ids = [[e.event_id for _, e in told(shop, Story(break_s=5.0))] for _ in range(2)]
    assert ids[0] == ids[1] and ids[0]


def between(since_s, until_s, xy):
    return lambda s: xy(s) if since_s <= s < until_s else None


def still(x, y):
    return lambda _s: (x, y)


def test_who_is_found_again_under_another_label_is_one_person(shop):
    story = Story(places={"t0001": between(0, 5, still(3, 2)), "t0002": between(6, 20, still(3.6, 2.2))})
    ((_, merge),) = told(shop, story)
    assert isinstance(merge, TracksMerged) and (merge.track_id, merge.other_track_id) == ("t0001", "t0002")
    assert seconds(merge.at_ns) == pytest.approx(6, abs=0.11)


@pytest.mark.parametrize(
    "places",
    [
        # Two are lost: it may be either.
        {"t0001": between(0, 5, still(3, 2)), "t0002": between(0, 5, still(3.8, 2)),
         "t0003": between(6, 20, still(3.4, 2.2))},
        # Comes in by the gate.
        {"t0001": between(0, 5, still(1.6, 2)), "t0002": between(6, 20, still(0.7, 2))},
        # Too far for the time.
        {"t0001": between(0, 5, still(1.5, 1)), "t0002": between(5.2, 20, still(5.5, 3))},
        # Left by the gate.
        {"t0001": between(0, 5, still(0.5, 2)), "t0002": between(6, 20, still(1.5, 2))},
    ],
)  # fmt: skip
def test_nobody_is_taken_for_somebody_else_who_was_lost(shop, places):
    assert told(shop, Story(places=places)) == []


def test_a_second_label_of_one_body_is_that_persons(shop):
    places = {"t0001": still(3, 2), "t0002": between(4, 8, still(3.2, 2.1))}
    events = told(shop, Story(places=places))
    merge = next(e for _, e in events if isinstance(e, TracksMerged))
    assert (merge.track_id, merge.other_track_id) == ("t0001", "t0002")
    assert seconds(merge.at_ns) == pytest.approx(4, abs=0.11)


def test_three_in_a_crowd_are_judged_pair_by_pair(shop):
    """Two come too near to one another beside a third who keeps away: only those two are in doubt."""
    places = {
        "t0001": lambda s: (float(np.interp(s, [1, 5, 9], [1, 3, 5])), 2.0),
        "t0002": lambda s: (float(np.interp(s, [1, 5, 9], [5, 3, 1])), 2.0),
        "t0003": still(3, 3.0),
    }
    doubts = [e for _, e in told(shop, Story(places=places, break_s=5.0)) if isinstance(e, TrackAmbiguous)]
    assert [d.track_ids for d in doubts] == [("t0001", "t0002")]
    assert not set(itertools.chain(*(d.track_ids for d in doubts))) & {"t0003"}


def standing(ring, since_s, until_s):
    """A story of people who stand half a metre from one another; between the two times label k is at the place of
    label `ring[k]`: the tracker is wrong, finds it out and leaps back. They came nearest shortly before."""
    home = {f"t000{k + 1}": np.array(xy) for k, xy in enumerate([(2.5, 2.0), (3.0, 2.0), (2.75, 2.4)][: len(ring)])}

    def place(label, at_s):
        wrong = since_s <= at_s < until_s
        xy = home[ring[label] if wrong else label].copy()
        # A step towards the middle, over when labels are exchanged.
        return xy + 0.25 * ((2.75, 2.13) - xy) * np.exp(-(((at_s - since_s + 0.1) / 0.3) ** 2))

    return Story(until_s=until_s + 3, places={k: lambda at_s, k=k: place(k, at_s) for k in ring})


@pytest.mark.parametrize(
    "ring",
    [
        {"t0001": "t0002", "t0002": "t0001"},
        {"t0001": "t0002", "t0002": "t0003", "t0003": "t0001"},
        {"t0001": "t0003", "t0003": "t0002", "t0002": "t0001"},
    ],
)
def test_labels_that_leap_back_were_exchanged_since_they_came_nearest(shop, ring):
    """Names, with the leaps' corrections, are right but for the moment before the exchange, in rings of three too."""
    events = [e for _, e in told(shop, standing(ring, 4.0, 6.0)) if isinstance(e, TracksSwapped)]
    names = Names(events)
    for at_s in (1.0, 3.0, 6.5, 8.0):
        assert all(names.of(k, BEGIN_NS + round(at_s * NS)) == k for k in ring), at_s
    for at_s in (4.5, 5.0, 5.9):
        assert all(names.of(label, BEGIN_NS + round(at_s * NS)) == body for label, body in ring.items()), at_s


def test_an_exchange_that_was_told_is_not_corrected_twice_when_labels_leap_back(shop):
    events = [e for _, e in told(shop, Story(exchange_s=5.0, back_s=7.8)) if isinstance(e, TracksSwapped)]
    assert events[0].reason.startswith("what they were"), "the watch finds out before the tracker does"
    names = Names(events)
    for at_s, wrong in ((4.8, False), (5.2, True), (7.7, True), (7.9, False), (15.0, False)):
        assert (names.of("t0001", BEGIN_NS + round(at_s * NS)) == "t0002") is wrong, at_s


def test_who_walks_fast_has_not_leapt(shop):
    """Two who run past one another at 2 m/s."""
    places = {
        "t0001": lambda at_s: (1.0 + 2 * min(at_s, 2.0), 2.0), "t0002": lambda at_s: (5.0 - 2 * min(at_s, 2.0), 2.3),
    }  # fmt: skip
    assert not [e for _, e in told(shop, Story(until_s=4.0, places=places)) if isinstance(e, TracksSwapped)]
