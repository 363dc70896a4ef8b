# SPDX-License-Identifier: AGPL-3.0-or-later
"""The parts of the body tracker that decide who is who: assignment, small matrices, worlds."""

from itertools import product

import numpy as np
import pytest
from scipy.optimize import linear_sum_assignment
from shapely.geometry import box as rectangle

from calibration.camera import Camera, look_at
from pipeline.messages import CameraTracks, Detections
from pipeline.perception.floor.bodies import CameraBank, outlines
from pipeline.perception.floor.matching import Pairs, chance, choose
from pipeline.perception.floor.nearby import Nearby
from pipeline.perception.floor.parts import parts
from pipeline.perception.floor.settings import FloorSettings
from pipeline.perception.floor.small import solve, spd_inverse
from pipeline.perception.floor.tracker import FloorTracker
from pipeline.perception.floor.worlds import Cluster, World, Worlds
from pipeline.perception.recorded import NS, Room

SIZE_PX = (1280, 720)


def test_inverses_and_determinants_are_those_of_lapack():
    random = np.random.default_rng(0)
    for n in (2, 4, 6):
        half = random.normal(size=(5, 3, n, n))
        matrix = half @ half.swapaxes(-1, -2) + 0.1 * np.eye(n)
        inverse, logdet = spd_inverse(matrix)
        assert inverse == pytest.approx(np.linalg.inv(matrix), rel=1e-6, abs=1e-6)
        assert logdet == pytest.approx(np.linalg.slogdet(matrix)[1], abs=1e-9)


@pytest.mark.parametrize("seed", range(5))
def test_what_is_nearby_is_found_in_its_own_picture_only(seed):
    """Against a look at everything; places far outside the picture included."""
    random = np.random.default_rng(seed)
    place, camera = random.uniform(-300, 1600, 80), random.integers(0, 4, 80)
    place[:3] = -1e7, 1e7, 1e7
    low, where = random.uniform(-300, 1600, 30), random.integers(0, 4, 30)
    high = low + random.uniform(0, 200, 30)
    i, k = Nearby(place, camera).within(low, high, where)
    inside = (place > low[:, None]) & (place < high[:, None]) & (camera == where[:, None])
    assert set(zip(i.tolist(), k.tolist(), strict=True)) == set(
        zip(*(a.tolist() for a in np.nonzero(inside)), strict=True)
    )


def test_a_measurement_halves_the_variance_of_an_equally_sure_prior():
    mean, covariance, logdet = solve(np.zeros((1, 2)), np.eye(2)[None], np.eye(2)[None], np.full((1, 2), 2.0))
    assert mean[0] == pytest.approx([1, 1])
    assert covariance[0] == pytest.approx(np.eye(2) / 2)
    assert logdet[0] == pytest.approx(np.log(0.25))


def greatest(body, box, value):
    """Total value of the best assignment, by trying all."""
    best = 0.0
    for use in product((False, True), repeat=len(value)):
        use = np.array(use)
        if len(set(body[use])) == use.sum() == len(set(box[use])):
            best = max(best, value[use].sum())
    return best


@pytest.mark.parametrize("seed", range(30))
def test_the_chosen_pairs_are_the_best_assignment(seed):
    random = np.random.default_rng(seed)
    cells = [(i, k) for i in range(random.integers(1, 5)) for k in range(random.integers(1, 5))]
    cells = [c for c in cells if random.random() < 0.7] or cells[:1]
    body, box = np.array(cells).T
    value = random.uniform(0.1, 5, len(cells))
    zeros = np.zeros(len(cells), int)
    chosen = choose(Pairs(zeros, zeros, body, box, value), np.ones(len(cells), bool), np.ones(5, bool))
    assert len(set(body[chosen])) == len(chosen) == len(set(box[chosen]))
    assert value[chosen].sum() == pytest.approx(greatest(body, box, value))


@pytest.mark.parametrize("seed", range(10))
def test_a_crowd_that_contends_for_its_boxes_gets_the_best_assignment(seed):
    """Many chains of who yields to whom, against a search over everybody at once."""
    random = np.random.default_rng(seed)
    body, box = np.nonzero(random.random((40, 35)) < 0.08)
    value = random.uniform(0.1, 5, len(body))
    table = np.zeros((40, 35))
    table[body, box] = value
    zeros = np.zeros(len(body), int)
    chosen = choose(Pairs(zeros, zeros, body, box, value), np.ones(len(body), bool), np.ones(40, bool))
    assert len(set(body[chosen])) == len(chosen) == len(set(box[chosen]))
    assert value[chosen].sum() == pytest.approx(table[linear_sum_assignment(table, maximize=True)].sum())


def test_worlds_and_cameras_do_not_contend_with_one_another():
    """The same box in two worlds, and another camera's box, are all given away."""
    pairs = Pairs(np.array([0, 1, 0]), np.array([0, 0, 1]), np.array([0, 1, 0]), np.array([0, 0, 1]), np.ones(3))
    assert sorted(choose(pairs, np.ones(3, bool), np.ones(2, bool))) == [0, 1, 2]


def test_weak_boxes_are_for_who_has_no_sure_one():
    zeros = np.zeros(3, int)
    pairs = Pairs(zeros, zeros, np.array([0, 0, 1]), np.array([0, 1, 1]), np.array([1.0, 9.0, 2.0]))
    sure = np.array([True, False, False])
    assert sorted(choose(pairs, sure, np.ones(2, bool))) == [0, 2]
    assert sorted(choose(pairs, sure, np.array([True, False]))) == [0]


def test_a_box_that_two_contend_for_is_sure_of_neither():
    zeros = np.zeros(2, int)
    alone = chance(Pairs(zeros[:1], zeros[:1], zeros[:1], zeros[:1], np.array([8.0])))
    both = chance(Pairs(zeros, zeros, np.array([0, 1]), zeros, np.array([8.0, 8.0])))
    assert alone[0] > 0.99
    assert both == pytest.approx([0.5, 0.5], abs=0.01)


def room(cameras=4):
    bank = {}
    matrix = np.array([[700.0, 0, 639.5], [0, 700.0, 359.5], [0, 0, 1]])
    for k, (x, y) in enumerate([(0, 0), (8, 0), (8, 6), (0, 6)][:cameras]):
        position = np.array([x, y, 2.8])
        rotation = look_at(position, np.array([4.0, 3.0, 0.9]))
        bank[f"cam{k}"] = Camera(f"cam{k}", SIZE_PX, matrix, np.zeros(5), rotation, position)
    floor = rectangle(0, 0, 8, 6)
    return Room(bank, floor, 10.0, floor)


def looks(place, people, at_ns, random):
    """Boxes of people (x, y, height, half width)."""
    bank = CameraBank.of(place.camera_by_id)
    out = outlines(bank, np.array(people)[:, None])
    for c, name in enumerate(bank.ids):
        edges = out.edges_px[:, c].T + random.normal(0, 3, (len(people), 4))
        box, n = edges.astype(np.float32), len(edges)
        found = Detections(box, np.full(n, 0.95, np.float32), np.zeros((n, 17, 3), np.float32))
        yield CameraTracks(name, at_ns, found, np.full(n, -1))


def meet(heights, seed=0, settings=None):
    """Two people come together, stand in one place for half a second, and part; the tracks at every step."""
    place, random = room(), np.random.default_rng(seed)
    tracker = FloorTracker(place, settings)
    steps, crossing = 70, 35
    out = []
    for step in range(steps):
        x = np.clip(abs(step - crossing) - 3, 0, None) * 0.08
        side = 1 if step < crossing else -1
        people = [(4 - side * x - 0.01, 3.0, heights[0], 0.28), (4 + side * x + 0.01, 3.05, heights[1], 0.28)]
        at_ns = NS + step * NS // 10
        tracks = tracker.update(list(looks(place, people, at_ns, random)), at_ns)
        worlds = max((len(c.worlds) for c in tracker._worlds.clusters), default=0)
        out.append((people, {t.track_id: t.floor_xy_m for t in tracks}, worlds))
    return tracker, out


@pytest.mark.parametrize("seed", range(3))
def test_two_of_different_height_are_told_apart_after_they_met(seed):
    _, steps = meet((1.85, 1.55), seed)
    people, first, _ = steps[20]
    name = {k: min(first, key=lambda t: np.linalg.norm(first[t] - people[k][:2])) for k in (0, 1)}
    people, last, _ = steps[-1]
    for k in (0, 1):
        assert np.linalg.norm(last[name[k]] - people[k][:2]) < 0.4


def test_there_is_more_than_one_world_when_two_of_one_height_have_met():
    tracker, steps = meet((1.7, 1.7))
    assert len(tracker.people) == 2
    assert all(len(tracks) == 2 for _, tracks, _ in steps[20:])
    assert max(step[2] for step in steps[30:]) > 1
    assert max(step[2] for step in steps[5:20]) <= 1


def test_worlds_are_weighed_and_the_least_ones_dropped():
    tracker, _ = meet((1.7, 1.7))
    people = tracker.people
    cluster = Cluster([World(people, 0.0), World(people, -1.0), World(people, -30.0)])
    assert cluster.probabilities() == pytest.approx([0.731, 0.269, 0.0], abs=1e-3)
    worlds = Worlds(FloorSettings())
    worlds.clusters = [cluster]
    worlds._keep(cluster, {people[0].track_id})
    assert len(cluster.worlds) == 2
    assert cluster.ids == []  # their state is the same in both: there is nothing to decide


def test_people_who_have_nothing_to_do_with_one_another_are_parts_of_their_own():
    """Two may be exchanged here, and two there; far apart, but not if one exchange always came with the other."""
    here, there = [0, 0, 2, 2], [0, 1, 0, 1]
    variant = np.array([here, here, there, there]).T
    chance = np.outer([0.7, 0.3], [0.9, 0.1]).ravel()
    nobody = np.zeros((4, 4), bool)
    assert [list(p) for p in parts(chance, variant, nobody)] == [[0, 1], [2, 3]]
    assert [list(p) for p in parts(np.array([0.7, 0.0, 0.0, 0.3]), variant, nobody)] == [[0, 1, 2, 3]]
    near = nobody.copy()
    near[0, 2] = near[2, 0] = True
    assert [list(p) for p in parts(chance, variant, near)] == [[0, 1, 2, 3]]
    # Whose place is the same in every world has nothing to do with anybody.
    assert [list(p) for p in parts(chance, np.column_stack([variant, np.zeros(4, int)]), np.zeros((5, 5), bool))] == [
        [0, 1], [2, 3], [4],
    ]  # fmt: skip


def test_the_parts_of_a_cluster_are_as_likely_as_its_worlds_were():
    tracker, _ = meet((1.7, 1.7))
    a, b = tracker.people

    def world(weight, shift_a, shift_b):
        people = [p.clone() for p in (a, b)]
        for person, place, shift in zip(people, (1.0, 7.0), (shift_a, shift_b), strict=True):
            person.mean = np.array([place + shift, 3.0, 1.7, 0.3, 0, 0])
        return World(people, weight)

    chances = {(0, 0): 0.63, (1, 0): 0.27, (0, 1): 0.07, (1, 1): 0.03}
    cluster = Cluster([world(np.log(p), 0.5 * i, 0.5 * k) for (i, k), p in chances.items()])
    first, second = Worlds(FloorSettings())._parts(cluster)
    assert first.probabilities() == pytest.approx([0.7, 0.3]) and second.probabilities() == pytest.approx([0.9, 0.1])
    assert [w.people[0].xy_m[0] for w in first.worlds + second.worlds] == pytest.approx([1.0, 1.5, 7.0, 7.5])


def test_of_who_has_poor_boxes_it_is_asked_whether_they_are_there_at_all():
    """A second track of somebody's body has never enough of its own; one that only seemed poor has."""
    place, random = room(), np.random.default_rng(0)
    tracker, worth = FloorTracker(place), []
    for step in range(31):
        at_ns = NS + step * NS // 10
        people = [(3.8, 3.0, 1.75, 0.3), (4.3, 3.1, 1.6, 0.28), (4.2, 2.5, 1.68, 0.3)]
        tracker.update(list(looks(place, people, at_ns, random)), at_ns)
        if step == 25:
            second = tracker.people[0].clone()
            second.track_id, second.mean = "t0099", second.mean + [0.25, 0.4, 0, 0, 0, 0]
            tracker.people.append(second)
            for person in tracker.people:
                person.quality = 0.5 * person.expected
        elif step > 25:
            worth.append(dict(tracker._worlds.worth))
    assert worth[3]["t0099"] < -3
    (alone,) = (p.track_id for p in tracker.people if np.linalg.norm(p.xy_m - (3.8, 3.0)) < 0.2)
    assert worth[3][alone] > 2
    assert sum(bool(p.lost_ns) for p in tracker.people) == 1


def test_whom_the_pictures_speak_against_is_lost():
    tracker, _ = meet((1.7, 1.7))
    a, b = tracker.people
    tracker._worlds.worth = {a.track_id: -1.0, b.track_id: -100.0}
    tracker._part_twins(None)
    assert not a.lost_ns and b.lost_ns


def test_of_two_tracks_that_are_both_too_many_one_stays():
    """Either is nobody because the other is there."""
    tracker, _ = meet((1.7, 1.7))
    a, b = tracker.people
    tracker._worlds.worth = {a.track_id: -90.0, b.track_id: -100.0}
    tracker._part_twins(None)
    tracker._part_twins(None)
    assert not a.lost_ns and b.lost_ns
