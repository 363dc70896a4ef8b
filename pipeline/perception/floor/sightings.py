# SPDX-License-Identifier: AGPL-3.0-or-later
"""Everything that all cameras found in one window, as parallel arrays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from calibration.camera import Camera
from pipeline.messages import CameraTracks, Detections
from pipeline.perception.body import EDGE_PX, PARTS, floor_points
from pipeline.perception.floor.bodies import LEFT, RIGHT, CameraBank, undistorted_box
from pipeline.perception.floor.nearby import Nearby
from pipeline.perception.floor.settings import BodySettings

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
    `box_px`, `keypoints_px`: as detected, float32 (N, 4) and (N, 17, 3). `look`: float32 (N, 2, BINS), what they wear,
    or None without pictures. `middle_px`: float64 (N,), from left to right, and `nearby` by that.
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
    look: np.ndarray | None
    middle_px: np.ndarray
    nearby: Nearby

    def __len__(self) -> int:
        return len(self.camera)


def sightings(
    bank: CameraBank,
    cameras: dict[str, Camera],
    looks: Sequence[CameraTracks],
    now_ns: int,
    least_score: float,
    body: BodySettings,
) -> Sightings:
    """Flatten one window; a camera that was not looked at has no boxes and says nothing."""
    count = len(bank.ids)
    place = {camera_id: c for c, camera_id in enumerate(bank.ids)}
    looks = sorted((look for look in looks if look.camera_id in place), key=lambda look: place[look.camera_id])
    looked, offset_s = np.zeros(count, bool), np.zeros(count)
    found = [look.detections for look in looks]
    size = [len(people) for people in found]
    for look in looks:
        c = place[look.camera_id]
        looked[c], offset_s[c] = True, (look.captured_at_ns - now_ns) / 1e9
    camera = np.repeat(np.array([place[look.camera_id] for look in looks], int), size)
    row = np.concatenate([np.zeros(0, int), *(np.arange(n) for n in size)])
    box_px = np.concatenate([np.zeros((0, 4), np.float32), *(people.xyxy_px for people in found)])
    score = np.concatenate([np.zeros(0, np.float32), *(people.score for people in found)])
    keep = np.flatnonzero(
        (score >= least_score) & (box_px[:, 2] - box_px[:, 0] > 1) & (box_px[:, 3] - box_px[:, 1] > 1)
    )
    camera, row, box_px, score = camera[keep], row[keep], box_px[keep], score[keep]
    track = np.concatenate([np.zeros(0, int), *(look.track_id for look in looks)])[keep]
    keypoints = np.concatenate([np.zeros((0, 17, 3), np.float32), *(people.keypoints_px for people in found)])[keep]
    dressed = len(found) > 0 and all(look.looks is not None for look in looks)
    look = np.concatenate([look.looks for look in looks])[keep] if dressed else None
    ends = np.searchsorted(camera, np.arange(count + 1))
    slices = tuple(slice(begin, end) for begin, end in pairwise(ends.tolist()))
    box = box_px.astype(float)
    edges = box.copy()
    posed = np.zeros(len(row), bool)
    for _, members, _, least, _, _ in PARTS:
        posed |= (keypoints[:, members, 2] >= least).any(1)
    information, vector = np.zeros((len(row), 3, 3)), np.zeros((len(row), 3))
    theta, covariance = np.zeros((len(row), 3)), np.zeros((len(row), 3, 3))
    for c, camera_id in enumerate(bank.ids):
        mine, of = slices[c], cameras[camera_id]
        if of.distortion.any():
            edges[mine] = undistorted_box(of, box[mine])
        rows = ends[c] + np.flatnonzero(posed[mine])
        if len(rows):
            points = floor_points(
                of, Detections(box_px[rows], score[rows], keypoints[rows]), body.variance(score[rows], posed[rows]),
                body.posture_sigma_m,
            )  # fmt: skip
            information[rows], vector[rows] = points.information, points.vector
            theta[rows], covariance[rows] = points.theta, points.covariance
    middle = (edges[:, LEFT] + edges[:, RIGHT]) / 2
    last = np.array([cameras[camera_id].size_px for camera_id in bank.ids]) - 1 - EDGE_PX
    cut = np.column_stack([box[:, :2] <= EDGE_PX, box[:, 2:] >= last[camera]])
    return Sightings(
        looked, offset_s, camera, row, slices, edges, cut, score.astype(float), _twins(box, score, camera), track,
        information, vector, theta, covariance, posed, box_px, keypoints, look, middle,
        Nearby(middle, camera),
    )  # fmt: skip


def overlap(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Intersection over the smaller box, of boxes (..., 4): near 1 also for a part of a body within the whole."""
    low, high = np.maximum(a[..., :2], b[..., :2]), np.minimum(a[..., 2:], b[..., 2:])
    size, other, common = a[..., 2:] - a[..., :2], b[..., 2:] - b[..., :2], np.maximum(high - low, 0)
    smaller = np.minimum(size[..., 0] * size[..., 1], other[..., 0] * other[..., 1])
    return common[..., 0] * common[..., 1] / np.maximum(smaller, 1e-9)


def _twins(box: np.ndarray, score: np.ndarray, camera: np.ndarray) -> np.ndarray:
    """bool (N,): the same head and most of the same body as a surer box of the camera: one person found twice."""
    wide = box[:, 2] - box[:, 0]
    middle, top = (box[:, 0] + box[:, 2]) / 2, box[:, 1]
    i, k = Nearby(middle, camera).within(middle - SAME_MIDDLE * wide, middle + SAME_MIDDLE * wide, camera)
    # Of each pair the surer first; ties by their order.
    surer = (score[i] > score[k]) | ((score[i] == score[k]) & (i < k))
    i, k = i[surer], k[surer]
    width = np.minimum(wide[i], wide[k])
    same = (np.abs(top[i] - top[k]) < SAME_HEAD * 2.5 * width) & (np.abs(middle[i] - middle[k]) < SAME_MIDDLE * width)
    i, k = i[same], k[same]
    out = np.zeros(len(box), bool)
    out[k[overlap(box[i], box[k]) > SAME_BODY]] = True
    return out
