# SPDX-License-Identifier: AGPL-3.0-or-later
"""Every shipped scenario: its truth adds up, bodies keep out of shelves and one another, hands reach what they take."""

import itertools
import json
from collections import Counter
from functools import cache

import numpy as np
import pytest

from sim.behaviour.scenario import scenario_names
from sim.record import write_taps
from sim.stage import Stage, load_store
from sim.truth_files import write_receipts

STORE = load_store("nanostore")
CLOSEST_M = 0.44
IN_A_FACE_M = 0.25


@cache
def staged(name: str, seed: int = 0) -> Stage:
    return Stage(name, seed, STORE)


def receipts(stage: Stage, folder) -> list[dict]:
    write_receipts(folder / "receipts.json", stage.play, 0)
    return json.loads((folder / "receipts.json").read_text())["visits"]


def taps(stage: Stage, folder) -> list[dict]:
    write_taps(folder, stage, 0)
    return [json.loads(line) for line in (folder / "gate.jsonl").read_text().splitlines()]


@pytest.mark.parametrize("name", scenario_names())
def test_what_people_leave_with_is_what_they_took_less_what_they_gave_away(name):
    play = staged(name).play
    staff = {v.person for v in play.visits if v.role == "staff"}
    has: dict[str, Counter] = {v.person: Counter() for v in play.visits}
    for event in play.handlings:
        if event.person in staff:
            continue
        has[event.person][event.gtin] += event.quantity if event.kind == "pick" else -event.quantity
        if event.kind == "hand_over":
            has[event.to_person][event.gtin] += 1
    for person, expected in has.items():
        left_with = sum((Counter(v.items) for v in play.visits if v.person == person), Counter())
        assert left_with == +expected
        assert min(expected.values(), default=0) >= 0


@pytest.mark.parametrize("name", scenario_names())
def test_everybody_who_came_has_left(name):
    for visit in staged(name).play.visits:
        assert visit.entered_s < visit.left_s


@pytest.mark.parametrize("name", scenario_names())
def test_nobody_is_inside_a_shelf_or_somebody_else(name):
    stage = staged(name)
    for states in stage.play.timeline.states(np.arange(0, stage.play.duration_s, 0.1)):
        for a, b in itertools.combinations(states, 2):
            assert np.linalg.norm(a.floor_xy_m - b.floor_xy_m) >= CLOSEST_M
    for motion in stage.play.timeline.motions.values():
        xy = motion.channel("xy")
        for gondola in stage.layout.gondolas:
            face = gondola.to_face(np.column_stack([xy, np.zeros(len(xy))]))
            before = (face[:, 0] > 0) & (face[:, 0] < gondola.width_m)
            assert face[before, 1].min(initial=1.0) > IN_A_FACE_M
        steps = np.linalg.norm(np.diff(xy, axis=0), axis=1)[np.diff(motion.at_s) < 0.03]
        assert steps.max() < 0.04  # 2 m/s


@pytest.mark.parametrize("name", scenario_names())
def test_hands_are_at_what_they_take(name):
    stage = staged(name)
    for event in stage.play.handlings:
        if event.kind != "pick":
            continue
        state = next(s for s in stage.play.timeline.states([event.at_s - 0.02])[0] if s.person_id == event.person)
        (body,) = stage.crowd.pose([state])
        item = stage.play.timeline.everything[event.item_id]
        place = [h for h in item.history if h.from_s <= event.at_s - 0.01 and h.place == "shelf"][-1]
        size = stage.store.catalogue.by_gtin[event.gtin].size_m
        middle = place.pose[:3, 3] + [0, 0, size[2] / 2]
        assert np.linalg.norm(body.palms[event.side][:3, 3] - middle) < 0.08 + 0.6 * max(size), event


@pytest.mark.parametrize(("name", "people"), [("group-2", 2), ("group-4", 4)])
def test_a_group_is_one_bill_on_one_pass(name, people, tmp_path):
    stage = staged(name)
    (bill,) = receipts(stage, tmp_path)
    assert bill["shopper_id"] == "shopper-anna" and len(bill["members"]) == people
    assert Counter(bill["items"]) == sum((Counter(m) for m in bill["members"].values()), Counter())
    assert all(bill["members"].values())
    (tap,) = taps(stage, tmp_path)
    assert tap["shopper_id"] == "shopper-anna" and tap["party_size"] == people
    entered = [v.entered_s for v in stage.play.visits]
    assert min(entered) == stage.play.visits[0].entered_s
    assert max(entered) * 1e9 < tap["at_ns"] + 20e9
    assert bill["left_at_ns"] == round(max(v.left_s for v in stage.play.visits) * 1e9)


def test_the_family_has_children_of_a_childs_height():
    heights = {s.person_id: s.shape.height_m for s in staged("group-4").play.specs}
    assert max(heights["carla"], heights["dan"]) < 1.5 <= min(heights["anna"], heights["ben"])


def test_who_follows_without_a_pass_owes_nobody_a_bill(tmp_path):
    stage = staged("tailgate")
    anna, ben = receipts(stage, tmp_path)
    assert anna["shopper_id"] == "shopper-anna" and "members" not in anna
    assert ben["shopper_id"] is None and ben["items"]
    assert [t["shopper_id"] for t in taps(stage, tmp_path)] == ["shopper-anna"]
    assert 0 < ben["entered_at_ns"] - anna["entered_at_ns"] < 2e9  # close behind


def test_a_return_is_a_second_visit_with_its_own_items(tmp_path):
    stage = staged("return-visit")
    first, second = receipts(stage, tmp_path)
    assert first["shopper_id"] == second["shopper_id"] and first["items"] != second["items"]
    assert second["entered_at_ns"] - first["left_at_ns"] > 18e9
    assert [t["shopper_id"] for t in taps(stage, tmp_path)] == ["shopper-anna"] * 2
    between = (first["left_at_ns"] + second["entered_at_ns"]) / 2e9
    assert stage.play.timeline.states([between]) == [[]]
    assert stage.play.timeline.moving_items(second["entered_at_ns"] / 1e9, {}) == []
