# SPDX-License-Identifier: AGPL-3.0-or-later
"""Scenarios as data, and what shoppers do with them."""

import numpy as np
import pytest

from calibration.catalogue import load_catalogue, load_planogram
from calibration.layout import load_layout
from pipeline.errors import ScenarioError
from sim.behaviour.play import play
from sim.behaviour.scenario import Scenario, load_scenario, scenario_names
from sim.behaviour.stock import Stock
from sim.shop.stock import slot_item_poses
from sim.stage import STORES

LAYOUT = load_layout(STORES / "nanostore" / "layout.yaml")
CATALOGUE = load_catalogue(STORES / "nanostore" / "catalogue.yaml")
PLANOGRAM = load_planogram(STORES / "nanostore" / "planogram.yaml", LAYOUT, CATALOGUE).slots


def stocked() -> Stock:
    rows = {
        slot: (gtin, list(slot_item_poses(LAYOUT, slot, CATALOGUE.by_gtin[gtin]))) for slot, gtin in PLANOGRAM.items()
    }
    return Stock(rows)


def played(*do, seed=0, **more):
    scenario = Scenario.model_validate(
        {"name": "test", "shoppers": [{"id": "anna", "do": ["tap", *do, "leave"]}], **more}
    )
    return play(scenario, seed, LAYOUT, CATALOGUE, stocked())


@pytest.mark.parametrize("name", scenario_names())
def test_shipped_scenarios_are_valid_and_named_like_their_file(name):
    assert load_scenario(name).name == name


def test_the_scenarios_of_the_first_issue_are_there():
    wanted = {"ac-01", "ac-02", "ac-03", "ac-04", "ac-07", "ac-14", "ac-15", "ac-22", "ac-25", "ac-27", "browse"}
    assert wanted <= set(scenario_names())


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("name: x\nshoppers: [{id: a, do: [{pick: {quantity: 0}}]}]", "quantity"),
        ("name: x\nshoppers: [{id: a, do: [{pick: {colour: red}}]}]", "colour"),
        ("name: x\nshoppers: [{id: a, do: [fly]}]", "do.0"),
        ("name: x\nshoppers: [{id: a, do: [{put_back: {item: b}}]}]", "'b'"),
        ("name: x\nshoppers: [{id: a, do: [{pick: {near: b}}]}]", "'b'"),
        ("name: x\nshoppers: []", "shoppers"),
        ("- a list", "mapping"),
        ("name: [", "YAML"),
    ],
)
def test_a_mistake_names_file_and_field(tmp_path, text, named):
    path = tmp_path / "mine.yaml"
    path.write_text(text)
    with pytest.raises(ScenarioError, match=r"mine\.yaml") as error:
        load_scenario(path)
    assert named in str(error.value)


def test_an_unknown_scenario_lists_the_known_ones():
    with pytest.raises(ScenarioError, match="ac-01"):
        load_scenario("ac-99")


def test_the_same_seed_is_the_same_play_and_another_is_not():
    a, b, c = (played("pick", seed=seed) for seed in (3, 3, 4))
    assert a.handlings == b.handlings and a.visits == b.visits
    np.testing.assert_array_equal(a.timeline.motions["anna"].rows, b.timeline.motions["anna"].rows)
    assert a.handlings != c.handlings


def test_what_is_taken_is_owed_and_what_is_put_back_is_not():
    result = played({"pick": {"as": "a"}}, {"pick": {"gondola": "other"}}, {"put_back": {"item": "a"}})
    (visit,) = result.visits
    kept = result.handlings[1].gtin
    assert [h.kind for h in result.handlings] == ["pick", "pick", "put_back"]
    assert visit.items == {kept: 1}
    assert visit.tapped_s < visit.entered_s < visit.left_s < result.duration_s


def test_several_of_one_slot_come_from_the_front_to_the_back():
    result = played({"pick": {"as": "a", "level": "middle"}}, {"pick": {"same_as": "a"}}, {"pick": {"same_as": "a"}})
    first, second, third = (h.item_id for h in result.handlings)
    assert [i.split("#")[1] for i in (first, second, third)] == ["0", "1", "2"]


def test_an_item_put_back_stands_where_it_stood():
    result = played({"pick": {"as": "a"}}, {"put_back": {"item": "a"}})
    (item,) = result.timeline.touched
    np.testing.assert_array_equal(item.history[0].pose, item.history[-1].pose)
    assert item.history[-1].slot_id == item.home


def test_touching_and_looking_take_nothing():
    result = played({"look": {"for_s": 0.5}}, "touch")
    assert not result.handlings and not result.visits[0].items


@pytest.mark.parametrize("seed", range(3))
def test_hands_are_at_the_item_when_it_leaves_the_shelf(seed):
    result = played("pick", {"pick": {"level": "low"}}, seed=seed)
    from sim.people.crowd import Crowd

    crowd = Crowd(result.specs)
    for event in result.handlings:
        (state,) = result.timeline.states([event.at_s - 0.02])[0]
        (body,) = crowd.pose([state])
        item = result.timeline.everything[event.item_id]
        middle = item.history[0].pose[:3, 3] + [0, 0, CATALOGUE.by_gtin[event.gtin].size_m[2] / 2]
        size = max(CATALOGUE.by_gtin[event.gtin].size_m)
        assert np.linalg.norm(body.palms[event.side][:3, 3] - middle) < 0.06 + 0.6 * size


def test_items_move_without_jumps_from_shelf_to_hand_to_arm():
    from sim.people.crowd import Crowd

    scenario = Scenario.model_validate(
        {"name": "test", "shoppers": [{"id": "anna", "carry": "arm", "do": ["tap", "pick", "leave"]}]}
    )
    result = play(scenario, 1, LAYOUT, CATALOGUE, stocked())
    (item,) = result.timeline.touched
    assert [h.place for h in item.history] == ["shelf", "hand", "arm"]
    times = np.arange(item.history[1].from_s, item.history[2].from_s + 0.6, 0.02)
    crowd = Crowd(result.specs)
    bodies = crowd.pose([s for (s,) in result.timeline.states(times)])
    places = [result.timeline.moving_items(t, {"anna": b})[0][2][:3, 3] for t, b in zip(times, bodies, strict=True)]
    assert np.linalg.norm(np.diff(places, axis=0), axis=1).max() < 0.08  # 4 m/s


@pytest.mark.parametrize("seed", range(2))
def test_two_shoppers_keep_apart_and_off_the_shelves(seed):
    result = play(load_scenario("ac-07"), seed, LAYOUT, CATALOGUE, stocked())
    together = [s for s in result.timeline.states(np.arange(0, result.duration_s, 0.05)) if len(s) == 2]
    apart = [np.linalg.norm(a.floor_xy_m - b.floor_xy_m) for a, b in together]
    assert len(together) > 50 and min(apart) > 0.44
    for motion in result.timeline.motions.values():
        xy = motion.channel("xy")
        for gondola in LAYOUT.gondolas:
            face = gondola.to_face(np.column_stack([xy, np.zeros(len(xy))]))
            before = (face[:, 0] > 0) & (face[:, 0] < gondola.width_m)
            assert face[before, 1].min(initial=1.0) > 0.25
        assert np.linalg.norm(np.diff(xy, axis=0), axis=1).max() < 0.04  # 2 m/s


def test_an_item_changes_hands():
    scenario = Scenario.model_validate(
        {
            "name": "test",
            "shoppers": [
                {
                    "id": "anna",
                    "do": ["tap", {"pick": {"as": "a"}}, {"hand_over": {"item": "a", "to": "ben"}}, "leave"],
                },
                {"id": "ben", "enter_s": 2.5, "do": ["tap", {"receive": {"from": "anna"}}, "leave"]},
            ],
        }
    )
    result = play(scenario, 0, LAYOUT, CATALOGUE, stocked())
    assert [h.kind for h in result.handlings] == ["pick", "hand_over"]
    assert result.handlings[1].to_person == "ben"
    anna, ben = result.visits
    assert anna.items == {} and ben.items == {result.handlings[0].gtin: 1}


def test_a_wish_that_cannot_be_met_is_the_scenarios_mistake():
    with pytest.raises(ScenarioError, match="anna"):
        played({"pick": {"product": "0000000000000"}})


def test_who_does_not_leave_stays_and_has_not_left():
    scenario = Scenario.model_validate({"name": "test", "shoppers": [{"id": "anna", "do": ["tap", "pick"]}]})
    result = play(scenario, 0, LAYOUT, CATALOGUE, stocked())
    (visit,) = result.visits
    assert visit.left_s is None and sum(visit.items.values()) == 1
    assert result.timeline.states([result.duration_s - 0.05])[0]


def test_nobody_takes_an_item_from_under_a_hand_that_is_about_to_touch_it():
    """Anna sets out to touch the front item of a slot; Ben, who stands there already, takes from it meanwhile."""
    slot = {"slot": "g4.3.4"}
    ben = {
        "id": "ben",
        "enter_s": 0.0,
        "do": ["tap", {"look": {"gondola": "g4", "for_s": 2.0}}, {"pick": slot}, "leave"],
    }
    anna = {"id": "anna", "enter_s": 4.0, "do": ["tap", {"touch": slot}, "leave"]}
    scenario = Scenario.model_validate({"name": "test", "shoppers": [anna, ben]})
    what = play(scenario, 0, LAYOUT, CATALOGUE, stocked())
    (pick,) = what.handlings
    assert pick.person == "ben" and pick.slot_id == "g4.3.4"
