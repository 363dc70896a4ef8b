# SPDX-License-Identifier: AGPL-3.0-or-later
"""Recording a short visit with small pictures: the format, determinism, clean failure; importing plain videos."""

import csv
import json
from pathlib import Path

import av
import numpy as np
import pytest
import yaml

from pipeline.capture.recording import Recording
from pipeline.errors import OutputError, RecordingError, ScenarioError
from sim.importer import import_videos
from sim.preview import resized
from sim.record import START_NS, record, write_store
from sim.stage import load_store

pytestmark = pytest.mark.slow
CAMERAS = ("cam1", "cam3", "cam8")


@pytest.fixture(scope="module")
def store(tmp_path_factory) -> Path:
    """The shipped store with small pictures."""
    folder = tmp_path_factory.mktemp("store")
    full = load_store("nanostore")
    write_store(folder, resized(full.layout, (320, 180)), full.catalogue, full.planogram)
    return folder


@pytest.fixture(scope="module")
def scenario(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("scenario") / "short.yaml"
    path.write_text(
        "name: short\nshoppers:\n- {id: anna, do: [tap, {pick: {gondola: g1}}, leave]}\n"
        "camera: {drop_rate: 0.05, jitter_ms: 4, offset_ms: [-15, 15]}\n"
    )
    return path


@pytest.fixture(scope="module")
def recording(store, scenario, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("recordings") / "first"
    record(scenario, 5, out, store=store, cameras=CAMERAS, progress=False)
    return out


def pictures(path: Path) -> tuple[list[int], np.ndarray]:
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        frames = list(container.decode(stream))
        stamps = [round(f.pts * f.time_base * 10**9) for f in frames]
        return stamps, np.stack([f.to_ndarray(format="bgr24") for f in frames])


def test_the_pipeline_opens_what_was_recorded(recording):
    opened = Recording.open(recording)
    assert opened.recording_id == "short-s5" and opened.start_ns == START_NS
    assert [v.camera_id for v in opened.videos] == list(CAMERAS) == list(opened.layout.camera_by_id)
    (tap,) = opened.taps
    assert tap.shopper_id == "shopper-anna"
    assert START_NS < tap.at_ns < START_NS + opened.duration_s * 1e9


def test_stamps_rise_and_keep_the_cameras_own_clocks(recording):
    opened = Recording.open(recording)
    means = []
    for video in opened.videos:
        stamps, images = pictures(video.path)
        assert len(stamps) == video.frames and images.shape[1:] == (180, 320, 3)
        assert (np.diff(stamps) > 0).all()
        assert video.frames < round(opened.duration_s * 10) - 1  # some are dropped
        off_s = (np.array(stamps) / 1e9 + 0.05) % 0.1 - 0.05
        assert np.abs(off_s).max() < 0.04 and off_s.std() > 0.001
        means.append(off_s.mean())
    assert np.ptp(means) > 0.001


def test_truth_belongs_together(recording):
    truth = recording / "truth"
    (visit,) = json.loads((truth / "receipts.json").read_text())["visits"]
    (event,) = [json.loads(line) for line in (truth / "events.jsonl").read_text().splitlines()]
    assert event["event"] == "pick" and visit["items"] == {event["gtin"]: 1}
    assert visit["entered_at_ns"] < event["t0_ns"] <= event["at_ns"] <= event["t1_ns"] < visit["left_at_ns"]
    planogram = yaml.safe_load((recording / "planogram.yaml").read_text())["slots"]
    assert planogram[event["slot_id"]] == event["gtin"] and event["slot_id"].startswith(event["gondola_id"])
    with (truth / "people.csv").open() as file:
        rows = [r for r in csv.DictReader(file) if abs(int(r["at_ns"]) - event["at_ns"]) < 6e7]
    gondola = Recording.open(recording).layout.gondola_by_id[event["gondola_id"]]
    for row in rows:
        _, out, _ = gondola.to_face(np.array([float(row["x_m"]), float(row["y_m"]), 0.0]))
        assert 0.3 < out < 0.8


def test_boxes_lie_on_what_moves(recording):
    opened = Recording.open(recording)
    boxes = np.load(recording / "truth" / "boxes.npz")
    assert list(boxes["cameras"]) == list(CAMERAS) and list(boxes["persons"]) == ["anna"]
    n = len(boxes["frame"])
    assert n > 50 and all(len(boxes[k]) == n for k in ("camera", "person", "xyxy_px", "visible", "keypoints_px"))
    assert ((boxes["visible"] >= 0) & (boxes["visible"] <= 1)).all()
    inner, outer = boxes["xyxy_px"], boxes["full_xyxy_px"]
    assert (inner[:, :2] >= outer[:, :2] - 1e-3).all() and (inner[:, 2:] <= outer[:, 2:] + 1e-3).all()
    checked = 0
    for c, video in enumerate(opened.videos):
        _, images = pictures(video.path)
        empty = np.median(images, axis=0)
        rows = (boxes["camera"] == c) & (boxes["visible"] > 0.9)
        assert boxes["frame"][boxes["camera"] == c].max(initial=0) < len(images)
        for frame, box in zip(boxes["frame"][rows], inner[rows], strict=True):
            x1, y1, x2, y2 = np.rint(box).astype(int)
            changed = np.abs(images[frame] - empty).max(-1) > 30
            if (x2 - x1) * (y2 - y1) < 800:
                continue
            inside = changed[y1 : y2 + 1, x1 : x2 + 1].mean()
            outside = (changed.sum() - changed[y1 : y2 + 1, x1 : x2 + 1].sum()) / changed.size
            assert inside > 0.15 and outside < 0.05
            checked += 1
    assert checked > 20


def test_the_same_seed_is_the_same_recording(recording, store, scenario, tmp_path):
    again = tmp_path / "again"
    record(scenario, 5, again, store=store, cameras=CAMERAS, progress=False, workers=1)
    for file in sorted(p for p in recording.rglob("*") if p.is_file() and p.suffix not in (".mp4", ".npz")):
        assert file.read_bytes() == (again / file.relative_to(recording)).read_bytes(), file.name
    first, second = (np.load(p / "truth" / "boxes.npz") for p in (recording, again))
    for name in first.files:
        np.testing.assert_array_equal(first[name], second[name])
    for camera in CAMERAS:
        (stamps, images), (stamps2, images2) = (pictures(p / "video" / f"{camera}.mp4") for p in (recording, again))
        assert stamps == stamps2
        np.testing.assert_array_equal(images, images2)


def test_a_folder_that_is_there_is_left_alone(recording, scenario):
    before = sorted(recording.rglob("*"))
    with pytest.raises(OutputError, match="there already"):
        record(scenario, 5, recording, progress=False)
    assert sorted(recording.rglob("*")) == before


def test_a_failed_recording_leaves_nothing(store, scenario, tmp_path, monkeypatch):
    def full_disk(*_args, **_more):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("sim.record.write_boxes", full_disk)
    with pytest.raises(OutputError, match="No space left"):
        record(scenario, 5, tmp_path / "out", store=store, cameras=["cam1"], progress=False)
    assert not list(tmp_path.iterdir())


def test_an_unknown_camera_or_store_is_named(scenario, tmp_path):
    with pytest.raises(ScenarioError, match="cam99"):
        record(scenario, 0, tmp_path / "out", cameras=["cam99"], progress=False)
    with pytest.raises(ScenarioError, match="nowhere"):
        record(scenario, 0, tmp_path / "out", store="nowhere", progress=False)


def test_plain_videos_become_a_recording(recording, store, tmp_path):
    videos = {c: recording / "video" / f"{c}.mp4" for c in CAMERAS[:2]}
    out = tmp_path / "imported"
    import_videos(store, videos, out, start="2026-03-01T10:00:00+01:00", taps=[(1.5, "someone")])
    opened = Recording.open(out)
    assert opened.start_ns == 1_772_355_600 * 10**9
    assert opened.taps[0].at_ns == opened.start_ns + 1_500_000_000
    for camera in videos:
        stamps, images = pictures(videos[camera])
        stamps2, images2 = pictures(out / "video" / f"{camera}.mp4")
        np.testing.assert_allclose(np.array(stamps) - stamps[0], stamps2, atol=12_000)
        np.testing.assert_array_equal(images, images2)


def test_stamps_that_are_not_to_be_trusted_are_made_anew(recording, store, tmp_path):
    out = tmp_path / "imported"
    import_videos(store, {"cam1": recording / "video" / "cam1.mp4"}, out, fps=12.5)
    stamps, _ = pictures(out / "video" / "cam1.mp4")
    np.testing.assert_allclose(np.diff(stamps), 80_000_000, atol=12_000)


def test_videos_that_do_not_fit_are_named(recording, store, tmp_path):
    video = recording / "video" / "cam1.mp4"
    with pytest.raises(RecordingError, match=r"cam1.*320x180.*1280x720"):
        import_videos("nanostore", {"cam1": video}, tmp_path / "a")
    cut = tmp_path / "cut.mp4"
    cut.write_bytes(video.read_bytes()[: video.stat().st_size // 2])
    with pytest.raises(RecordingError, match="cam3"):
        import_videos(store, {"cam3": cut}, tmp_path / "b")
    with pytest.raises(RecordingError, match=r"cam3.*no such"):
        import_videos(store, {"cam3": tmp_path / "none.mp4"}, tmp_path / "c")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["cut.mp4"]
