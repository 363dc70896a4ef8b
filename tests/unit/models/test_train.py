# SPDX-License-Identifier: AGPL-3.0-or-later
"""Training a few steps on pictures of coloured squares: slow, but it is what a user runs for hours."""

from pathlib import Path

import cv2
import numpy as np
import pytest
import yaml

from models.backend import ProductNetwork
from models.export import export, publish
from models.registry import resolve
from models.train import train
from pipeline.errors import WeightsError

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def squares(tmp_path_factory) -> Path:
    """A data set of red and blue squares."""
    folder = tmp_path_factory.mktemp("squares")
    rng = np.random.default_rng(0)
    for split, count in (("train", 16), ("val", 4)):
        for kind in ("images", "labels"):
            (folder / kind / split).mkdir(parents=True)
        for k in range(count):
            image = rng.integers(90, 130, (64, 64, 3)).astype(np.uint8)
            which, (x, y) = k % 2, rng.integers(4, 40, 2)
            image[y : y + 20, x : x + 20] = (0, 0, 220) if which == 0 else (220, 0, 0)
            cv2.imwrite(str(folder / "images" / split / f"{k}.jpg"), image)
            centre = (np.array([x, y]) + 10) / 64
            (folder / "labels" / split / f"{k}.txt").write_text(f"{which} {centre[0]} {centre[1]} 0.3125 0.3125\n")
    data = {"path": str(folder), "train": "images/train", "val": "images/val", "names": {0: "red", 1: "blue"}}
    (folder / "data.yaml").write_text(yaml.safe_dump(data))
    return folder / "data.yaml"


class Interrupted(Exception):
    pass


def test_an_interrupted_training_goes_on_and_its_weights_can_be_shipped(squares, tmp_path):
    done: list[int] = []

    def stop_after_one(epoch: int, total: int, figures: dict[str, float]) -> None:
        done.append(epoch)
        if epoch == 1:
            raise Interrupted

    run = tmp_path / "run"
    settings = {"imgsz": 64, "batch": 8, "threads": 1, "workers": 0}
    with pytest.raises(Interrupted):
        train("detect", squares, run, 2, progress=stop_after_one, **settings)
    best = train("detect", squares, run, 2, resume=True, progress=stop_after_one, **settings)
    assert done == [1, 2]

    with pytest.raises(WeightsError, match="expected weights for task 'pose'"):
        resolve(best, "pose")
    folder = export(best, "detect", tmp_path / "exported", imgsz_hw=(64, 64))
    assert ProductNetwork(folder).names == ("red", "blue")

    publish(best, "detect", "walkout-test", (64, 64), tmp_path / "weights")
    shipped = resolve(tmp_path / "weights" / "walkout-test.pt", "detect")
    assert shipped.imgsz_hw == (64, 64)
    for file in (tmp_path / "weights").rglob("*"):
        if file.is_file():  # nothing of the machine it was trained on
            assert str(tmp_path).encode() not in file.read_bytes()
    picture = np.full((64, 64, 3), 110, np.uint8)
    one = ProductNetwork(tmp_path / "weights" / "walkout-test.pt", min_score=0.0).infer([picture])[0]
    other = ProductNetwork(tmp_path / "weights" / "walkout-test_openvino_model", min_score=0.0).infer([picture])[0]
    assert one.score.max() == pytest.approx(other.score.max(), abs=0.05)


def test_there_must_be_something_to_resume(squares, tmp_path):
    with pytest.raises(WeightsError, match="nothing to resume"):
        train("detect", squares, tmp_path / "never", 2, resume=True)
