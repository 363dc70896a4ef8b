# SPDX-License-Identifier: AGPL-3.0-or-later
from pathlib import Path

import pytest
import yaml

from models.registry import resolve
from pipeline.errors import WeightsError

PUBLIC = Path(__file__).parents[4] / "shared" / "weights"


def openvino_folder(folder: Path, **changes) -> Path:
    folder.mkdir()
    (folder / "net.xml").write_text("<net/>")
    (folder / "net.bin").write_bytes(b"")
    data = {"task": "pose", "imgsz": [256, 448], "batch": 1, "names": {0: "person"}, "kpt_shape": [17, 3]}
    (folder / "metadata.yaml").write_text(yaml.safe_dump({**data, **changes}))
    return folder


def test_reads_what_an_export_says_about_itself(tmp_path):
    weights = resolve(openvino_folder(tmp_path / "x_openvino_model"), "pose")
    assert (weights.format, weights.imgsz_hw, weights.names) == ("openvino", (256, 448), ("person",))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"task": "detect"}, "expected weights for task 'pose'"),
        ({"kpt_shape": [4, 3]}, "key points of shape (17, 3)"),
        ({"names": None}, "metadata"),
        ({"imgsz": "big"}, "metadata"),
    ],
)
def test_weights_for_something_else_are_refused_in_one_line(tmp_path, changes, words):
    with pytest.raises(WeightsError) as error:
        resolve(openvino_folder(tmp_path / "x_openvino_model", **changes), "pose")
    assert words in str(error.value)
    assert "\n" not in str(error.value)


def test_missing_files_are_named(tmp_path):
    with pytest.raises(WeightsError, match=r"nowhere\.pt: no such file"):
        resolve(tmp_path / "nowhere.pt", "pose")


@pytest.mark.parametrize("suffix", [".pt", ".onnx", ".engine", ".txt"])
def test_rubbish_is_refused_in_one_line(tmp_path, suffix):
    file = tmp_path / f"rubbish{suffix}"
    file.write_bytes(b"\x08\x00\x00\x00 this is no network")
    with pytest.raises(WeightsError) as error:
        resolve(file, "pose")
    assert str(file) in str(error.value)
    assert "\n" not in str(error.value)


def test_a_folder_without_a_network_is_refused(tmp_path):
    with pytest.raises(WeightsError, match=r"one \.xml"):
        resolve(tmp_path, "pose")


def test_a_folder_without_metadata_is_refused(tmp_path):
    folder = openvino_folder(tmp_path / "x_openvino_model")
    (folder / "metadata.yaml").unlink()
    with pytest.raises(WeightsError, match=r"metadata\.yaml: missing"):
        resolve(folder, "pose")


@pytest.mark.skipif(not PUBLIC.exists(), reason="public weights are not beside the repository")
def test_public_weights_have_their_task():
    assert resolve(PUBLIC / "yolov8n-pose_int8_openvino_model", "pose").imgsz_hw == (640, 640)
    with pytest.raises(WeightsError, match="expected weights for task 'pose'"):
        resolve(PUBLIC / "yolov8n_int8_openvino_model", "pose")
