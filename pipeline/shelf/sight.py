# SPDX-License-Identifier: AGPL-3.0-or-later
"""What the product network sees: at the front of a slot, and in a hand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from calibration.boxes import box_iou
from models.crops import CropWindow, cut, window_at
from pipeline.shelf.handpics import HandPicture
from pipeline.shelf.views import FRONT_INSET_M, SlotView

_DEPTH_STEP_M = 0.01
_MIN_FIT_IOU = 0.45
_HELD_WITHIN_M = 0.04
"""A held item's box lies about the palm; the palm is known to a few centimetres."""


class Products(Protocol):
    """`models.backend.ProductDetections`, as far as it is used here."""

    xyxy_px: np.ndarray
    score: np.ndarray
    class_scores: np.ndarray


class Network(Protocol):
    """`models.backend.ProductNetwork`, as far as it is used here."""

    def infer(self, crops: Sequence[np.ndarray]) -> list[Products]: ...


@dataclass(frozen=True)
class Front:
    """The foremost item in a slot in one picture. `behind_m`: how far its front is behind the shelf's edge; NaN when
    the network found none. `class_scores`: float64 (C,), zeros when none."""

    behind_m: float
    score: float
    class_scores: np.ndarray

    @property
    def found(self) -> bool:
        return self.score > 0


def fronts(network: Network, pictures: Sequence[tuple[SlotView, np.ndarray]], classes: int) -> list[Front]:
    """The foremost item in each picture (view, crop of its `rect_px`); one batch for the network."""
    windows = [window_at(view.quad_px.mean(0) - view.rect_px[:2]) for view, _ in pictures]
    found = network.infer([cut(crop, w) for (_, crop), w in zip(pictures, windows, strict=True)])
    return [
        _front(view, window, products, classes)
        for (view, _), window, products in zip(pictures, windows, found, strict=True)
    ]


def _front(view: SlotView, window: CropWindow, products: Products, classes: int) -> Front:
    nothing = Front(float("nan"), 0.0, np.zeros(classes))
    if not len(products.score):
        return nothing
    boxes = window.to_frame(products.xyxy_px) + np.tile(view.rect_px[:2], 2)
    depths, expected = item_boxes(view)
    overlap = box_iou(boxes, expected)  # (N, D)
    best = overlap.max(1)
    fits = np.flatnonzero(best >= _MIN_FIT_IOU)
    if not len(fits):
        return nothing
    # Of several items in a row the foremost counts; a weak box needs a good fit.
    value = products.score[fits] * best[fits] * np.exp(-depths[overlap[fits].argmax(1)] / 0.3)
    chosen = fits[int(np.argmax(value))]
    return Front(
        float(depths[overlap[chosen].argmax()]), float(products.score[chosen]),
        products.class_scores[chosen].astype(float),
    )  # fmt: skip


def item_boxes(view: SlotView) -> tuple[np.ndarray, np.ndarray]:
    """Depths (D,) behind the shelf's edge and the item's box (D, 4) in the picture were it to stand there."""
    width, depth, height = view.item_m
    middle = (view.slot.start_m + view.slot.end_m) / 2
    steps = np.arange(0.0, max(view.shelf.depth_m - depth, 0.0) + _DEPTH_STEP_M, _DEPTH_STEP_M)
    along = middle + np.array([-0.5, 0.5, 0.5, -0.5] * 2) * width
    up = view.shelf.height_m + np.array([0, 0, height, height] * 2)
    out = -FRONT_INSET_M - np.array([0.0] * 4 + [depth] * 4)
    corners = view.gondola.to_world(along[None], out[None] - steps[:, None], up[None])
    pixels = view.camera.project(corners)
    return steps, np.concatenate([np.nanmin(pixels, axis=1), np.nanmax(pixels, axis=1)], axis=1)


@dataclass(frozen=True)
class InHand:
    """What a hand seems to hold. `score`: of the best product near the palm; `class_scores`: float64 (C,)."""

    score: float
    class_scores: np.ndarray


def in_hand(network: Network, pictures: Sequence[HandPicture], classes: int) -> list[InHand]:
    """What each picture of a hand shows at the palm."""
    whole = [CropWindow(0, 0, p.crop.shape[0]) for p in pictures]
    found = network.infer([cut(p.crop, w) for p, w in zip(pictures, whole, strict=True)])
    out = []
    for picture, window, products in zip(pictures, whole, found, strict=True):
        best = InHand(0.0, np.zeros(classes))
        for box, score, scores in zip(
            window.to_frame(products.xyxy_px), products.score, products.class_scores, strict=True
        ):
            outside = np.maximum(np.maximum(box[:2] - picture.palm_px, picture.palm_px - box[2:]), 0)
            near = float(np.exp(-0.5 * (np.linalg.norm(outside) / (_HELD_WITHIN_M * picture.px_per_m)) ** 2))
            if score * near > best.score:
                best = InHand(float(score * near), scores.astype(float) * near)
        out.append(best)
    return out
