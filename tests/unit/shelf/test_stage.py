# SPDX-License-Identifier: AGPL-3.0-or-later
"""Whole visits of schematic people in the small shop: a body is a box, an arm two joints."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache

import cv2
import numpy as np
import pytest

from pipeline.messages import LEFT_WRIST, CameraTracks, Detections, FloorTrack, Frame, FrameSet
from pipeline.shelf.evidence_sheet import write_sheet
from pipeline.shelf.hands import LEFT_ELBOW
from pipeline.shelf.identify import Verdict, fresh_places
from pipeline.shelf.reporting import NO_CAMERA
from pipeline.shelf.settings import ShelfSettings
from pipeline.shelf.stage import ShelfStage

STEP_NS = 200_000_000
START_NS = 1_700_000_000_000_000_000
SETTINGS = ShelfSettings()


@dataclass(frozen=True)
class Perceived:
    frame_set: FrameSet
    camera_tracks: dict[str, CameraTracks]
    floor_tracks: list[FloorTrack]


@pytest.fixture(scope="module")
def pictures(layout, planogram, paint):
    @cache
    def picture(camera_id, missing):
        return paint(layout, camera_id, dict(missing), planogram.slots)

    return picture


def body_box(camera, xy):
    x, y = xy
    corners = np.array([[x + a, y + b, z] for a in (-0.2, 0.2) for b in (-0.15, 0.15) for z in (0.0, 1.7)])
    pixels = camera.project(corners)
    low, high = np.nanmin(pixels, axis=0), np.nanmax(pixels, axis=0)
    return np.clip(np.array([*low, *high]), 0, [1280, 720, 1280, 720])


class Play:
    """Feeds a stage with people at places, their left palm somewhere or hanging, and items that are gone."""

    def __init__(self, layout, catalogue, planogram, pictures, settings=SETTINGS, explain=None):
        self.layout, self.pictures = layout, pictures
        self.stage = ShelfStage(layout, catalogue, planogram, None, settings, explain)
        self.index = 0
        self.events = []
        self.missing = {}
        self.rng = np.random.default_rng(3)

    def window(self, people):
        """`people`: track id -> (floor xy, palm or None)."""
        at_ns = START_NS + self.index * STEP_NS
        frames, tracks, sources = {}, {}, {t: {} for t in people}
        for camera_id, camera in self.layout.camera_by_id.items():
            image = self.pictures(camera_id, tuple(sorted(self.missing.items())))
            frames[camera_id] = Frame(camera_id, at_ns, image)
            boxes, keypoints = [], []
            for row, (track_id, (xy, palm)) in enumerate(people.items()):
                palm = np.array([xy[0] - 0.25, xy[1], 0.75]) if palm is None else np.asarray(palm, float)
                shoulder = np.array([*xy, 1.35])
                arm = (palm - shoulder) / np.linalg.norm(palm - shoulder)
                points = np.zeros((17, 3))
                for joint, back in ((LEFT_WRIST, SETTINGS.palm_beyond_wrist_m), (LEFT_ELBOW, 0.35)):
                    place = palm - back * arm
                    if camera.in_view(place):
                        points[joint] = [*(camera.project(place) + self.rng.normal(0, 2, 2)), 0.9]
                box = body_box(camera, xy)
                inside = points[:, 2] > 0
                if inside.any():
                    box[:2] = np.minimum(box[:2], points[inside, :2].min(0))
                    box[2:] = np.maximum(box[2:], points[inside, :2].max(0))
                boxes.append(box)
                keypoints.append(points)
                sources[track_id][camera_id] = row
            n = len(boxes)
            found = Detections(
                np.array(boxes, np.float32).reshape(n, 4), np.ones(n, np.float32),
                np.array(keypoints, np.float32).reshape(n, 17, 3),
            )  # fmt: skip
            tracks[camera_id] = CameraTracks(camera_id, at_ns, found, np.arange(n))
        floor = [
            FloorTrack(t, at_ns, np.array(xy, float), 0.01 * np.eye(2), np.zeros(2), at_ns, sources[t])
            for t, (xy, _) in people.items()
        ]
        window = FrameSet(self.index, at_ns - STEP_NS // 2, STEP_NS, frames)
        self.index += 1
        out = self.stage.update(Perceived(window, tracks, floor))
        self.events += out
        return out

    def stay(self, people, seconds=1.2):
        for _ in range(round(seconds / (STEP_NS / 1e9))):
            self.window(people)

    def palm_at(self, slot_id, out=-0.03, up=0.1):
        gondola, shelf, slot = self.layout.slot_by_id[slot_id]
        along = (slot.start_m + slot.end_m) / 2 - SETTINGS.grasp_beside_m
        return gondola.to_world(np.array(along), np.array(out), np.array(shelf.height_m + up))

    def reach(self, who, slot_id, change=0, others=None):
        """`who` walks to the slot, reaches in, `change` items go from it, and the hand comes out."""
        gondola, _, slot = self.layout.slot_by_id[slot_id]
        xy = gondola.to_world(np.array((slot.start_m + slot.end_m) / 2 - 0.1), np.array(0.5), np.array(0.0))[:2]
        for out in (0.35, 0.15, 0.0, -0.03, -0.03):
            self.window({who: (xy, self.palm_at(slot_id, out)), **(others or {})})
        self.missing[slot_id] = self.missing.get(slot_id, 0) + change
        for out in (-0.03, 0.05, 0.2, 0.35):
            self.window({who: (xy, self.palm_at(slot_id, out)), **(others or {})})

    def leave(self, who):
        for x in np.linspace(2.0, 0.4, 12):
            self.window({who: ((x, 0.8), None)})
        self.window({})
        self.events += self.stage.flush(who)


@pytest.fixture
def play(layout, catalogue, planogram, pictures):
    p = Play(layout, catalogue, planogram, pictures)
    p.stay({})
    p.stay({"t1": ((1.0, 0.8), None)}, 1.0)
    return p


def facts(events):
    return [(e.kind, e.slot_id, e.products[0].value, e.quantities[0].value, e.persons[0].value) for e in events]


def test_a_pick(play, planogram):
    play.reach("t1", "g1.2.5", change=1)
    play.leave("t1")
    assert facts(play.events) == [("pick", "g1.2.5", planogram.slots["g1.2.5"], "1", "t1")]
    event = play.events[0]
    assert event.kind_probability > 0.9
    assert event.products[0].probability > 0.9
    assert event.t0_ns <= event.at_ns <= event.t1_ns
    assert event.evidence
    assert event.reason == ""


def test_a_touch_makes_no_event(play):
    play.reach("t1", "g1.2.5", change=0)
    play.leave("t1")
    assert play.events == []


def test_taken_and_put_back_unseen_makes_no_event(play):
    play.reach("t1", "g1.2.5", change=1)
    play.reach("t1", "g1.2.5", change=-1)
    play.leave("t1")
    assert [e for e in play.events if e.kind == "pick"] == [] or len(play.events) == 2


def test_a_put_back_after_stepping_aside(play, planogram):
    play.reach("t1", "g1.2.5", change=1)
    play.stay({"t1": ((1.0, 0.8), None)}, 4)
    play.reach("t1", "g1.2.5", change=-1)
    play.leave("t1")
    gtin = planogram.slots["g1.2.5"]
    assert facts(play.events) == [
        ("pick", "g1.2.5", gtin, "1", "t1"), ("put_back", "g1.2.5", gtin, "1", "t1"),
    ]  # fmt: skip


def test_what_a_reach_took_it_has_not_put_back(play):
    # A camera that is late, and sees the row poorly, can tell of the opposite of what the others have told already.
    play.reach("t1", "g1.2.5", change=1)
    play.stay({"t1": ((1.0, 0.8), None)}, 4)
    assert [e.kind for e in play.events] == ["pick"]
    stage = play.stage
    (reach,) = stage._who.reaches("t1")
    another = replace(reach, reach_id="another")
    back = Verdict(0.005, 0.99, 0.005, (), (), fresh_places())
    again = replace(back, pick=0.99, put_back=0.005)
    assert stage._is_undone("g1.2.5", back, [reach])
    assert not stage._is_undone("g1.2.5", again, [reach])
    assert not stage._is_undone("g1.2.6", back, [reach])
    assert not stage._is_undone("g1.2.5", back, [reach, another])
    assert not stage._is_undone("g1.2.5", back, [])


def test_two_items_of_one_slot_by_two_reaches(play):
    play.reach("t1", "g1.2.5", change=1)
    play.reach("t1", "g1.2.5", change=1)
    play.leave("t1")
    assert sum(int(e.quantities[0].value) for e in play.events) == 2
    assert {e.kind for e in play.events} == {"pick"}


def test_each_of_two_people_pays_for_their_own(play):
    far = {"t2": ((3.4, 1.9), None)}
    play.reach("t1", "g1.2.2", change=1, others=far)
    play.reach("t2", "g1.1.9", change=1, others={"t1": ((1.9, 1.7), None)})
    play.leave("t1")
    play.leave("t2")
    assert {(e.slot_id, e.persons[0].value) for e in play.events} == {("g1.2.2", "t1"), ("g1.1.9", "t2")}


def test_same_footage_same_events(layout, catalogue, planogram, pictures):
    runs = []
    for _ in range(2):
        p = Play(layout, catalogue, planogram, pictures)
        p.stay({"t1": ((1.0, 0.8), None)})
        p.reach("t1", "g1.3.3", change=1)
        p.leave("t1")
        runs.append([e.model_dump() for e in p.events])
    assert runs[0] == runs[1] != []


def test_cameras_that_cannot_see_products_leave_it_to_a_person(layout, catalogue, planogram, pictures):
    p = Play(layout, catalogue, planogram, pictures, ShelfSettings(min_px_per_cm=50))
    p.stay({"t1": ((1.0, 0.8), None)})
    p.reach("t1", "g1.2.5", change=1)
    p.leave("t1")
    assert len(p.events) == 1
    event = p.events[0]
    assert event.reason == NO_CAMERA
    assert event.gondola_id == "g1"
    assert event.kind_probability < 0.9
    assert event.products[0].value == planogram.slots["g1.2.5"]


def test_light_that_changes_with_nobody_there_is_no_event(play):
    play.stay({}, 1.0)
    play.missing["g1.1.1"] = 1  # nobody within metres
    play.stay({"t1": ((0.5, 0.5), None)}, 4)
    play.leave("t1")
    assert play.events == []


def test_an_event_can_be_drawn_on_a_sheet(layout, catalogue, planogram, pictures, tmp_path):
    written = []
    p = Play(layout, catalogue, planogram, pictures, explain=lambda e: written.append(write_sheet(e, tmp_path)))
    p.stay({"t1": ((1.0, 0.8), None)})
    p.reach("t1", "g1.2.5", change=1)
    p.leave("t1")
    assert [f.stem for f in written] == [e.event_id for e in p.events]
    image = cv2.imread(str(written[0]))
    assert image.shape[1] == 1000
    assert image.std() > 20
