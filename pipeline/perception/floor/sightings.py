# SPDX-License-Identifier: AGPL-3.0-or-later
"""Everything that all cameras found in one window, as parallel arrays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from calibration.camera import Camera
from pipeline.messages import CameraTracks
from pipeline.perception.body import EDGE_PX, PARTS, floor_points
from pipeline.perception.floor.bodies import CameraBank, undistorted_box

SAME_HEAD, SAME_MIDDLE, SAME_BODY = 0.08, 0.3, 0.8
"""Of two boxes of one body: how far apart their tops (in heights of a standing body as wide as they) and middles (in
widths) are at most, and how much of the smaller lies in the other at least."""


@dataclass(frozen=True)
class Sightings:
    """N boxes of C cameras, camera after camera.

    `looked`: bool (C,), the camera gave a picture. `offset_s`: float64 (C,), its capture after the window's time.
    `camera`, `row`: int (N,), where a box came from; `slices`: C slices of the N. `edges_px`: float64 (N, 4),
    undistorted. `cut`: bool (N, 4), the edge lies at the picture's edge. `score`: float64 (N,). `twin`: bool (N,), a
    surer box of the camera shows the same body. `track`: int (N,), the camera's own track or -1. `information`: float64
    (N, 3, 3) and `vector` (N, 3), what the key points say about (x, y, height), `theta` (N, 3) and `covariance`
    (N, 3, 3) the same with a loose height; `posed`: bool (N,), there are any.
    `box_px`, `keypoints_px`: as detected, float32 (N, 4) and (N, 17, 3).
    """

    looked: np.ndarray
    offset_s: np.ndarray
    camera: np.ndarray
    row: np.ndarray
    slices: tuple[slice, ...]
    edges_px: np.ndarray
    cut: np.ndarray
    score: np.ndarray
    twin: np.ndarray
    track: np.ndarray
    information: np.ndarray
    vector: np.ndarray
    theta: np.ndarray
    covariance: np.ndarray
    posed: np.ndarray
    box_px: np.ndarray
    keypoints_px: np.ndarray

    def __len__(self) -> int:
        return len(self.camera)


def sightings(
    bank: CameraBank, cameras: dict[str, Camera], looks: Sequence[CameraTracks], now_ns: int, least_score: float
) -> Sightings:
    """Flatten one window; a camera that was not looked at has no boxes and says nothing."""
    by_id = {look.camera_id: look for look in looks}
    count = len(bank.ids)
    looked, offset_s = np.zeros(count, bool), np.zeros(count)
    parts: list[tuple] = []
    slices, begin = [], 0
    for c, camera_id in enumerate(bank.ids):
        look = by_id.get(camera_id)
        if look is None:
            slices.append(slice(begin, begin))
            continue
        looked[c], offset_s[c] = True, (look.captured_at_ns - now_ns) / 1e9
        people = look.detections
        size = people.xyxy_px[:, 2:] - people.xyxy_px[:, :2]
        rows = np.flatnonzero((people.score >= least_score) & (size > 1).all(1))
        people, n = people[rows], len(rows)
        slices.append(slice(begin, begin + n))
        begin += n
        if not n:
            continue
        camera = cameras[camera_id]
        width, height = camera.size_px
        box = people.xyxy_px.astype(float)
        end = np.array([EDGE_PX, EDGE_PX, width - 1 - EDGE_PX, height - 1 - EDGE_PX])
        cut = np.column_stack([box[:, :2] <= end[:2], box[:, 2:] >= end[2:]])
        posed = np.zeros(n, bool)
        information, vector = np.zeros((n, 3, 3)), np.zeros((n, 3))
        theta, covariance = np.zeros((n, 3)), np.zeros((n, 3, 3))
        for _, members, _, least, _, _ in PARTS:
            posed |= (people.keypoints_px[:, members, 2] >= least).any(1)
        if posed.any():
            points = floor_points(camera, people[posed])
            information[posed], vector[posed] = points.information, points.vector
            theta[posed], covariance[posed] = points.theta, points.covariance
        parts.append(
            (np.full(n, c), rows, undistorted_box(camera, box), cut, people.score.astype(float),
             _twins(box, people.score), look.track_id[rows], information, vector, theta, covariance,
             posed, people.xyxy_px,
             people.keypoints_px)
        )  # fmt: skip
    if not parts:
        shapes = (
            (0,),
            (0,),
            (0, 4),
            (0, 4),
            (0,),
            (0,),
            (0,),
            (0, 3, 3),
            (0, 3),
            (0, 3),
            (0, 3, 3),
            (0,),
            (0, 4),
            (0, 17, 3),
        )
        kinds = (int, int, float, bool, float, bool, int, float, float, float, float, bool, np.float32, np.float32)
        joined = [np.zeros(shape, kind) for shape, kind in zip(shapes, kinds, strict=True)]
    else:
        joined = [np.concatenate(arrays) for arrays in zip(*parts, strict=True)]
    camera, row, *rest = joined
    return Sightings(looked, offset_s, camera, row, tuple(slices), *rest)


def overlap(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Intersection over the smaller box, of boxes (..., 4): near 1 also for a part of a body within the whole."""
    low, high = np.maximum(a[..., :2], b[..., :2]), np.minimum(a[..., 2:], b[..., 2:])
    smaller = np.minimum(np.prod(a[..., 2:] - a[..., :2], -1), np.prod(b[..., 2:] - b[..., :2], -1))
    return np.prod(np.maximum(high - low, 0), -1) / np.maximum(smaller, 1e-9)


def _twins(box: np.ndarray, score: np.ndarray) -> np.ndarray:
    """bool (N,): the same head and most of the same body as a surer box: one person found twice."""
    if len(box) < 2:
        return np.zeros(len(box), bool)
    wide = box[:, 2] - box[:, 0]
    middle, top = (box[:, 0] + box[:, 2]) / 2, box[:, 1]
    # Of each pair the surer first; ties by their order.
    order = np.lexsort((np.arange(len(score)), -score))
    i, k = np.nonzero(np.triu(np.abs(top[order, None] - top[order]) < SAME_HEAD * 2.5 * wide.max(), 1))
    i, k = order[i], order[k]
    width = np.minimum(wide[i], wide[k])
    same = (np.abs(top[i] - top[k]) < SAME_HEAD * 2.5 * width) & (np.abs(middle[i] - middle[k]) < SAME_MIDDLE * width)
    i, k = i[same], k[same]
    out = np.zeros(len(box), bool)
    out[k[overlap(box[i], box[k]) > SAME_BODY]] = True
    return out
