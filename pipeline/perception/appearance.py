# SPDX-License-Identifier: AGPL-3.0-or-later
"""What somebody wears, as colours of the upper and the lower body: enough to tell two people apart in a crowd.

A look is a histogram over some two hundred pixels of each body part: three quarters of it colour as shares of
brightness (red less green, blue less both, which shade leaves as they are), one quarter brightness. Pixels that lie in
the box of somebody nearer are left out. Looks are kept while the visit lasts, never stored.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from calibration.boxes import box_iou
from pipeline.messages import Detections, Frame

PARTS = ((5, 6, 11, 12), (11, 12, 13, 14, 15, 16))
"""COCO key points around the upper and the lower body."""
_IN_BOX = np.array([[0.18, 0.48], [0.55, 0.90]])
"""Where they are in the box of somebody whose key points are not seen, as shares of its height."""
_LEAST_CONFIDENCE = 0.4
_SIDE = 14
"""Pixels sampled along each side of a part."""
_NEARER, _BODY = 0.03, 0.2
"""Whose box ends lower by this share of its height stands before the other; so much on either side of a box is not the
body's."""
_HUES, _HUE_WIDTH, _SHADES = 11, 0.06, 6
_DARK = 60.0
"""Added to the sum of the three channels: the colour of what is nearly black is noise."""
BINS = _HUES**2 + _SHADES
_SHADE_WEIGHT = 0.25


def looks(image: np.ndarray, boxes: np.ndarray, keypoints: np.ndarray) -> np.ndarray:
    """float32 (N, 2, BINS): histograms of everybody's upper and lower body, each with the share of it that is seen
    as its sum: 1 where all of it is, 0 where it is hidden or not in the picture.

    Args:
        image: uint8 (H, W, 3) BGR. boxes: (N, 4) and keypoints: (N, 17, 3) with confidence, both in its pixels.
    """
    if not len(boxes):
        return np.zeros((0, len(PARTS), BINS), np.float32)
    boxes = boxes.astype(float)
    region = _regions(boxes, keypoints)
    x = region[..., 0, None] + np.linspace(0, 1, _SIDE) * (region[..., 2] - region[..., 0])[..., None]
    y = region[..., 1, None] + np.linspace(0, 1, _SIDE) * (region[..., 3] - region[..., 1])[..., None]
    x, y = np.broadcast_arrays(x[..., None, :], y[..., None])  # (N, parts, SIDE, SIDE)
    seen = (x >= 0) & (x < image.shape[1]) & (y >= 0) & (y < image.shape[0]) & ~_hidden(x, y, boxes)
    pixels = image[np.where(seen, y, 0).astype(int), np.where(seen, x, 0).astype(int)]
    return _histograms(pixels.reshape(-1, _SIDE**2, 3), seen.reshape(-1, _SIDE**2)).reshape(-1, len(PARTS), BINS)


def frame_looks(frame: Frame, people: Detections) -> np.ndarray:
    """`looks` of the people found in a frame."""
    image = frame.small
    scale = image.shape[1] / frame.size_px[0]
    return looks(image, people.xyxy_px * scale, people.keypoints_px * [scale, scale, 1])


def together(some: Sequence[np.ndarray]) -> np.ndarray | None:
    """float32 (2, BINS), the mean of looks, each part as far as it is seen, with sums of 1, or 0 where it never is;
    None if neither ever is."""
    total = np.sum(some, axis=0) if len(some) else np.zeros((len(PARTS), BINS), np.float32)
    seen = total.sum(-1, keepdims=True)
    return np.divide(total, seen, out=np.zeros_like(total), where=seen > 0) if seen.any() else None


def differences(a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Of looks (..., 2, BINS): by how much each part differs, float64 (..., 2), 0 (the same) to 1 (nothing in common),
    1 less the Bhattacharyya coefficient; and the share of it that is seen in both (..., 2)."""
    seen = a.sum(-1), b.sum(-1)
    alike = np.sqrt(a * b).sum(-1) / np.sqrt(np.maximum(seen[0] * seen[1], 1e-12))
    return 1 - np.minimum(alike, 1), np.minimum(*seen)


def _regions(boxes: np.ndarray, keypoints: np.ndarray) -> np.ndarray:
    """float64 (N, parts, 4): where the parts are, from key points, or else from the box."""
    low, size = boxes[:, :2], boxes[:, 2:] - boxes[:, :2]
    top, bottom = (low[:, 1, None] + share * size[:, 1, None] for share in _IN_BOX.T)
    left, right = (np.repeat((low[:, 0] + share * size[:, 0])[:, None], len(PARTS), 1) for share in (0.25, 0.75))
    out = np.stack([left, top, right, bottom], -1)
    for k, members in enumerate(PARTS):
        points = keypoints[:, list(members)]
        sure = points[..., 2] >= _LEAST_CONFIDENCE
        rows = np.flatnonzero(sure.sum(1) >= 3)
        at, known = points[rows, :, :2], sure[rows, :, None]
        first, last = np.where(known, at, np.inf).min(1), np.where(known, at, -np.inf).max(1)
        half = np.maximum((last - first) / 2 * [0.7, 0.85], size[rows, 1, None] * [0.08, 0.04])
        out[rows, k] = np.concatenate([(first + last) / 2 - half, (first + last) / 2 + half], 1)
    return out


def _hidden(x: np.ndarray, y: np.ndarray, boxes: np.ndarray) -> np.ndarray:
    """bool (N, parts, SIDE, SIDE): samples that lie in the box of somebody nearer."""
    height, width = boxes[:, 3] - boxes[:, 1], boxes[:, 2] - boxes[:, 0]
    nearer = boxes[None, :, 3] > boxes[:, None, 3] + _NEARER * height
    out = np.zeros(x.shape, bool)
    for i, k in zip(*np.nonzero(nearer & (box_iou(boxes, boxes) > 0)), strict=True):
        left, right = boxes[k, 0] + _BODY * width[k], boxes[k, 2] - _BODY * width[k]
        out[i] |= (x[i] > left) & (x[i] < right) & (y[i] > boxes[k, 1]) & (y[i] < boxes[k, 3])
    return out


def _histograms(pixels: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """float32 (M, BINS) of pixels (M, K, 3), of those that are seen (M, K)."""
    blue, green, red = np.moveaxis(pixels.astype(np.float32), -1, 0)
    total = blue + green + red + _DARK
    hue_a, part_a = _shared((red - green) / total / _HUE_WIDTH + (_HUES - 1) / 2, _HUES)
    hue_b, part_b = _shared((blue - (red + green) / 2) / total / _HUE_WIDTH + (_HUES - 1) / 2, _HUES)
    shade, part_s = _shared(total / (765 + _DARK) * (_SHADES - 1), _SHADES)
    weight = seen / pixels.shape[1]
    first = np.arange(len(pixels))[:, None] * BINS
    at, worth = [], []
    for i in (0, 1):
        at.append(first + _HUES**2 + shade + i)
        worth.append(_SHADE_WEIGHT * weight * abs(1 - i - part_s))
        for j in (0, 1):
            at.append(first + (hue_a + i) * _HUES + hue_b + j)
            worth.append((1 - _SHADE_WEIGHT) * weight * abs(1 - i - part_a) * abs(1 - j - part_b))
    out = np.bincount(np.concatenate(at).ravel(), np.concatenate(worth).ravel(), len(pixels) * BINS)
    return out.reshape(len(pixels), BINS).astype(np.float32)


def _shared(at: np.ndarray, bins: int) -> tuple[np.ndarray, np.ndarray]:
    """The lower one of the two bins next to each value, in bins, and how much of it the upper one gets: two shades on
    the two sides of an edge between bins are alike."""
    at = np.clip(at, 0, bins - 1.001)
    low = at.astype(int)
    return low, at - low
