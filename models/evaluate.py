# SPDX-License-Identifier: AGPL-3.0-or-later
"""How good weights are: against labels, and against what another network sees in the same videos."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
import yaml

from calibration.boxes import box_iou
from models.backend import PoseNetwork
from models.registry import INPUT_HW, Task, load_model
from pipeline.errors import CaptureError, WeightsError
from pipeline.messages import LEFT_WRIST, RIGHT_WRIST, Detections, Frame

if TYPE_CHECKING:
    from models.keypoints.refiner import KeypointRefiner


def against_labels(
    weights: str | Path, task: Task, data: Path, imgsz: int | None = None, split: str = "val"
) -> dict[str, float]:
    """Average precision by Ultralytics' own validation: keys `box_map50`, `box_map`, for pose `pose_map50`, `pose_map`.

    `data`: `data.yaml` of a data set in Ultralytics' form. `imgsz`: longer side, None is that of `registry.INPUT_HW`.
    Precision and recall are those at the best F1. Pose precision counts object key point similarity.
    """
    if not Path(data).exists():
        raise WeightsError(f"{data}: no such data set; make one with `walkout models dataset`")
    model = load_model(weights, task)
    result = model.val(
        data=str(data), split=split, imgsz=imgsz or max(INPUT_HW[task]), rect=task == "pose",
        plots=False, verbose=False, workers=0,
    )  # fmt: skip
    figures = {
        "box_map50": result.box.map50, "box_map": result.box.map,
        "box_precision": result.box.mp, "box_recall": result.box.mr,
    }  # fmt: skip
    if task == "pose":
        figures |= {"pose_map50": result.pose.map50, "pose_map": result.pose.map}
    return {name: float(value) for name, value in figures.items()}


@dataclass(frozen=True)
class WristErrors:
    """Distances in pixels between seen wrists and where the network puts them, for people it found (IoU 0.5)."""

    errors_px: np.ndarray
    people: int
    found: int

    def as_dict(self) -> dict[str, float]:
        share = self.found / self.people if self.people else float("nan")
        some = len(self.errors_px) > 0
        return {
            "people": self.people,
            "found": share,
            "wrists": len(self.errors_px),
            "wrist_median_px": float(np.median(self.errors_px)) if some else float("nan"),
            "wrist_p90_px": float(np.percentile(self.errors_px, 90)) if some else float("nan"),
        }


def wrist_errors(
    network: PoseNetwork,
    data: Path,
    split: str = "val",
    min_score: float = 0.25,
    refiner: KeypointRefiner | None = None,
) -> WristErrors:
    """Wrists as the pipeline would get them, against the visible ones of a labelled data set."""
    description = yaml.safe_load(Path(data).read_text(encoding="utf-8"))
    folder = Path(description["path"])
    errors: list[float] = []
    people = found = 0
    for image_path in sorted((folder / description[split]).glob("*.jpg")):
        image = cv2.imread(str(image_path))
        label_path = folder / "labels" / split / f"{image_path.stem}.txt"
        rows = [line.split() for line in label_path.read_text().splitlines()]
        labels = np.array(rows, float).reshape(-1, 5 + 51)
        size = np.array(image.shape[1::-1])
        (detections,) = network.infer([image])
        if refiner is not None:
            (detections,) = refiner.refine([(Frame("any", 1, image), detections)])
        detections = detections[detections.score >= min_score]
        centre, extent = labels[:, 1:3] * size, labels[:, 3:5] * size
        boxes = np.concatenate([centre - extent / 2, centre + extent / 2], 1)
        match = greedy_matches(boxes, detections.xyxy_px)
        people += len(labels)
        found += int((match >= 0).sum())
        for label, row in zip(labels, match, strict=True):
            points = label[5:].reshape(17, 3)
            for wrist in (LEFT_WRIST, RIGHT_WRIST):
                if row >= 0 and points[wrist, 2] == 2:
                    errors.append(
                        float(np.linalg.norm(detections.keypoints_px[row, wrist, :2] - points[wrist, :2] * size))
                    )
    return WristErrors(np.array(errors), people, found)


@dataclass(frozen=True)
class Agreement:
    """`reference`: how many the reference found, `found`: how many of those we found, `extra`: ours it has not."""

    reference: int
    found: int
    extra: int

    @property
    def share(self) -> float:
        return self.found / self.reference if self.reference else float("nan")

    def __add__(self, other: Agreement) -> Agreement:
        return Agreement(self.reference + other.reference, self.found + other.found, self.extra + other.extra)


def against_network(
    network: PoseNetwork,
    reference: PoseNetwork,
    videos: Iterable[Path],
    every: int = 5,
    reference_score: float = 0.5,
    min_score: float = 0.25,
    iou: float = 0.5,
) -> dict[str, Agreement]:
    """Per video: how many of the people that `reference` is sure of are found by `network` at the same place."""
    return {
        str(video): sum(
            (
                _agreement(ours[ours.score >= min_score], theirs[theirs.score > reference_score], iou)
                for image in every_nth_frame(video, every)
                for ours, theirs in [(network.infer([image])[0], reference.infer([image])[0])]
            ),
            Agreement(0, 0, 0),
        )
        for video in videos
    }


def every_nth_frame(video: Path, every: int) -> Iterator[np.ndarray]:
    """uint8 (H, W, 3) BGR pictures of a video file."""
    capture = cv2.VideoCapture(str(video))
    if not capture.isOpened():
        raise CaptureError(f"{video}: not a video file that can be read")
    index = 0
    while capture.grab():
        if index % every == 0:
            yield capture.retrieve()[1]
        index += 1
    capture.release()


def _agreement(ours: Detections, theirs: Detections, iou: float) -> Agreement:
    match = greedy_matches(theirs.xyxy_px, ours.xyxy_px, iou)
    found = int((match >= 0).sum())
    return Agreement(len(theirs), found, len(ours) - found)


def greedy_matches(wanted_xyxy: np.ndarray, given_xyxy: np.ndarray, least_iou: float = 0.5) -> np.ndarray:
    """int (W,): which of the given boxes (G, 4) stands for each wanted box (W, 4), -1 for none; best overlap first."""
    match = np.full(len(wanted_xyxy), -1)
    if not len(wanted_xyxy) or not len(given_xyxy):
        return match
    overlap = box_iou(wanted_xyxy, given_xyxy)
    while overlap.max() >= least_iou:
        w, g = np.unravel_index(overlap.argmax(), overlap.shape)
        match[w] = g
        overlap[w, :] = overlap[:, g] = -1
    return match
