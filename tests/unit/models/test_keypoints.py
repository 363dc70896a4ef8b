# SPDX-License-Identifier: AGPL-3.0-or-later
"""The second look: geometry of the pieces, what maps mean, and a network that learns where coloured dots are."""

from pathlib import Path

import cv2
import numpy as np
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from models.keypoints.crop import CELLS, SIDE_PX, cut, keypoints_of, square_of, warp_to
from models.keypoints.refiner import KeypointRefiner, export_keypoints, piece_of
from pipeline.errors import WeightsError
from pipeline.messages import Detections, Frame, FrameSet
from pipeline.perception.detector import PersonDetector


@given(
    st.floats(0, 1280), st.floats(0, 720), st.floats(8, 600), st.floats(8, 600), st.floats(-0.4, 0.4),
    st.floats(-0.4, 0.4),
)  # fmt: skip
@settings(max_examples=60, deadline=None)
def test_a_key_point_comes_back_to_where_it_was(x, y, w, h, right, down):
    (square,) = square_of(np.array([[x, y, x + w, y + h]]))
    truth = square[:2] + square[2] * np.array([right, down])
    piece = warp_to(square)[:, :2] @ truth + warp_to(square)[:, 2]
    cell = (piece + 0.5) / (SIDE_PX / CELLS) - 0.5
    grid = np.arange(CELLS)
    maps = -((grid[None, :] - cell[0]) ** 2 + (grid[:, None] - cell[1]) ** 2) / 2
    (points,) = keypoints_of(maps[None, None], np.array([[9.0]]), square[None])
    assert np.abs(points[0, :2] - truth).max() < 0.02 * square[2]
    assert points[0, 2] > 0.9


def test_a_flat_map_or_an_unseen_point_is_not_trusted():
    square = np.array([[100.0, 100.0, 50.0]])
    flat = keypoints_of(np.zeros((1, 1, CELLS, CELLS)), np.array([[9.0]]), square)
    peaked = np.zeros((1, 1, CELLS, CELLS))
    peaked[..., 16, 16] = 50
    hidden = keypoints_of(peaked, np.array([[-9.0]]), square)
    assert flat[0, 0, 2] < 0.1 and hidden[0, 0, 2] < 0.1


def test_a_piece_of_video_is_the_piece_of_its_picture():
    rng = np.random.default_rng(0)
    image = cv2.resize(rng.integers(0, 255, (36, 64, 3), np.uint8), (640, 360), interpolation=cv2.INTER_CUBIC)
    planar = Frame("cam1", 1, cv2.cvtColor(image, cv2.COLOR_BGR2YUV_I420))
    for square in (np.array([320.0, 180.0, 220.0]), np.array([10.0, 350.0, 150.0]), np.array([630.3, 20.7, 90.0])):
        ours, whole = piece_of(planar, square), cut(Frame("cam1", 1, planar.pixels).image, square)
        assert np.abs(ours.astype(int) - whole).mean() < 4
    assert (piece_of(planar, np.array([-900.0, -900.0, 50.0])) == 114).all()


@pytest.fixture(scope="module")
def dots(tmp_path_factory) -> Path:
    """'People' of 17 coloured dots on grey; each dot has its colour, and its place is drawn by lot."""
    folder = tmp_path_factory.mktemp("dots")
    rng = np.random.default_rng(0)
    hues = [cv2.cvtColor(np.uint8([[[10 * k, 255, 255]]]), cv2.COLOR_HSV2BGR)[0, 0].tolist() for k in range(17)]
    for split, count in (("train", 64), ("val", 8)):
        for kind in ("images", "labels"):
            (folder / kind / split).mkdir(parents=True)
        for k in range(count):
            image = np.full((160, 160, 3), 100, np.uint8)
            points = rng.uniform(25, 135, (17, 2))
            for hue, (x, y) in zip(hues, points, strict=True):
                cv2.circle(image, (round(x), round(y)), 7, hue, -1)
            cv2.imwrite(str(folder / "images" / split / f"{k}.png.jpg"), image)
            values = " ".join(f"{x / 160:.4f} {y / 160:.4f} 2" for x, y in points)
            (folder / "labels" / split / f"{k}.png.txt").write_text(f"0 0.5 0.5 0.8 0.8 {values}\n")
    data = {"path": str(folder), "train": "images/train", "val": "images/val", "flip_idx": list(range(17))}
    (folder / "data.yaml").write_text(yaml.safe_dump(data))
    return folder / "data.yaml"


@pytest.mark.slow
def test_it_learns_runs_from_both_files_alike_and_makes_detections_better(dots, tmp_path):
    from models.keypoints.train import train_keypoints

    figures = []
    file = train_keypoints([dots], tmp_path, 12, batch=16, threads=1, progress=lambda *f: figures.append(f[2]))
    assert figures[-1]["loss"] < figures[0]["loss"] - 0.3
    torch_one, openvino_one = KeypointRefiner(file), KeypointRefiner(export_keypoints(file, tmp_path / "exported"))
    picture = cv2.imread(str(dots.parent / "images" / "val" / "0.png.jpg"))
    rough = Detections(
        np.float32([[16, 16, 144, 144], [16, 16, 144, 144]]), np.float32([0.9, 0.1]), np.zeros((2, 17, 3), np.float32)
    )
    (one,), (other,) = (r.refine([(Frame("cam1", 1, picture), rough)]) for r in (torch_one, openvino_one))
    assert np.abs(one.keypoints_px[0, :, :2] - other.keypoints_px[0, :, :2]).max() < 8
    assert (one.keypoints_px[1] == 0).all()  # too weak to be worth a look
    assert one.keypoints_px[0, :, 2].max() > 0

    class Finds:
        def infer(self, images):
            return [rough for _ in images]

    frames = FrameSet(0, 1, 100_000_000, {"cam1": Frame("cam1", 1, picture)})
    found = PersonDetector(Finds(), gated=False, refiner=openvino_one).update(frames)["cam1"]
    assert np.allclose(found.keypoints_px, other.keypoints_px)


def test_wrong_weights_are_named(tmp_path):
    with pytest.raises(WeightsError, match=r"nothing.pt: no such key point weights"):
        KeypointRefiner(tmp_path / "nothing.pt")
    (tmp_path / "bad.pt").write_bytes(b"not weights")
    with pytest.raises(WeightsError, match=r"bad.pt: not key point weights, or damaged"):
        KeypointRefiner(tmp_path / "bad.pt")
    (tmp_path / "empty").mkdir()
    with pytest.raises(WeightsError, match=r"expected an OpenVINO folder with one \.xml, got 0"):
        KeypointRefiner(tmp_path / "empty")
