# SPDX-License-Identifier: AGPL-3.0-or-later
"""A recording opens, or says in one line what is wrong with it."""

import json

import pytest

from pipeline.capture.recording import Recording
from pipeline.errors import RecordingError

TWO_FRAMES = {"cam1": [0, 0.1], "cam2": [0, 0.1]}


def change(root, **fields):
    manifest = json.loads((root / "manifest.json").read_text())
    for key, value in fields.items():
        if value is None:
            del manifest[key]
        else:
            manifest[key] = value
    (root / "manifest.json").write_text(json.dumps(manifest))


def test_everything_that_the_pipeline_may_know(make_recording):
    recording = Recording.open(make_recording(TWO_FRAMES))
    assert recording.recording_id == "tiny-s0"
    assert [v.camera_id for v in recording.videos] == ["cam1", "cam2"]
    assert recording.layout.store_id == "tiny"
    assert recording.catalogue.gtins == ("96385074",)
    assert recording.planogram.slots == {"g1-s1-1": "96385074"}
    assert [(tap.gate_id, tap.shopper_id) for tap in recording.taps] == [("gate", "ann")]


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"schema_version": 2}, r"schema_version 2 is newer than 1"),
        ({"start_ns": None}, r"start_ns is missing"),
        ({"start_ns": "now"}, r"start_ns has the wrong type, str"),
        ({"cameras": []}, r"no camera was recorded"),
        ({"duration_s": 0}, r"the recording is empty"),
        ({"cameras": [{"id": "cam1", "file": "video/cam1.mp4", "frames": 0}]}, r"the recording is empty"),
        ({"cameras": [{"id": "cam9", "file": "video/cam1.mp4", "frames": 2}]}, r"'cam9' is not in layout.yaml"),
        ({"cameras": [{"id": "cam1", "file": "video/gone.mp4"}]}, r"camera cam1: video video/gone.mp4 is missing"),
    ],
)
def test_a_wrong_manifest_is_named(make_recording, fields, says):
    root = make_recording(TWO_FRAMES)
    change(root, **fields)
    with pytest.raises(RecordingError, match=says) as error:
        Recording.open(root)
    assert "\n" not in str(error.value)


def test_a_folder_without_a_manifest_is_no_recording(tmp_path):
    for path in (tmp_path, tmp_path / "missing"):
        with pytest.raises(RecordingError, match=r"not a recording, there is no manifest\.json"):
            Recording.open(path)


def test_a_video_without_bytes_is_named(make_recording):
    root = make_recording(TWO_FRAMES)
    (root / "video" / "cam2.mp4").write_bytes(b"")
    with pytest.raises(RecordingError, match=r"camera cam2: video video/cam2\.mp4 is empty"):
        Recording.open(root)


def test_a_tap_that_is_none_is_named_with_its_line(make_recording):
    root = make_recording(TWO_FRAMES)
    with (root / "gate.jsonl").open("a") as file:
        file.write('{"at_ns": 1, "gate_id": "elsewhere", "shopper_id": "bob"}\n')
    with pytest.raises(RecordingError, match=r"gate\.jsonl:2: gate 'elsewhere' is not in the layout"):
        _ = Recording.open(root).taps


def test_the_truth_is_not_looked_at(make_recording):
    root = make_recording(TWO_FRAMES)
    (root / "truth").write_text("a file where the scorer expects a folder")
    recording = Recording.open(root)
    assert recording.taps and recording.planogram
