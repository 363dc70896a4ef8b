# SPDX-License-Identifier: AGPL-3.0-or-later
"""Detections without pictures: the geometry agrees with the exact truth, the noise is what it says, files are read."""

import json
from functools import cache

import numpy as np
import pytest

from pipeline.errors import OutputError, ScenarioError
from pipeline.perception.recorded import load_boxes, load_room
from sim.behaviour.scenario import Scenario
from sim.occluders import layout_depth_m
from sim.sightings.bodies import BodySamples
from sim.sightings.fit import fit
from sim.sightings.matches import Matches
from sim.sightings.noise import Observer, load_noise
from sim.sightings.recording import read_detections, record_detections
from sim.sightings.suite import windows
from sim.sightings.views import View, static_depth, view
from sim.stage import Stage
from sim.track_files import read_tracks
from sim.truth import visible_boxes

NOISE = load_noise()
SHORT = Scenario.model_validate(
    {
        "name": "short",
        "shoppers": [
            {"id": "anna", "do": ["tap", {"pick": {"gondola": "g1"}}, "leave"]},
            {"id": "ben", "enter_s": 2.5, "do": ["tap", {"look": {"gondola": "g2", "for_s": 1}}, "leave"]},
        ],
    }
)


@cache
def stage() -> Stage:
    return Stage(SHORT, 1)


def test_boxes_agree_with_those_of_whole_bodies():
    at_s = np.array([3.0, 4.5, 6.0])
    people = BodySamples(stage()).between(2.5, 6.5).at(at_s)
    compared = 0
    for camera_id in ("cam1", "cam2", "cam8"):
        camera = stage().layout.camera_by_id[camera_id]
        quick = view(camera, people, static_depth(stage().layout, camera_id))
        depth = layout_depth_m(camera, stage().layout)
        for k, states in enumerate(stage().play.timeline.states(at_s)):
            exact = visible_boxes(camera, stage().crowd.pose(states), depth)
            for i, who in enumerate(exact.index):
                rows = [
                    r for r in np.flatnonzero(quick.picture == k)
                    if people[quick.person[r]].person == states[who].person_id
                ]  # fmt: skip
                if exact.visible[i] < 0.3:
                    continue
                (row,) = rows
                size = np.ptp(exact.full_xyxy_px[i].reshape(2, 2), axis=0).max()
                assert np.abs(quick.full_xyxy_px[row] - exact.full_xyxy_px[i]).max() < 0.06 * size
                assert quick.visible[row] == pytest.approx(exact.visible[i], abs=0.15)
                seen = (exact.keypoints_visible[i] == 2) & (quick.keypoints_visible[row] == 2)
                np.testing.assert_allclose(quick.keypoints_px[row][seen], exact.keypoints_px[i][seen], atol=3)
                compared += 1
    assert compared >= 8


def flat_view(count: int, visible: np.ndarray) -> View:
    """People of 200 by 100 pixels who are far apart, nothing hidden but what `visible` says."""
    box = np.tile([100.0, 100.0, 200.0, 300.0], (count, 1))
    points = np.tile([150.0, 200.0], (count, 17, 1))
    flags = np.full((count, 17), 2, np.uint8)
    return View(np.zeros(count, int), np.arange(count), box, box, visible, points, flags, np.ones(count))


def observed(count: int = 3000, seed: int = 0) -> Matches:
    """One look at each of many people, as `Matches`."""
    rng = np.random.default_rng(seed)
    visible = rng.uniform(0.02, 1, count)
    people = flat_view(count, visible)
    observer = Observer(NOISE.model_copy(update={"min_score": 0.0}), (1280, 720), rng)
    found, score, box, points = np.zeros(count, bool), np.zeros(count), np.zeros((count, 4)), np.zeros((count, 17, 3))
    for i in range(count):
        got = observer._person(0.0, str(i), people, i)
        if got is not None:
            found[i], (box[i], score[i], points[i]) = True, got
    none = np.zeros(0)
    return Matches(
        np.arange(count), np.zeros(count), found, score, box, points, people.xyxy_px, people.full_xyxy_px, visible,
        people.keypoints_px, people.keypoints_visible, np.full(count, -1), np.zeros(count), np.zeros(count, bool),
        none, none, np.zeros((0, 4)), none, 10.0,
    )  # fmt: skip


def test_a_fit_finds_the_noise_that_was_put_in():
    fitted, kept = fit(observed(), NOISE, "test")
    assert "false_boxes" in kept  # ten seconds are too few
    odds = NOISE.found.base + NOISE.found.visible * np.array([0.2, 0.5, 0.9])
    again = fitted.found.base + fitted.found.visible * np.array([0.2, 0.5, 0.9])
    np.testing.assert_allclose(1 / (1 + np.exp(-again)), 1 / (1 + np.exp(-odds)), atol=0.05)
    assert fitted.keypoints.seen == pytest.approx(NOISE.keypoints.seen, rel=0.15)
    np.testing.assert_allclose(fitted.box.bias, NOISE.box.bias, atol=0.01)
    assert fitted.box.spread == pytest.approx(NOISE.box.spread + 0.1 * NOISE.box.hidden, rel=0.25)


def test_luck_lasts_and_false_boxes_stay_a_while():
    rng = np.random.default_rng(3)
    observer, people = Observer(NOISE, (1280, 720), rng), flat_view(1, np.array([0.35]))
    found = [observer._person(0.02 * k, "anna", people, 0) is not None for k in range(1500)]
    changes = np.count_nonzero(np.diff(found))
    share = np.mean(found)
    assert 0.2 < share < 1 and changes < 0.8 * 2 * share * (1 - share) * len(found)
    nobody = flat_view(0, np.zeros(0))
    seen = [len(observer.look(100 + 0.1 * k, [], nobody, np.zeros(0, int))) for k in range(3000)]
    assert 0 < np.mean(seen) < 1


def test_a_recording_of_detections_is_read_by_everybody(tmp_path):
    out = tmp_path / "rec"
    manifest = record_detections(SHORT, 1, out)
    cameras = read_detections(out)
    assert {c.camera_id: len(c.at_ns) for c in cameras} == {c["id"]: c["frames"] for c in manifest["cameras"]}
    assert sum(len(d) for c in cameras for d in c.found) > 200
    room = load_room(out / "mot" / "cameras.json")
    boxes = load_boxes(out / "mot", sorted(room.camera_by_id))
    assert boxes.frames[1] <= manifest["duration_s"] * room.fps + 2
    truth = read_tracks(out / "mot" / "truth.csv")
    assert {name for names, _ in truth.values() for name in names} == {"anna", "ben"}
    assert json.loads((out / "truth" / "receipts.json").read_text())["visits"][0]["items"]
    looks = list(windows(out, 0.1))
    assert np.diff([at_ns for at_ns, _ in looks]).min() >= 10**8 - 1
    with pytest.raises(OutputError, match="there already"):
        record_detections(SHORT, 1, out)


def test_the_same_seed_is_the_same_recording(tmp_path):
    one, two, other = (tmp_path / name for name in "abc")
    for out, seed in ((one, 2), (two, 2), (other, 3)):
        record_detections(SHORT, seed, out)
    assert (one / "mot" / "cam1.det.txt").read_bytes() == (two / "mot" / "cam1.det.txt").read_bytes()
    assert (one / "mot" / "cam1.det.txt").read_bytes() != (other / "mot" / "cam1.det.txt").read_bytes()


def test_wrong_noise_settings_name_file_and_field(tmp_path):
    path = tmp_path / "noise.yaml"
    path.write_text("fitted: x\nmin_score: 2\n")
    with pytest.raises(ScenarioError, match=r"noise\.yaml: "):
        load_noise(path)
