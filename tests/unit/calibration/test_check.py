# SPDX-License-Identifier: AGPL-3.0-or-later
from pathlib import Path

import numpy as np
import pytest

from calibration.check import check_layout, px_per_cm, require_sound, sees
from calibration.layout import StoreLayout, load_layout
from pipeline.errors import LayoutError

STORE = Path(__file__).parents[3] / "sim" / "stores" / "nanostore"


@pytest.fixture(scope="module")
def shipped() -> StoreLayout:
    return load_layout(STORE / "layout.yaml")


@pytest.fixture(scope="module")
def report(shipped):
    return check_layout(shipped)


def changed(layout: StoreLayout, change) -> StoreLayout:
    data = layout.model_dump()
    change(data)
    return StoreLayout.model_validate(data)


def small_shop(**camera) -> StoreLayout:
    """One face along x at y = 3 that looks along -y, one camera straight in front of it."""
    spec = {
        "id": "front",
        "focal_px": (1000, 1000),
        "position_m": (0.5, 1.0, 1.0),
        "look_at_m": (0.5, 3.0, 1.0),
    } | camera
    shelf = {"id": "s1", "height_m": 0.9, "depth_m": 0.3, "clearance_m": 0.2, "slots": []}
    return StoreLayout.model_validate(
        {
            "store_id": "small", "floor_m": [(0, 0), (1, 0), (1, 3.4), (0, 3.4)], "cameras": [spec],
            "gondolas": [{"id": "g", "origin_m": (0, 3), "facing_deg": -90, "width_m": 1, "height_m": 2, "depth_m": 0.4,
                          "shelves": [shelf]}],
            "gates": [{"id": "d", "line_m": [(0, 0.2), (1, 0.2)], "inward": (0, 1), "tap_m": (0.5, 0.1)}],
        }
    )  # fmt: skip


def test_the_shipped_store_is_sound_and_sharp_enough(report):
    assert report.errors == ()
    assert report.warnings == ()
    assert len(report.faces) == 27
    for face in report.faces:
        assert face.best_px_per_cm >= 3, face
        assert face.second_px_per_cm >= 2, face


def test_the_shipped_store_sees_its_floor_and_whole_people(report):
    assert report.floor.seen_share(1) == 1
    assert report.floor.seen_share(2) > 0.97
    assert report.floor.whole_cameras.min() >= 1


def test_resolution_of_a_face_seen_head_on_is_focal_length_over_distance():
    layout = small_shop()
    camera, gondola = layout.camera_by_id["front"], layout.gondolas[0]
    mean, least = px_per_cm(gondola, camera, np.array([0.5, 3.0, 1.0]))
    assert mean == pytest.approx(1000 / 2.0 / 100, rel=1e-6)
    assert least == pytest.approx(mean, rel=1e-3)


def test_an_oblique_face_loses_resolution_in_one_direction_only():
    layout = small_shop(position_m=(0.5 + 2 * np.sin(1), 3 - 2 * np.cos(1), 1.0), look_at_m=(0.5, 3, 1))
    mean, least = px_per_cm(layout.gondolas[0], layout.camera_by_id["front"], np.array([0.5, 3.0, 1.0]))
    assert least == pytest.approx(5 * np.cos(1), rel=1e-3)
    assert mean == pytest.approx(5 * np.sqrt(np.cos(1)), rel=1e-3)


def test_a_face_is_not_seen_from_behind_or_through_another_gondola():
    layout = small_shop()
    point = np.array([0.5, 2.99, 1.0])
    assert sees(layout, layout.camera_by_id["front"], point)
    data = layout.model_dump()
    data["gondolas"] += ({**data["gondolas"][0], "id": "between", "origin_m": (0, 2.0)},)
    blocked = StoreLayout.model_validate(data)
    assert not sees(blocked, blocked.camera_by_id["front"], point)
    assert check_layout(blocked).faces[0].views == ()
    assert check_layout(blocked).faces[1].views != ()
    behind = small_shop(position_m=(0.5, 3.35, 2.4), look_at_m=(0.5, 2.0, 0.0))
    assert check_layout(behind).faces[0].best_px_per_cm == 0


def test_one_camera_is_never_its_own_second(shipped):
    face = check_layout(small_shop(focal_px=(500, 500))).faces[0]
    assert face.best_px_per_cm > 2 and face.second_px_per_cm == 0
    assert any("px/cm" in w for w in check_layout(small_shop()).warnings)


def test_a_camera_that_sees_no_floor_is_named(shipped):
    def look_up(data):
        data["cameras"][4]["look_at_m"] = (2.0, 1.0, 9.0)

    layout = changed(shipped, look_up)
    assert [e for e in check_layout(layout).errors if "cam5" in e and "sees no floor" in e]
    with pytest.raises(LayoutError, match=r"here\.yaml: camera cam5 sees no floor"):
        require_sound(layout, "here.yaml")


def test_gondolas_that_overlap_or_stand_outside_are_named(shipped):
    def shift(data):
        data["gondolas"][0]["origin_m"] = (1.2, 2.4)
        data["gondolas"][4]["origin_m"] = (5.9, 1.5)

    report = check_layout(changed(shipped, shift))
    assert [e for e in report.errors if "g1 and g2 overlap" in e]
    assert [w for w in report.warnings if "outside floor_m" in w and "g5" in w]


def test_a_face_that_nobody_can_stand_before_is_named(shipped):
    layout = changed(shipped, lambda d: d["gondolas"][4].update(facing_deg=0, origin_m=(5.5, 0.5)))
    assert [e for e in check_layout(layout).errors if "gondola g5: the place in front" in e]


def test_slots_that_overlap_are_named(shipped):
    def widen(data):
        slot = data["gondolas"][1]["shelves"][2]["slots"][3]
        slot["end_m"] += 0.05

    assert any(
        "slots g2.3.4 and g2.3.5 on shelf g2.3 overlap by 0.050 m" in e
        for e in check_layout(changed(shipped, widen)).errors
    )


def test_a_slot_beyond_its_gondola_is_refused_by_the_loader(shipped):
    with pytest.raises(ValueError, match=r"slot g1\.1\.9: end_m 1\.4 is beyond the width"):
        changed(shipped, lambda d: d["gondolas"][0]["shelves"][0]["slots"][-1].update(end_m=1.4))
