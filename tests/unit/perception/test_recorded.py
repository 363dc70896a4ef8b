# SPDX-License-Identifier: AGPL-3.0-or-later
"""Recorded boxes and projection matrices: read, checked, followed."""

import csv
import json

import numpy as np
import pytest
from typer.testing import CliRunner

from pipeline.cli import app
from pipeline.errors import RecordingError
from pipeline.perception.floor.bodies import CameraBank, outlines
from pipeline.perception.follow import follow
from pipeline.perception.recorded import load_boxes, load_room

FPS = 5.0


def write_room(folder, shop, **extra):
    cameras = {name: camera.projection.tolist() for name, camera in shop.camera_by_id.items()}
    path = folder / "cameras.json"
    path.write_text(
        json.dumps({"image_size_px": [1280, 720], "fps": FPS, "room_m": [6, 4], "projection": cameras, **extra})
    )
    return path


def write_boxes(folder, room, ways, seed=0):
    """MOT rows of people who walk `ways`, float (F, 2) each, with a little noise; NaN is nobody there."""
    bank = CameraBank.of(room.camera_by_id)
    random = np.random.default_rng(seed)
    rows = {c: [] for c in bank.ids}
    for frame in range(max(map(len, ways))):
        for way in ways:
            if frame >= len(way) or np.isnan(way[frame]).any():
                continue
            out = outlines(bank, np.array([[[*way[frame], 1.7, 0.3]]]))
            for c, name in enumerate(bank.ids):
                box = out.edges_px[:, c, 0] + random.normal(0, 3, 4)
                low, high = np.clip(box[:2], 0, (1280, 720)), np.clip(box[2:], 0, (1280, 720))
                if out.ahead[c, 0] and (high - low > 20).all():
                    rows[name].append([frame + 1, -1, *low, *(high - low), 0.95])
    for name, table in rows.items():
        np.savetxt(folder / f"{name}.det.txt", np.reshape(table, (-1, 7)), fmt="%.3f", delimiter=",")


def line(start, end, frames):
    return np.linspace(start, end, frames)


def test_a_camera_comes_back_from_its_projection(shop, tmp_path):
    room = load_room(write_room(tmp_path, shop))
    for name, camera in shop.camera_by_id.items():
        found = room.camera_by_id[name]
        assert found.position_m == pytest.approx(camera.position_m, abs=1e-6)
        assert found.matrix == pytest.approx(camera.matrix, abs=1e-6)
        assert found.rotation == pytest.approx(camera.rotation, abs=1e-9)


def test_the_region_is_where_three_cameras_see_people_whole(shop, tmp_path):
    room = load_room(write_room(tmp_path, shop))
    assert 0 < room.region.area < room.floor.area
    given = load_room(write_room(tmp_path, shop, region_m=[1, 1, 5, 3]))
    assert given.region.bounds == (1, 1, 5, 3)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{", "could not read"),
        ("[]", "'projection'"),
        ('{"projection": {"a": [[1, 2], [3, 4]]}, "image_size_px": [1, 1], "room_m": [1, 1], "fps": 4}', "3x4"),
        ('{"projection": {"a": []}, "image_size_px": [1, 1], "fps": 4}', "'room_m' is missing"),
        ('{"projection": {"a": []}, "image_size_px": [1, 1], "room_m": [1, 1]}', "frame rate"),
    ],
)
def test_a_wrong_cameras_file_says_what_is_wrong(tmp_path, text, expected):
    (tmp_path / "cameras.json").write_text(text)
    with pytest.raises(RecordingError, match=expected) as error:
        load_room(tmp_path / "cameras.json")
    assert "cameras.json" in str(error.value)


def test_missing_and_broken_boxes_are_named(tmp_path):
    with pytest.raises(RecordingError, match=r"no cam-a\.det\.txt"):
        load_boxes(tmp_path, ["cam-a"])
    (tmp_path / "cam-a.det.txt").write_text("1,-1,5,5\n")
    with pytest.raises(RecordingError, match="expected 7 columns"):
        load_boxes(tmp_path, ["cam-a"])
    (tmp_path / "cam-a.det.txt").write_text("")
    with pytest.raises(RecordingError, match="no detection"):
        load_boxes(tmp_path, ["cam-a"])


@pytest.mark.parametrize("lookahead", ["0", "0.5"])
def test_track_and_score_from_the_command_line(shop, tmp_path, lookahead):
    cameras = write_room(tmp_path, shop, region_m=[0.5, 0.5, 5.5, 3.5])
    ways = [
        np.concatenate([line((-0.2, 2.0), (3.0, 1.2), 16), line((3.0, 1.2), (4.5, 2.8), 14)]),
        np.concatenate([np.full((12, 2), np.nan), line((-0.2, 1.8), (4.0, 2.0), 18)]),
    ]
    write_boxes(tmp_path, load_room(cameras), ways)
    out = tmp_path / "tracks.csv"
    ambiguous = tmp_path / "ambiguous.csv"
    command = ["track", "--detections", str(tmp_path), "--cameras", str(cameras), "--out", str(out)]
    command += ["--ambiguous", str(ambiguous)]
    spread = [] if lookahead == "0" else ["var_x_m2", "var_y_m2", "cov_xy_m2"]
    command += ["--covariance"] if spread else []
    result = CliRunner().invoke(app, [*command, "--lookahead", lookahead], catch_exceptions=False)
    assert result.exit_code == 0 and "2 people" in result.output
    with open(out, newline="") as file:
        assert next(csv.reader(file)) == ["frame", "person", "x_m", "y_m", *spread]
    assert ambiguous.read_text() == "person,other,first_frame,last_frame,told,exchange_probability\n"
    truth = tmp_path / "truth.csv"
    with open(truth, "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("frame", "person", "x_m", "y_m"))
        for person, way in enumerate(ways):
            for k, (x, y) in enumerate(way):
                if 0.5 <= x <= 5.5:
                    writer.writerow((k + 1, person, x, y))
    result = CliRunner().invoke(app, ["score", "tracks", str(truth), str(out), "--gate", "0.5", "--json"])
    score = json.loads(result.output)
    assert score["idf1"] > (0.97 if lookahead != "0" else 0.93)
    assert score["switches"] == 0 and score["motp_m"] < 0.1
    assert bool(score["uncertainty"]) == bool(spread)
    if spread:
        assert score["uncertainty"]["pairs"] > 30 and 0.5 < score["uncertainty"]["within_95"] <= 1


def test_track_tells_who_may_have_been_exchanged_and_when(shop, tmp_path):
    """Two of one height meet in one place and part; a third stays away."""
    cameras = write_room(tmp_path, shop, region_m=[0.2, 0.2, 5.8, 3.8])
    ways = [
        np.concatenate([line((1.5, 2.0), (3.0, 2.0), 20), line((3.0, 2.0), (4.5, 2.0), 20)]),
        np.concatenate([line((4.5, 2.1), (3.0, 2.1), 20), line((3.0, 2.1), (1.5, 2.1), 20)]),
        line((1.5, 3.4), (1.6, 3.4), 40),
    ]
    write_boxes(tmp_path, load_room(cameras), ways)
    out, told = tmp_path / "tracks.csv", tmp_path / "told.csv"
    command = ["track", "--detections", str(tmp_path), "--cameras", str(cameras), "--out", str(out)]
    CliRunner().invoke(app, [*command, "--ambiguous", str(told)], catch_exceptions=False)
    with open(told, newline="") as file:
        rows = list(csv.DictReader(file))
    with open(out, newline="") as file:
        began = {row["person"]: float(row["y_m"]) for row in reversed(list(csv.DictReader(file)))}
    (alone,) = (person for person, y_m in began.items() if y_m > 3)
    assert rows and all(alone not in (row["person"], row["other"]) for row in rows)
    (row,) = (row for row in rows if row["told"] == "ambiguous")
    assert 12 < int(row["first_frame"]) <= 21 <= int(row["last_frame"]) < 30
    assert 0.15 <= float(row["exchange_probability"]) <= 0.85


def test_nobody_in_the_score_without_columns(tmp_path):
    (tmp_path / "a.csv").write_text("frame,who\n1,2\n")
    result = CliRunner().invoke(app, ["score", "tracks", str(tmp_path / "a.csv"), str(tmp_path / "a.csv")])
    assert result.exit_code != 0 and "person is missing" in str(result.exception)


def test_waiting_for_later_pictures_is_not_taken_for_knowing_better(shop, tmp_path):
    """The errors of a camera's boxes last, so half a second more of them is hardly news."""
    room = load_room(write_room(tmp_path, shop, region_m=[0.5, 0.5, 5.5, 3.5]))
    write_boxes(tmp_path, room, [line((-0.2, 2.0), (4.5, 2.0), 30)])
    boxes = load_boxes(tmp_path, sorted(room.camera_by_id))
    at_once, later = (
        {frame: tracks[0].covariance_m2 for frame, tracks in follow(room, boxes, wait_s) if tracks}
        for wait_s in (0.0, 0.5)
    )
    both = at_once.keys() & later.keys()
    assert len(both) > 20
    for frame in both:
        np.testing.assert_allclose(later[frame], at_once[frame], rtol=1e-9)
