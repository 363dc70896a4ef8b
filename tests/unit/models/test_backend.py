# SPDX-License-Identifier: AGPL-3.0-or-later
import gc
import weakref
from pathlib import Path

import numpy as np
import openvino as ov
import pytest
import yaml
from openvino import opset13 as ops

from models.backend import PoseNetwork, ProductNetwork, _decode, letterbox
from pipeline.errors import WeightsError

PUBLIC = Path(__file__).parents[4] / "shared" / "weights"


def constant_network(folder: Path, output: np.ndarray, task: str, names: list[str]) -> Path:
    """An OpenVINO export that answers every 64x96 picture with `output` (rows, anchors), scaled by its own mean.

    Multiplying by the picture's mean, which is 1 for white pictures, keeps the input connected.
    """
    image = ops.parameter([1, 3, 64, 96], np.float32, name="images")
    mean = ops.reduce_mean(image, ops.constant(np.array([1, 2, 3])), keep_dims=False)
    scaled = ops.multiply(ops.constant(output[None].astype(np.float32)), ops.reshape(mean, [1, 1, 1], False))
    folder.mkdir()
    ov.save_model(ov.Model([scaled], [image], "constant"), folder / "net.xml", compress_to_fp16=False)
    data = {"task": task, "imgsz": [64, 96], "batch": 1, "names": dict(enumerate(names)), "kpt_shape": [17, 3]}
    (folder / "metadata.yaml").write_text(yaml.safe_dump(data))
    return folder


def width_network(folder: Path) -> Path:
    """An export for pictures 64 high and of any width: one person half as wide as the input, in its middle."""
    image = ops.parameter(ov.PartialShape([1, 3, 64, -1]), np.float32, name="images")
    width = ops.convert(ops.gather(ops.shape_of(image), ops.constant([3]), ops.constant(0)), "f32")
    unit = np.zeros((1, 56, 1), np.float32)
    unit[0, [0, 2], 0] = 0.5, 0.5
    rest = np.zeros((1, 56, 1), np.float32)
    rest[0, [1, 3, 4], 0] = 32, 64, 0.9
    keep = ops.multiply(ops.reduce_mean(image, ops.constant(np.array([0, 1, 2, 3])), keep_dims=False), np.float32(0))
    out = ops.add(ops.add(ops.multiply(ops.constant(unit), width), ops.constant(rest)), keep)
    folder.mkdir()
    ov.save_model(ov.Model([out], [image], "width"), folder / "net.xml", compress_to_fp16=False)
    data = {"task": "pose", "imgsz": [64, 256], "batch": 1, "names": {0: "person"}, "kpt_shape": [17, 3]}
    (folder / "metadata.yaml").write_text(yaml.safe_dump(data | {"args": {"dynamic": True}}))
    return folder


def pose_column(x, y, w, h, score) -> np.ndarray:
    keypoints = np.column_stack([np.full(17, x), np.full(17, y), np.full(17, 0.9)]).ravel()
    return np.concatenate([[x, y, w, h, score], keypoints])


@pytest.fixture
def pose(tmp_path) -> PoseNetwork:
    columns = [pose_column(48, 32, 20, 40, 0.9), pose_column(49, 32, 20, 40, 0.6), pose_column(10, 10, 8, 8, 0.05)]
    return PoseNetwork(constant_network(tmp_path / "pose_openvino_model", np.stack(columns, 1), "pose", ["person"]))


def white(height: int, width: int) -> np.ndarray:
    return np.full((height, width, 3), 255, np.uint8)


def test_boxes_and_key_points_come_back_in_the_pictures_own_pixels(pose):
    native, double = pose.infer([white(64, 96), white(128, 192)])
    # The weaker twin is suppressed, the unlikely one is below the least score.
    assert native.xyxy_px == pytest.approx(np.array([[38, 12, 58, 52]]), abs=0.5)
    assert double.xyxy_px == pytest.approx(np.array([[76, 24, 116, 104]]), abs=1)
    assert double.keypoints_px[0, 9, :2] == pytest.approx([96, 64], abs=1)
    assert native.score == pytest.approx([0.9], abs=0.01)


def test_boxes_are_clipped_to_the_picture(tmp_path):
    columns = np.stack([pose_column(0, 0, 50, 50, 0.9)], 1)
    network = PoseNetwork(constant_network(tmp_path / "p_openvino_model", columns, "pose", ["person"]))
    (found,) = network.infer([white(64, 96)])
    assert found.xyxy_px == pytest.approx(np.array([[0, 0, 25, 25]]), abs=0.5)


def test_no_pictures_and_nobody_are_empty(pose, tmp_path):
    assert pose.infer([]) == []
    nobody = np.stack([pose_column(48, 32, 20, 40, 0.0)], 1)
    network = PoseNetwork(constant_network(tmp_path / "n_openvino_model", nobody, "pose", ["person"]))
    (found,) = network.infer([white(64, 96)])
    assert len(found) == 0
    assert found.keypoints_px.shape == (0, 17, 3)


def test_products_keep_the_scores_of_all_classes(tmp_path):
    column = np.array([[48, 32, 20, 40, 0.2, 0.7, 0.1]]).T
    folder = constant_network(tmp_path / "d_openvino_model", column, "detect", ["a", "b", "c"])
    network = ProductNetwork(folder)
    (found,) = network.infer([white(64, 96)])
    boxes, score, index = found
    assert network.names[index[0]] == "b"
    assert score == pytest.approx([0.7], abs=0.01)
    assert found.class_scores[0] == pytest.approx([0.2, 0.7, 0.1], abs=0.01)
    assert boxes.shape == (1, 4)


def test_end_to_end_heads_are_understood():
    rows = np.zeros((300, 6), np.float32)
    rows[0] = [1, 2, 3, 4, 0.8, 2]
    decoded = _decode(rows, 3, 0, 0.25, 0.5)
    assert decoded.shape == (1, 7)
    assert decoded[0] == pytest.approx([1, 2, 3, 4, 0, 0, 0.8])


def test_letterbox_keeps_the_aspect_and_centres():
    out, scale, left, top = letterbox(white(360, 640), (256, 448))
    assert out.shape == (256, 448, 3)
    assert (scale, left, top) == (0.7, 0.0, 2.0)
    assert (out[0, 0] == 114).all()
    assert (out[128] == 255).all()


def test_weights_for_the_other_network_are_refused(pose):
    with pytest.raises(WeightsError, match="expected weights for task 'detect'"):
        ProductNetwork(pose.weights.path)


def test_a_broken_network_is_refused_in_one_line(tmp_path):
    folder = constant_network(tmp_path / "b_openvino_model", np.zeros((56, 1)), "pose", ["person"])
    (folder / "net.xml").write_text("<net>")
    with pytest.raises(WeightsError, match="OpenVINO cannot load it") as error:
        PoseNetwork(folder)
    assert "\n" not in str(error.value)


@pytest.mark.skipif(not PUBLIC.exists(), reason="public weights are not beside the repository")
def test_public_weights_find_the_shopper_in_a_real_still():
    import cv2

    still = cv2.imread(str(PUBLIC.parent / "real" / "nanostore" / "still-cam1.jpg"))
    (found,) = PoseNetwork(PUBLIC / "yolov8n-pose_int8_openvino_model").infer([still])
    assert found.score.max() > 0.8


def test_an_export_for_any_width_is_given_narrow_pictures_narrow(tmp_path):
    network = PoseNetwork(width_network(tmp_path / "w_openvino_model"))
    assert network.parts == (0.375, 0.5, 0.75)
    pictures = [white(64, 256), white(128, 192), white(128, 150), white(128, 200), white(64, 400)]
    found = [people.xyxy_px[0] for people in network.infer(pictures)]
    # Inputs 256, 96, 96, 128 and 256 wide: half of that in the middle, in the pictures' own pixels.
    expected = [(64, 192), (48, 144), (27, 123), (36, 164), (100, 300)]
    assert np.array(found)[:, [0, 2]] == pytest.approx(np.array(expected), abs=2)


def test_the_shipped_person_network_takes_parts():
    network = PoseNetwork()
    assert network.parts == (0.375, 0.5, 0.75) and network.weights.imgsz_hw == (288, 512)
    picture = np.random.default_rng(1).integers(60, 160, (360, 640, 3)).astype(np.uint8)
    scales = [scale for _, scale, _, _ in network._predict([picture, picture[:, 160:480], picture[:, :240]])]
    assert scales == [0.8, 0.8, 0.8]


def test_a_network_that_nobody_needs_any_more_is_gone(pose):
    engine = weakref.ref(pose._engine)
    pose.infer([white(64, 96)])
    del pose._engine
    gc.collect()
    assert engine() is None
