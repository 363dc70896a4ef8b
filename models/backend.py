# SPDX-License-Identifier: AGPL-3.0-or-later
"""Running the networks: pictures of all cameras in, people or products out. What they run on: `models.engines`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import cv2
import numpy as np

from models.engines import OpenVinoEngine, UltralyticsEngine
from models.registry import Weights, resolve
from pipeline.errors import WeightsError
from pipeline.messages import Detections

Backend = Literal["auto", "openvino", "torch"]
PADDING_GREY = 114


@dataclass(frozen=True)
class ProductDetections:
    """Products found in one crop, best first.

    `xyxy_px`: float32 (N, 4) in the crop's pixels. `score`: float32 (N,) of the best class. `class_index`: int64 (N,),
    position in the network's `names`. `class_scores`: float32 (N, C), the network's score of every class (each in
    [0, 1], they do not add up to 1): how alike the runners-up are.
    """

    xyxy_px: np.ndarray
    score: np.ndarray
    class_index: np.ndarray
    class_scores: np.ndarray

    def __len__(self) -> int:
        return len(self.score)

    def __iter__(self):
        """Unpacks as `xyxy_px, score, class_index`."""
        return iter((self.xyxy_px, self.score, self.class_index))


class _Network:
    """What both networks share: weights, letterbox, backend, decoding, non-maximum suppression."""

    task: str
    extra: int  # numbers a row has beside box and class scores

    def __init__(
        self,
        weights: str | Path,
        imgsz: int | tuple[int, int] | None,
        backend: Backend,
        min_score: float,
        nms_iou: float,
        threads: int | None,
    ) -> None:
        found = resolve(weights, self.task, prefer=backend)
        self.weights = found
        self.names = found.names
        self.size_hw = _size_hw(found, imgsz)
        self.min_score = min_score
        self.nms_iou = nms_iou
        if found.format == "openvino":
            self._engine = OpenVinoEngine(found, self.size_hw, threads)
        elif backend == "openvino":
            raise WeightsError(f"{found.path}: expected an OpenVINO folder; make one with `walkout models export`")
        else:
            self._engine = UltralyticsEngine(found, self.size_hw)

    def _predict(self, images: Sequence[np.ndarray]) -> list[tuple[np.ndarray, float, float, float]]:
        """One (rows (N, 4 + C + extra), scale, left, top) an image: rows above `min_score` after suppression.

        Boxes are xyxy in the network's pixels; a picture's pixel is (network pixel - (left, top)) / scale.
        """
        if not images:
            return []
        boxed = [letterbox(image, self._input_hw(image)) for image in images]
        outputs = self._engine.run([b[0] for b in boxed])
        classes = len(self.names)
        return [
            (_decode(output, classes, self.extra, self.min_score, self.nms_iou), *box[1:])
            for output, box in zip(outputs, boxed, strict=True)
        ]

    @property
    def parts(self) -> tuple[float, ...]:
        """Shares of the input's width, ascending, at which a picture costs less than at the whole; none for most."""
        return tuple(w / self.size_hw[1] for w in self._engine.widths[:-1])

    def _input_hw(self, image: np.ndarray) -> tuple[int, int]:
        """The narrowest of the network's inputs that holds the picture at the scale that it has in the whole one."""
        height, width = self.size_hw
        scaled = round(image.shape[1] * min(height / image.shape[0], width / image.shape[1]))
        return height, next(w for w in self._engine.widths if w >= scaled)


class PoseNetwork(_Network):
    """People and their 17 COCO key points.

    `weights`: a name of `models.registry`, a path (`.pt`, `.onnx`, `.engine`, an OpenVINO folder) or a name that
    Ultralytics can download. `imgsz`: height and width of the network's input; None is what the weights were made
    for; ignored by exports of fixed size. `min_score` is low on purpose: ByteTrack uses weak boxes too. `threads`:
    CPU threads of the OpenVINO runtime, None for all.
    """

    task = "pose"
    extra = 17 * 3

    def __init__(
        self,
        weights: str | Path = "walkout-person",
        imgsz: int | tuple[int, int] | None = None,
        backend: Backend = "auto",
        min_score: float = 0.1,
        nms_iou: float = 0.6,
        threads: int | None = None,
    ) -> None:
        super().__init__(weights, imgsz, backend, min_score, nms_iou, threads)

    def infer(self, images: Sequence[np.ndarray]) -> list[Detections]:
        """People in each picture (uint8 (H, W, 3) BGR, sizes may differ), best first, in that picture's pixels."""
        people = []
        classes = len(self.names)
        for (rows, scale, left, top), image in zip(self._predict(images), images, strict=True):
            if classes > 1:  # a network that knows more than people: keep its class 0, COCO's person
                rows = rows[rows[:, 4 : 4 + classes].argmax(1) == 0]
            keypoints = rows[:, 4 + classes :].reshape(len(rows), 17, 3).copy()
            keypoints[..., :2] = (keypoints[..., :2] - (left, top)) / scale
            people.append(Detections(_unletterbox(rows[:, :4], scale, left, top, image), rows[:, 4].copy(), keypoints))
        return people


class ProductNetwork(_Network):
    """Products of the catalogue in crops around shelves and hands; `names` are the GTINs in class order."""

    task = "detect"
    extra = 0

    def __init__(
        self,
        weights: str | Path = "walkout-product",
        imgsz: int | tuple[int, int] | None = None,
        backend: Backend = "auto",
        min_score: float = 0.1,
        nms_iou: float = 0.5,
        threads: int | None = None,
    ) -> None:
        super().__init__(weights, imgsz, backend, min_score, nms_iou, threads)

    def infer(self, crops: Sequence[np.ndarray]) -> list[ProductDetections]:
        """Products in each crop (uint8 (H, W, 3) BGR), best first, in that crop's pixels."""
        found = []
        for (rows, scale, left, top), crop in zip(self._predict(crops), crops, strict=True):
            scores = rows[:, 4 : 4 + len(self.names)]
            best = scores.argmax(1)
            found.append(
                ProductDetections(
                    _unletterbox(rows[:, :4], scale, left, top, crop),
                    scores[np.arange(len(rows)), best],
                    best,
                    scores.copy(),
                )
            )
        return found


# --- pictures in ----------------------------------------------------------------------------------------------------


def letterbox(image: np.ndarray, size_hw: tuple[int, int]) -> tuple[np.ndarray, float, float, float]:
    """The picture scaled to fit `size_hw` and centred on grey, as Ultralytics does; with scale, left, top."""
    height, width = image.shape[:2]
    scale = min(size_hw[0] / height, size_hw[1] / width)
    inner_w, inner_h = round(width * scale), round(height * scale)
    inner = image
    # A linear filter skips pixels beyond a factor of two; halving by averaging first costs less than one area filter.
    while inner.shape[0] >= 2 * inner_h and inner.shape[1] >= 2 * inner_w:
        inner = cv2.resize(inner, (inner.shape[1] // 2, inner.shape[0] // 2), interpolation=cv2.INTER_AREA)
    if inner.shape[:2] != (inner_h, inner_w):
        inner = cv2.resize(inner, (inner_w, inner_h), interpolation=cv2.INTER_LINEAR)
    if inner.shape[:2] == tuple(size_hw):
        return np.ascontiguousarray(inner), scale, 0.0, 0.0
    top, left = (size_hw[0] - inner_h) // 2, (size_hw[1] - inner_w) // 2
    out = np.full((*size_hw, 3), PADDING_GREY, np.uint8)
    out[top : top + inner_h, left : left + inner_w] = inner
    return out, scale, float(left), float(top)


def _unletterbox(xyxy: np.ndarray, scale: float, left: float, top: float, image: np.ndarray) -> np.ndarray:
    height, width = image.shape[:2]
    boxes = (xyxy - (left, top, left, top)) / scale
    return np.clip(boxes, 0, (width, height, width, height)).astype(np.float32)


def _size_hw(weights: Weights, imgsz: int | tuple[int, int] | None) -> tuple[int, int]:
    if imgsz is None or not weights.dynamic:
        return weights.imgsz_hw
    return (imgsz, imgsz) if isinstance(imgsz, int) else (int(imgsz[0]), int(imgsz[1]))


# --- rows out -------------------------------------------------------------------------------------------------------


def _decode(output: np.ndarray, classes: int, extra: int, min_score: float, nms_iou: float) -> np.ndarray:
    """Raw output of one picture to rows (N, 4 + classes + extra), boxes as xyxy, best first, suppressed.

    Two layouts: (4 + classes + extra, anchors), which needs suppression, and the end-to-end heads' (rows, 6 + extra)
    with xyxy, score, class, which does not.
    """
    if output.shape[0] != 4 + classes + extra:
        rows = output[output[:, 4] >= min_score]
        scores = np.zeros((len(rows), classes), np.float32)
        scores[np.arange(len(rows)), rows[:, 5].astype(int)] = rows[:, 4]
        return np.concatenate([rows[:, :4], scores, rows[:, 6:]], 1)
    score = output[4] if classes == 1 else output[4 : 4 + classes].max(0)
    keep = np.flatnonzero(score >= min_score)
    if not len(keep):
        return np.zeros((0, len(output)), np.float32)
    rows, score = output[:, keep].T.astype(np.float32), score[keep]
    corner = rows[:, :2] - rows[:, 2:4] / 2
    boxes_xywh = np.concatenate([corner, rows[:, 2:4]], 1)
    best = np.asarray(cv2.dnn.NMSBoxes(boxes_xywh.tolist(), score.tolist(), min_score, nms_iou), int).reshape(-1)
    rows = rows[best]
    half = rows[:, 2:4] / 2
    rows[:, :4] = np.concatenate([rows[:, :2] - half, rows[:, :2] + half], 1)
    return rows
