# SPDX-License-Identifier: AGPL-3.0-or-later
"""The simulated people: where their hands and feet are, and that their surface holds together."""

import dataclasses

import numpy as np
import pytest

from pipeline.errors import ScenarioError
from sim.people.casting import person_from_dict, random_person
from sim.people.crowd import Crowd
from sim.people.gait import stride_length_m
from sim.people.state import Garment, PersonState


def people(count=4, seed=11):
    rng = np.random.default_rng(seed)
    return [random_person(rng, f"p{i}") for i in range(count)]


@pytest.fixture(scope="module")
def specs():
    return people()


@pytest.fixture(scope="module")
def crowd(specs):
    return Crowd(specs)


def state(person_id="p0", heading=0.0, xy=(0.0, 0.0), **kwargs):
    return PersonState(person_id, np.array(xy), heading, **kwargs)


def reach(person_id, ahead, side, up, *, heading=0.0, xy=(0.0, 0.0), hand=1, **kwargs):
    """One hand to a point in the person's own frame."""
    c, s = np.cos(heading), np.sin(heading)
    target = np.full((2, 3), np.nan)
    target[hand] = [xy[0] + c * ahead - s * side, xy[1] + s * ahead + c * side, up]
    weight = np.zeros(2)
    weight[hand] = 1.0
    return state(person_id, heading, xy, hand_target_m=target, hand_weight=weight, **kwargs)


WALK = [dict(speed_m_s=1.2, stride_phase=p) for p in np.linspace(0, 0.9, 10)]
STILL = [dict(), dict(crouch=1.0), dict(crouch=0.5), dict(carry=np.ones(2)), dict(look_at_m=np.array([1, 2, 0.5]))]
POSES = [*WALK, *STILL]


@pytest.mark.parametrize("ahead, side, up, crouch", [
    (0.45, -0.2, 1.2, 0.0),  # a shelf at chest height
    (0.40, -0.1, 1.5, 0.0),  # above the shoulder
    (0.45, 0.15, 0.9, 0.0),  # across the body
    (0.60, -0.2, 0.8, 0.0),  # needs a lean
    (0.45, -0.2, 0.35, 0.9),  # the lowest shelf, crouching
])  # fmt: skip
@pytest.mark.parametrize("hand", [0, 1])
def test_palm_meets_a_reachable_target(crowd, specs, ahead, side, up, crouch, hand):
    side = side if hand == 1 else -side
    for spec in specs:
        if spec.shape.age_years < 17:
            continue
        s = reach(spec.person_id, ahead, side, up, heading=0.7, xy=(1.0, -2.0), hand=hand, crouch=crouch)
        palm = crowd.pose([s])[0].palms[hand, :3, 3]
        assert np.linalg.norm(palm - s.hand_target_m[hand]) < 0.02, spec


def test_unreachable_target_is_approached_with_a_bounded_lean(crowd):
    upright, far, further = crowd.pose([state(), reach("p0", 1.5, -0.2, 1.2), reach("p0", 5.0, -0.2, 1.2)])
    assert far.palms[1, 0, 3] > upright.palms[1, 0, 3] + 0.5
    assert far.palms[1, 0, 3] < 1.3
    np.testing.assert_allclose(far.palms[1, :3, 3], further.palms[1, :3, 3], atol=0.08)
    assert np.ptp(further.vertices_m, axis=0).max() < 2.2


def test_feet_are_on_the_floor(crowd, specs):
    for spec in specs:
        for body in crowd.pose([state(spec.person_id, **pose) for pose in POSES]):
            assert abs(body.vertices_m[:, 2].min()) < 0.02


def test_planted_foot_does_not_slide(crowd, specs):
    height, speed, dt = specs[0].shape.height_m, 1.2, 0.02
    step = speed * dt / stride_length_m(height, speed)
    states = [state(xy=(speed * dt * i, 0.0), speed_m_s=speed, stride_phase=0.12 + step * i) for i in range(9)]
    ankle = np.array([b.keypoints_m[15] for b in crowd.pose(states)])  # left, in mid stance
    assert np.ptp(ankle[:, 0]) < 0.02
    assert np.ptp(ankle[:, 1]) < 0.02


def test_keypoints_are_inside_the_body(crowd, specs):
    for spec in specs:
        for body in crowd.pose([state(spec.person_id, heading=1.0, **pose) for pose in POSES]):
            low, high = body.vertices_m.min(0) - 0.02, body.vertices_m.max(0) + 0.02
            assert ((body.keypoints_m > low) & (body.keypoints_m < high)).all()
            nose, ankles = body.keypoints_m[0], body.keypoints_m[15:]
            assert nose[2] > ankles[:, 2].max()


def test_left_is_left_and_ahead_is_ahead(crowd):
    body = crowd.pose([state(heading=np.pi / 2)])[0]  # facing +y, so left is -x
    keypoints = body.keypoints_m
    for left, right in ((5, 6), (11, 12), (15, 16)):
        assert keypoints[left, 0] < keypoints[right, 0]
    assert keypoints[0, 1] > keypoints[[3, 4], 1].mean()  # the nose before the ears
    assert body.palms[0, 0, 3] < body.palms[1, 0, 3]


def test_palm_frames_are_rotations(crowd):
    for body in crowd.pose([state(), reach("p1", 0.4, -0.2, 1.2), state("p2", speed_m_s=1.0, stride_phase=0.4)]):
        rotation = body.palms[:, :3, :3]
        np.testing.assert_allclose(rotation @ rotation.transpose(0, 2, 1), np.tile(np.eye(3), (2, 1, 1)), atol=1e-9)
        np.testing.assert_allclose(np.linalg.det(rotation), 1.0)


def test_closed_hand_has_its_finger_tips_nearer_the_palm(crowd):
    spread = []
    for grip in (0.0, 1.0):
        body = crowd.pose([reach("p0", 0.4, -0.2, 1.2, grip=np.full(2, grip))])[0]
        local = (body.vertices_m - body.palms[1, :3, 3]) @ body.palms[1, :3, :3]
        spread.append(local[np.linalg.norm(local, axis=1) < 0.14][:, 0].max())
    assert spread[1] < spread[0] - 0.02


def test_batch_is_the_same_as_one_by_one(crowd, specs):
    states = [state(s.person_id, heading=i, speed_m_s=0.3 * i, stride_phase=0.13 * i) for i, s in enumerate(specs)]
    states.append(reach("p1", 0.5, -0.2, 1.0, crouch=0.3))
    for together, alone in zip(crowd.pose(states), [crowd.pose([s])[0] for s in states], strict=True):
        np.testing.assert_allclose(together.vertices_m, alone.vertices_m, atol=1e-5)
        np.testing.assert_allclose(together.keypoints_m, alone.keypoints_m, atol=1e-9)
        assert together.faces is alone.faces and together.colours is alone.colours


def test_same_seed_same_people():
    assert people(seed=3) == people(seed=3)
    assert people(seed=3) != people(seed=4)
    bodies = [Crowd(people(2, seed=3)).pose([state("p1")])[0] for _ in range(2)]
    np.testing.assert_array_equal(bodies[0].vertices_m, bodies[1].vertices_m)
    np.testing.assert_array_equal(bodies[0].colours, bodies[1].colours)


def test_surface_is_sound_for_every_garment():
    rng = np.random.default_rng(5)
    base = people(1, seed=2)[0]
    choices = {
        "top": ("tshirt", "shirt", "sweater", "tank"), "bottom": ("trousers", "jeans", "shorts", "skirt", "leggings"),
        "jacket": (None, "jacket", "coat", "vest"), "hair": ("short", "long", "bun", "bald", "cap", "hood"),
        "bag": (None, "shoulder", "hand", "backpack"), "shoes": ("shoes", "boots"),
    }  # fmt: skip
    patterns = ("plain", "hstripes", "vstripes", "checks", "dots", "logo", "blocks")
    for i in range(8):
        worn = {place: kinds[i % len(kinds)] for place, kinds in choices.items()}
        garments = {
            place: kind and Garment(kind, pattern=patterns[i % 7], length=rng.random()) for place, kind in worn.items()
        }
        outfit = dataclasses.replace(base.outfit, **garments)
        crowd = Crowd([dataclasses.replace(base, outfit=outfit)])
        first, second = crowd.pose([state(outfit_phase=0), state(outfit_phase=1)])
        assert first.faces is second.faces and first.faces.max() < len(first.vertices_m) == len(second.vertices_m)
        for body in (first, second):
            assert np.isfinite(body.vertices_m).all() and np.isfinite(body.normals).all()
            assert (body.colours >= 0).all() and (body.colours <= 1).all()
            assert np.ptp(body.vertices_m[:, 2]) < base.shape.height_m + 0.12
            edges = body.vertices_m[body.faces] - body.vertices_m[np.roll(body.faces, 1, axis=1)]
            assert np.linalg.norm(edges, axis=-1).max() < 0.35  # nothing torn across the room


def test_body_surface_has_no_holes():
    """Every edge of the dressed body has as many faces on one side as on the other."""
    spec = people(1, seed=2)[0]
    changes = {"bag": None, "hair": Garment("short"), "bottom": Garment("trousers"), "jacket": Garment("jacket")}
    plain = dataclasses.replace(spec, outfit=dataclasses.replace(spec.outfit, **changes))
    body = Crowd([plain]).pose([state()])[0]
    directed = body.faces[:, [[0, 1], [1, 2], [2, 0]]].reshape(-1, 2)
    # The cut doubles vertices only at seams, so what lies at one place is one corner.
    _, corner = np.unique(np.round(body.vertices_m, 6), axis=0, return_inverse=True)
    directed = corner[directed]
    there = {tuple(edge) for edge in directed.tolist()}
    open_edges = [edge for edge in there if edge[::-1] not in there]
    assert len(open_edges) < 0.005 * len(directed), len(open_edges)


def test_jacket_comes_off():
    spec = random_person(np.random.default_rng(1), "p0", with_jacket=True)
    on, off = Crowd([spec]).pose([state(outfit_phase=0), state(outfit_phase=1)])
    assert spec.outfit.jacket is not None
    assert np.abs(on.colours - off.colours).max(1).mean() > 0.05
    shoulders = [np.ptp(b.vertices_m[:, 1]) for b in (on, off)]
    assert shoulders[0] > shoulders[1]


def test_height_is_met(specs, crowd):
    for spec in specs:
        tall = crowd.pose([state(spec.person_id)])[0].vertices_m[:, 2].max()
        assert spec.shape.height_m - 0.09 < tall < spec.shape.height_m + 0.06


def test_scenario_file_changes_only_what_it_names(specs):
    twin = person_from_dict("twin", {"outfit": {"top": {"colour": [1, 0, 0]}, "jacket": None}}, specs[0])
    assert twin.person_id == "twin" and twin.shape == specs[0].shape
    assert twin.outfit.top.colour == (1, 0, 0) and twin.outfit.top.kind == specs[0].outfit.top.kind
    assert twin.outfit.jacket is None
    with pytest.raises(ScenarioError, match="colr"):
        person_from_dict("x", {"outfit": {"top": {"colr": [1, 0, 0]}}}, specs[0])


def test_unknown_person_is_named(crowd):
    with pytest.raises(KeyError, match="nobody"):
        crowd.pose([state("nobody")])


def test_nobody_is_fine(crowd):
    assert crowd.pose([]) == []
