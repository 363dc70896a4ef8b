# SPDX-License-Identifier: AGPL-3.0-or-later
"""What somebody wears, as colours of the upper and the lower body: enough to tell two people apart who have just met.

A look is a histogram over some hundred pixels of each body part: three quarters of it colour as shares of brightness
(red less green, blue less both, which shade leaves as they are), one quarter brightness. It is kept while the visit's
meetings are judged, never stored.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from pipeline.messages import CameraTracks, FloorTrack, Frame
from pipeline.perception.identity.settings import IdentitySettings

PARTS = ((5, 6, 11, 12), (11, 12, 13, 14, 15, 16))
"""COCO key points around the upper and the lower body."""
_IN_BOX = ((0.18, 0.48), (0.55, 0.90))
"""Where they are in the box of somebody whose key points are not seen, as shares of its height."""
_LEAST_CONFIDENCE = 0.4
_SIDE = 14
"""Pixels sampled along each side of a part."""
_HUES, _HUE_WIDTH, _SHADES = 11, 0.06, 6
_DARK = 60.0
"""Added to the sum of the three channels: the colour of what is nearly black is noise."""
BINS = _HUES**2 + _SHADES
_SHADE_WEIGHT = 0.25


def look(image: np.ndarray, box_xyxy: np.ndarray, keypoints: np.ndarray) -> np.ndarray:
    """float32 (2, BINS): histograms of upper and lower body, each of sum 1, or 0 where the part is not in the picture.

    Args:
        image: uint8 (H, W, 3) BGR. box_xyxy: (4,), keypoints: (17, 3) with confidence, both in its pixels.
    """
    out = np.zeros((len(PARTS), BINS), np.float32)
    for k, region in enumerate(_regions(box_xyxy, keypoints)):
        pixels = _sampled(image, region)
        if pixels is not None:
            out[k] = _histogram(pixels)
    return out


def look_of(
    track: FloorTrack, cameras: Mapping[str, CameraTracks], frames: Mapping[str, Frame], settings: IdentitySettings
) -> np.ndarray | None:
    """Mean look of a person over the cameras that see them best in this window; None where none does."""
    seen = []
    for camera_id, row in track.sources.items():
        if camera_id not in cameras or camera_id not in frames:
            continue
        people = cameras[camera_id].detections
        box = people.xyxy_px[row].astype(float)
        if _covered(box, np.delete(people.xyxy_px, row, axis=0)) <= settings.covered:
            seen.append((-(box[3] - box[1]), camera_id, row))
    looks = []
    for _, camera_id, row in sorted(seen)[: settings.looks]:
        frame, people = frames[camera_id], cameras[camera_id].detections
        image = frame.small
        scale = image.shape[1] / frame.size_px[0]
        keypoints = people.keypoints_px[row] * [scale, scale, 1]
        looks.append(look(image, people.xyxy_px[row] * scale, keypoints))
    return mean_look(looks)


def _covered(box: np.ndarray, others: np.ndarray) -> float:
    """The largest share of a box that one of the others (N, 4) covers."""
    low, high = np.maximum(box[:2], others[:, :2]), np.minimum(box[2:], others[:, 2:])
    return float(np.prod(np.maximum(high - low, 0), axis=1).max(initial=0) / max(np.prod(box[2:] - box[:2]), 1e-9))


def mean_look(looks: Sequence[np.ndarray]) -> np.ndarray | None:
    """float32 (2, BINS), the mean of looks over those in which each part is seen; None without any."""
    if not looks:
        return None
    total = np.sum(looks, axis=0)
    seen = total.sum(-1, keepdims=True)
    return np.divide(total, seen, out=np.zeros_like(total), where=seen > 0) if seen.any() else None


def difference(a: np.ndarray, b: np.ndarray) -> float:
    """0 (the same) to 2 (nothing in common): sum over the parts of 1 less the Bhattacharyya coefficient; a part that is
    not seen in both counts half."""
    shared = np.sqrt(a * b).sum(-1)
    seen = (a.sum(-1) > 0) & (b.sum(-1) > 0)
    return float(np.where(seen, 1 - shared, 0.5).sum())


def _regions(box: np.ndarray, keypoints: np.ndarray) -> list[np.ndarray]:
    regions = []
    for members, (top, bottom) in zip(PARTS, _IN_BOX, strict=True):
        points = keypoints[list(members)]
        points = points[points[:, 2] >= _LEAST_CONFIDENCE, :2]
        height, width = box[3] - box[1], box[2] - box[0]
        region = np.array(
            [box[0] + 0.25 * width, box[1] + top * height, box[2] - 0.25 * width, box[1] + bottom * height]
        )
        if len(points) >= 3:
            low, high = points.min(0), points.max(0)
            middle, half = (low + high) / 2, np.maximum((high - low) / 2 * [0.7, 0.85], [0.08 * height, 0.04 * height])
            region = np.concatenate([middle - half, middle + half])
        regions.append(region)
    return regions


def _sampled(image: np.ndarray, region: np.ndarray) -> np.ndarray | None:
    """uint8 (N, 3) of a grid over the region; None if less than half of it is in the picture."""
    xs = np.linspace(region[0], region[2], _SIDE).astype(int)
    ys = np.linspace(region[1], region[3], _SIDE).astype(int)
    xs, ys = xs[(xs >= 0) & (xs < image.shape[1])], ys[(ys >= 0) & (ys < image.shape[0])]
    if len(xs) < _SIDE / 2 or len(ys) < _SIDE / 2:
        return None
    return image[np.ix_(ys, xs)].reshape(-1, 3)


def _histogram(pixels: np.ndarray) -> np.ndarray:
    blue, green, red = pixels.astype(float).T
    total = blue + green + red + _DARK
    hues = np.column_stack([red - green, blue - (red + green) / 2]) / total[:, None] / _HUE_WIDTH + (_HUES - 1) / 2
    hue, hue_weight = _shared(hues, _HUES)
    shade, shade_weight = _shared(total[:, None] / (765 + _DARK) * (_SHADES - 1), _SHADES)
    out = np.zeros(BINS)
    for i in (0, 1):
        np.add.at(out, _HUES**2 + shade[i, :, 0], _SHADE_WEIGHT * shade_weight[i, :, 0])
        for j in (0, 1):
            weight = (1 - _SHADE_WEIGHT) * hue_weight[i, :, 0] * hue_weight[j, :, 1]
            np.add.at(out, hue[i, :, 0] * _HUES + hue[j, :, 1], weight)
    return (out / len(pixels)).astype(np.float32)


def _shared(at: np.ndarray, bins: int) -> tuple[np.ndarray, np.ndarray]:
    """The two bins (2, N, D) next to each value (N, D), in bins, and how much of it each gets: two shades on the two
    sides of an edge between bins are alike."""
    at = np.clip(at, 0, bins - 1.001)
    low = at.astype(int)
    return np.stack([low, low + 1]), np.stack([1 - (at - low), at - low])
