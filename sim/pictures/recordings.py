# SPDX-License-Identifier: AGPL-3.0-or-later
"""Labelled pictures out of recordings, to measure networks on scenarios they never saw."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

import av
import cv2
import numpy as np
import yaml

from pipeline.errors import OutputError, RecordingError
from sim.pictures.labels import FLIP, PersonLabel, pose_line


def people_of_recordings(
    recordings: Iterable[Path], out: Path, every: int = 10, least_visible: float = 0.1, width_px: int = 640
) -> Path:
    """Write every `every`-th picture of every camera with the people in it; returns `data.yaml` with a `val` split.

    People of whom less than `least_visible` is seen are not labelled. Pictures are shrunk to `width_px`.
    """
    images, labels = out / "images" / "val", out / "labels" / "val"
    try:
        images.mkdir(parents=True, exist_ok=True)
        labels.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{out}: cannot write the data set: {error.strerror}") from None
    for recording in recordings:
        truth_file = recording / "truth" / "boxes.npz"
        if not truth_file.exists():
            raise RecordingError(f"{truth_file}: no such file; this needs a recording with truth")
        with np.load(truth_file, allow_pickle=False) as file:
            truth = dict(file)
        files = {c["id"]: c["file"] for c in json.loads((recording / "manifest.json").read_text())["cameras"]}
        for index, camera in enumerate(truth["cameras"]):
            mine = (truth["camera"] == index) & (truth["visible"] >= least_visible)
            with av.open(str(recording / files[str(camera)])) as container:
                for number, frame in enumerate(container.decode(video=0)):
                    if number % every:
                        continue
                    image = frame.to_ndarray(format="bgr24")
                    size = (image.shape[1], image.shape[0])
                    rows = np.flatnonzero(mine & (truth["frame"] == number))
                    lines = [pose_line(_label(truth, row), size) for row in rows]
                    name = f"{recording.name}-{camera}-{number:05d}"
                    small = cv2.resize(
                        image, (width_px, round(width_px * size[1] / size[0])), None, 0, 0, cv2.INTER_AREA
                    )
                    cv2.imwrite(str(images / f"{name}.jpg"), small, [cv2.IMWRITE_JPEG_QUALITY, 95])
                    (labels / f"{name}.txt").write_text("".join(line + "\n" for line in lines))
    data = {
        "path": str(out.resolve()), "train": "images/val", "val": "images/val",
        "kpt_shape": [17, 3], "flip_idx": FLIP, "names": {0: "person"},
    }  # fmt: skip
    (out / "data.yaml").write_text(yaml.safe_dump(data, sort_keys=False), encoding="utf-8")
    return out / "data.yaml"


def _label(truth: dict[str, np.ndarray], row: int) -> PersonLabel:
    flags = truth["keypoints_visible"][row].astype(int)
    points = np.where(flags[:, None] > 0, truth["keypoints_px"][row], 0.0)
    return PersonLabel(truth["xyxy_px"][row], points, flags)
