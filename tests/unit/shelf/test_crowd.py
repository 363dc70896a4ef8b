# SPDX-License-Identifier: AGPL-3.0-or-later
"""What a crowd hides: shelves that are seen late, cameras that tell of different times, other people's hands."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest

from models.crops import CropWindow
from pipeline.messages import FloorTrack, Reach
from pipeline.reasons import UNCLEAR_QUANTITY
from pipeline.shelf.attribute import Attribution
from pipeline.shelf.carried import BodyPicture, BodyPictures
from pipeline.shelf.change import SlotChange, SlotPicture, SlotWatch
from pipeline.shelf.episodes import Episode, Episodes
from pipeline.shelf.identify import Verdict, fresh_places
from pipeline.shelf.reporting import Reporter, at_least
from pipeline.shelf.settings import ShelfSettings
from pipeline.shelf.takers import Takers
from pipeline.shelf.views import slot_views
from tests.unit.shelf.test_stage import Play

S = 1_000_000_000
SETTINGS = ShelfSettings()
SLOT = "g1.2.5"
NOBODY = np.zeros((0, 4))


@pytest.fixture(scope="module")
def views(layout, catalogue, planogram):
    return slot_views(layout, catalogue, planogram, SETTINGS)


@pytest.fixture
def watch(views):
    return SlotWatch(views, SETTINGS)


@pytest.fixture
def crowd(layout, catalogue, planogram, paint):
    @cache
    def picture(camera_id, missing):
        return paint(layout, camera_id, dict(missing), planogram.slots)

    p = Play(layout, catalogue, planogram, picture)
    p.stay({})
    p.stay({"t1": ((1.0, 0.8), None)}, 1.0)
    return p


def look(watch, view, picture, times_s, hidden=False):
    """The view's camera looks at `picture` at these times, with somebody before the slot or not."""
    boxes = np.array([[0, 0, 1280, 720]]) if hidden else NOBODY
    for t in times_s:
        watch.observe(view.camera_id, round(t * S), picture, boxes)


def test_a_camera_that_was_blind_saw_the_slot_last_before_that(watch, views, layout, planogram, paint):
    view = views[SLOT][0]
    full = paint(layout, view.camera_id, {}, planogram.slots)
    look(watch, view, full, np.arange(1, 6, 0.5))
    look(watch, view, full, np.arange(6, 20, 0.5), hidden=True)
    look(watch, view, full, np.arange(20, 22, 0.5))
    assert watch.same_before_ns(view, 12 * S) == round(5.5 * S)
    assert watch.same_before_ns(view, 3 * S) == 3 * S
    assert watch.same_before_ns(view, 30 * S) == round(21.5 * S)


def test_a_slot_that_looks_otherwise_did_not_look_so_before(watch, views, layout, planogram, paint):
    view = views[SLOT][0]
    look(watch, view, paint(layout, view.camera_id, {}, planogram.slots), np.arange(1, 6, 0.5))
    look(watch, view, paint(layout, view.camera_id, {SLOT: 1}, planogram.slots), np.arange(10, 14, 0.5))
    assert watch.same_before_ns(view, 3 * S) == 10 * S


def change(view, before_s, after_s):
    picture = SlotPicture(after_s * S, np.zeros((1, 1, 3), np.uint8))
    return SlotChange(view, picture, picture, before_s * S, after_s * S, 1.0, np.zeros((1, 3), np.float32))


def test_what_one_camera_saw_before_it_was_hidden_is_apart_from_what_others_saw_later(views):
    first, second = views[SLOT][:2]
    changes = {first.camera_id: change(first, 9, 15), second.camera_id: change(second, 9, 26)}
    episode = Episode(SLOT, "g1", 15 * S, 26 * S, changes=changes)
    apart = episode.parts(lambda view: 15 * S if view is first else 27 * S)
    assert [(list(p.changes), p.interval_ns) for p in apart] == [
        ([first.camera_id], (9 * S, 15 * S)), ([second.camera_id], (15 * S, 26 * S)),
    ]  # fmt: skip
    (together,) = episode.parts(lambda view: 27 * S)  # the first camera went on seeing what it saw
    assert together.changes == changes


def test_what_follows_a_decision_is_later_than_what_was_seen_of_it(watch, views, layout, planogram, paint):
    first, second = views[SLOT][:2]
    look(watch, first, paint(layout, first.camera_id, {SLOT: 1}, planogram.slots), [15, 15.5, 16])
    episodes = Episodes(views, watch, SETTINGS)
    episodes.add(change(first, 9, 15))
    (decided,) = episodes.take()
    episodes.decided(decided)
    episodes.add(change(second, 9, 26))
    assert episodes.open[0].interval_ns == (16 * S, 26 * S)


def reach(track_id, t_s, chance=0.6):
    return Reach(
        f"{track_id}/{t_s}", track_id, "right", "g1", t_s * S, (t_s + 1) * S, ((SLOT, chance),), np.zeros((1, 3)),
        np.array([t_s * S]),
    )  # fmt: skip


def two_at_the_shelf(layout):
    """Both stood there and reached in, one after the other."""
    who = Attribution(layout, SETTINGS)
    stand = layout.gondola_by_id["g1"].to_world(0.45, 0.45, 0.8)[:2]
    for k in range(20):
        for n, track_id in enumerate(("t1", "t2")):
            at_ns, xy_m = 5 * S + k * S // 2, stand + (0.5 * n - 0.25, 0)
            who.add_place(FloorTrack(track_id, at_ns, xy_m, 0.01 * np.eye(2), np.zeros(2), at_ns))
    who.add_reach(reach("t1", 8, 0.7))
    who.add_reach(reach("t2", 9, 0.5))
    return who


def test_of_two_items_each_has_a_taker_of_its_own(layout):
    who = two_at_the_shelf(layout)
    first = who.who(SLOT, (7 * S, 12 * S))
    second = who.who(SLOT, (7 * S, 12 * S), taken=[first[0]])
    assert [touches[0].track_id for touches in (first, second)] == ["t1", "t2"]
    assert who.who(SLOT, (7 * S, 12 * S)) == first


class Seen:
    """Who is seen with the product since."""

    def __init__(self, **scores):
        self.scores = scores

    def carries(self, network, track_id, class_index, slot_ids, since_ns):
        return self.scores[track_id]


def verdict(quantity):
    return Verdict(0.99, 0.0, 0.01, (), ((quantity, 0.95), (3 - quantity, 0.05)), fresh_places())


@pytest.mark.parametrize(
    ("quantity", "scores", "expected"),
    [
        (2, {"t1": 0.0, "t2": 0.0}, ["t1", "t2"]),
        (2, {"t1": 0.8, "t2": 0.1}, ["t1", "t2"]),  # she is seen with one; that says nothing of the other
        (2, {"t1": 0.1, "t2": 0.8}, ["t2", "t1"]),
        (1, {"t1": 0.0, "t2": 0.0}, ["t1"]),
        (1, {"t1": 0.0, "t2": 0.9}, ["t2"]),
    ],
)
def test_each_item_goes_to_who_is_seen_with_it(layout, catalogue, planogram, quantity, scores, expected):
    who = two_at_the_shelf(layout)
    takers = Takers(who, Seen(**scores), object(), catalogue, planogram.slots, SETTINGS)
    episode = Episode(SLOT, "g1", 12 * S, 12 * S, changes={"cam1": change(None, 7, 12)})
    gtin = planogram.slots[SLOT]
    there = who.who(SLOT, episode.interval_ns)
    shares = takers.shares(episode, there, takers.weighed(episode, there, gtin), verdict(quantity), gtin, ())
    assert [share[0].track_id for share in shares] == expected


@pytest.mark.parametrize(("holders", "first"), [((), "t2"), (("t2",), "t1")])
def test_who_has_one_already_is_not_suspected_for_carrying_it(layout, catalogue, planogram, holders, first):
    who = two_at_the_shelf(layout)
    takers = Takers(who, Seen(t1=0.1, t2=0.9), object(), catalogue, planogram.slots, SETTINGS)
    episode = Episode(SLOT, "g1", 12 * S, 12 * S, changes={"cam1": change(None, 7, 12)})
    touches = takers.weighed(episode, who.who(SLOT, episode.interval_ns), planogram.slots[SLOT], holders)
    assert touches[0].track_id == first
    assert {touch.track_id: touch.carried for touch in touches} == {"t1": 0.1, "t2": 0.9}


def wrist_picture(mine, theirs):
    return BodyPicture(
        "cam1", S, np.zeros((216, 216, 3), np.uint8), CropWindow(0, 0, 216), np.reshape(mine, (-1, 2)).astype(float),
        np.reshape(theirs, (-1, 2)).astype(float), 300.0,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("mine", "theirs", "least", "most"),
    [
        ([90, 90], [], 0.99, 1.0),  # in the own hand
        ([90, 90], [300, 90], 0.99, 1.0),  # and nobody else near
        ([300, 90], [90, 90], 0.0, 0.01),  # in somebody else's
        ([90, 90], [95, 95], 0.45, 0.55),  # hands together: handed over, or crossed in the picture
        ([], [90, 90], 0.0, 0.01),  # no own hand in sight
    ],
)
def test_an_item_counts_by_whose_hand_it_is_at(mine, theirs, least, most):
    box = np.array([80.0, 80.0, 110.0, 120.0])
    assert least <= wrist_picture(mine, theirs).in_own_hand(box) <= most


def test_what_stands_in_a_shelf_is_known_to_cameras_that_do_not_watch_it(layout, views):
    narrow = {slot: vs[:1] for slot, vs in views.items()}
    bodies = BodyPictures(layout, narrow, SETTINGS)
    watching = narrow[SLOT][0].camera_id
    others = [v for v in views[SLOT] if v.camera_id != watching]
    assert others
    for view in others:
        box = np.array([*view.quad_px.min(0), *view.quad_px.max(0)])
        assert bodies._on_shelf(view.camera_id, box, [SLOT])
        assert not bodies._on_shelf(view.camera_id, box, ["g1.2.9"])


def test_a_bill_waits_for_a_shelf_that_somebody_else_hides(crowd):
    stand = crowd.layout.gondola_by_id["g1"].to_world(0.45, 0.45, 0.8)[:2]
    hiding = {"t2": (stand, None)}
    crowd.stay({"t1": (stand + (0.1, 0.0), None)}, 3)
    crowd.stay({"t1": ((0.4, 0.8), None), **hiding}, 3)
    crowd.stay(hiding, 1)
    stage, now_ns = crowd.stage, crowd.stage._now_ns
    assert stage.awaits("t1", now_ns - S)
    assert not stage.awaits("t1", now_ns - 16 * S)  # long enough
    assert not stage.awaits("nobody", now_ns - S)
    crowd.stay({"t2": ((0.6, 0.6), None)}, 2)
    assert not stage.awaits("t1", now_ns)


def test_who_was_alone_has_nothing_to_wait_for(crowd):
    crowd.reach("t1", SLOT, change=1)
    crowd.stay({"t1": ((0.4, 0.8), None)}, 2)
    assert not crowd.stage.awaits("t1", crowd.stage._now_ns)


def test_an_item_is_as_sure_as_that_there_were_so_many():
    quantities = ((2, 0.6), (1, 0.3), (3, 0.1))
    assert [round(at_least(quantities, n), 3) for n in (1, 2, 3, 4)] == [1.0, 0.7, 0.1, 0.0]


def test_the_second_item_of_two_is_not_surer_than_the_count(layout, catalogue, planogram):
    """Each of two people has an event of their own; whether there was a second item at all is said with the second."""
    who = two_at_the_shelf(layout)
    seen = change(slot_views(layout, catalogue, planogram, SETTINGS)[SLOT][0], 7, 12)
    episode = Episode(SLOT, "g1", 12 * S, 12 * S, changes={seen.view.camera_id: seen})
    first = who.who(SLOT, episode.interval_ns)
    shares = [first, who.who(SLOT, episode.interval_ns, taken=[first[0]])]
    what = Verdict(0.99, 0.0, 0.01, ((planogram.slots[SLOT], 1.0),), ((2, 0.6), (1, 0.4)), fresh_places())
    reporter = Reporter(layout, catalogue, planogram.slots, who, SETTINGS)
    events = reporter.shared(episode, shares, what)
    assert [(e.persons[0].value, e.quantities[0].value, e.quantities[0].probability) for e in events] == [
        ("t1", "1", 1.0), ("t2", "1", 0.6),
    ]  # fmt: skip
    assert UNCLEAR_QUANTITY in events[1].reason and UNCLEAR_QUANTITY not in events[0].reason
