# SPDX-License-Identifier: AGPL-3.0-or-later
"""A labelled data set out of recordings with truth: how good is a person network on scenarios it never saw?"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import av
import cv2
import numpy as np
import yaml

from pipeline.errors import OutputError, RecordingError
from sim.pictures.labels import FLIP, PersonLabel, pose_line

LEAST_VISIBLE = 0.15
"""People of whom less is to be seen are not labelled; an annotator would not draw a box round an elbow."""


def recorded_dataset(
    recordings: Sequence[Path],
    out: Path,
    every: int = 5,
    progress: Callable[[int], None] | None = None,
) -> Path:
    """Write every `every`-th picture of every camera with its people as a data set and return its `data.yaml`.

    All of it is the validation split: it is for measuring, not for training. `progress` is called with the number of
    recordings that are done.
    """
    images, labels = out / "images" / "val", out / "labels" / "val"
    description = {"path": str(out.resolve()), "train": "images/val", "val": "images/val", "kpt_shape": [17, 3]}
    description |= {"flip_idx": FLIP, "names": {0: "person"}}
    try:
        for folder in (images, labels):
            folder.mkdir(parents=True, exist_ok=True)
        (out / "data.yaml").write_text(yaml.safe_dump(description, sort_keys=False), encoding="utf-8")
        for done, recording in enumerate(recordings, start=1):
            _write(recording, images, labels, every)
            if progress is not None:
                progress(done)
    except OSError as error:
        raise OutputError(f"{out}: cannot write the data set: {error.strerror}") from None
    return out / "data.yaml"


def _write(recording: Path, images: Path, labels: Path, every: int) -> None:
    truth_file = recording / "truth" / "boxes.npz"
    if not truth_file.exists():
        raise RecordingError(f"{truth_file}: no such file; a data set is made of recordings with truth")
    with np.load(truth_file, allow_pickle=False) as file:
        truth = dict(file)
    manifest = json.loads((recording / "manifest.json").read_text(encoding="utf-8"))
    index_of = {str(camera): i for i, camera in enumerate(truth["cameras"])}
    for camera in manifest["cameras"]:
        mine = (truth["camera"] == index_of[camera["id"]]) & (truth["visible"] >= LEAST_VISIBLE)
        with av.open(str(recording / camera["file"])) as container:
            for number, frame in enumerate(container.decode(video=0)):
                if number % every:
                    continue
                rows = np.flatnonzero(mine & (truth["frame"] == number))
                lines = [pose_line(_label(truth, row), (frame.width, frame.height)) + "\n" for row in rows]
                name = f"{manifest['recording_id']}-{camera['id']}-{number:05d}"
                picture = frame.to_ndarray(format="bgr24")
                encoded = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, 95])[1]
                (images / f"{name}.jpg").write_bytes(encoded.tobytes())
                (labels / f"{name}.txt").write_text("".join(lines), encoding="utf-8")


def _label(truth: dict[str, np.ndarray], row: int) -> PersonLabel:
    return PersonLabel(truth["xyxy_px"][row], truth["keypoints_px"][row], truth["keypoints_visible"][row])
