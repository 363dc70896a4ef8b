# SPDX-License-Identifier: AGPL-3.0-or-later
"""A run's detections beside the truth of its recording, row by row: what the noise is fitted to."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.optimize import linear_sum_assignment

from calibration.boxes import box_iou
from pipeline.errors import RecordingError
from sim.run_truth import capture_times
from sim.sightings.recording import read_detections

MIN_IOU = 0.3
LEAST_VISIBLE = 0.02
_INSIDE = 0.6


@dataclass(frozen=True)
class Matches:
    """N people in pictures, and M boxes that are nobody's.

    `series` (N,): which camera and person of which recording, `at_s` (N,), `found` bool (N,), `score` (N,),
    `box` (N, 4), `keypoints` (N, 17, 3): the detection's, zeros where not found; `seen`, `full` (N, 4), `visible` (N,),
    `true_points` (N, 17, 2), `flags` (N, 17): the truth's. `rival` (N,): row of the person in the same picture who is
    seen better and whose box overlaps most, -1 for nobody; `overlap` (N,): by how much. `second` (N,): another box
    lies on the person. `false_*`: camera series, time, box and score of boxes on nobody. `looked_s`: seconds watched.
    """

    series: np.ndarray
    at_s: np.ndarray
    found: np.ndarray
    score: np.ndarray
    box: np.ndarray
    keypoints: np.ndarray
    seen: np.ndarray
    full: np.ndarray
    visible: np.ndarray
    true_points: np.ndarray
    flags: np.ndarray
    rival: np.ndarray
    overlap: np.ndarray
    second: np.ndarray
    false_series: np.ndarray
    false_at_s: np.ndarray
    false_box: np.ndarray
    false_score: np.ndarray
    looked_s: float


def match(pairs: Sequence[tuple[Path, Path]]) -> Matches:
    """Match recordings with the runs over them; `RecordingError` where one lacks a file."""
    rows: dict[str, list] = {name: [] for name in Matches.__annotations__ if name != "looked_s"}
    looked_s, count = 0.0, 0
    for number, (recording, run) in enumerate(pairs):
        file = Path(recording) / "truth" / "boxes.npz"
        if not file.exists():
            raise RecordingError(f"{file}: no such file; the noise is fitted to recordings with video and truth")
        with np.load(file, allow_pickle=False) as opened:
            truth = dict(opened)
        manifest = json.loads((Path(recording) / "manifest.json").read_text(encoding="utf-8"))
        files = {c["id"]: Path(recording) / c["file"] for c in manifest["cameras"]}
        cameras = list(truth["cameras"])
        for seen in read_detections(Path(run)):
            index = cameras.index(seen.camera_id)
            captured = capture_times(files[seen.camera_id], manifest["start_ns"])
            of_camera = np.flatnonzero(truth["camera"] == index)
            order = of_camera[np.argsort(truth["frame"][of_camera], kind="stable")]
            frames = truth["frame"][order]
            looked_s += len(seen.at_ns) * float(np.median(np.diff(seen.at_ns))) / 1e9 if len(seen.at_ns) > 1 else 0.0
            for at_ns, detections in zip(seen.at_ns, seen.found, strict=True):
                frame = np.searchsorted(captured, at_ns)
                if frame >= len(captured) or captured[frame] != at_ns:
                    continue
                here = order[np.searchsorted(frames, frame) : np.searchsorted(frames, frame, side="right")]
                here = here[truth["visible"][here] >= LEAST_VISIBLE]
                series = (number * 1000 + index) * 1000
                _one_picture(rows, truth, here, detections, at_ns / 1e9, series, count)
                count += len(here)
    arrays = {name: np.array(values) for name, values in rows.items()}
    for name, shape in (("box", 4), ("seen", 4), ("full", 4), ("false_box", 4)):
        arrays[name] = arrays[name].reshape(-1, shape)
    return Matches(**arrays, looked_s=looked_s)


def _one_picture(rows, truth, here, detections, at_s: float, series: int, before: int) -> None:
    boxes = truth["xyxy_px"][here]
    overlap = box_iou(boxes, detections.xyxy_px)
    mine = np.full(len(here), -1)
    if overlap.size:
        a, b = linear_sum_assignment(-overlap)
        good = overlap[a, b] >= MIN_IOU
        mine[a[good]] = b[good]
    inside = _share_inside(detections.xyxy_px, boxes)
    left = np.setdiff1d(np.arange(len(detections)), mine)
    each_other = box_iou(boxes, boxes)
    for i, row in enumerate(here):
        j = mine[i]
        better = truth["visible"][here] > truth["visible"][row]
        rival = int(np.where(better, each_other[i], -1).argmax()) if better.any() else -1
        values = {
            "series": series + int(truth["person"][row]),
            "at_s": at_s,
            "found": j >= 0,
            "score": detections.score[j] if j >= 0 else 0.0,
            "box": detections.xyxy_px[j] if j >= 0 else np.zeros(4),
            "keypoints": detections.keypoints_px[j] if j >= 0 else np.zeros((17, 3)),
            "seen": boxes[i],
            "full": truth["full_xyxy_px"][row],
            "visible": truth["visible"][row],
            "true_points": truth["keypoints_px"][row],
            "flags": truth["keypoints_visible"][row],
            "rival": before + rival if rival >= 0 else -1,
            "overlap": each_other[i][rival] if rival >= 0 else 0.0,
            "second": bool(len(left) and (inside[left, i] > _INSIDE).any()),
        }
        for name, value in values.items():
            rows[name].append(value)
    for j in left:
        if not len(here) or inside[j].max() < 1 - _INSIDE:
            rows["false_series"].append(series)
            rows["false_at_s"].append(at_s)
            rows["false_box"].append(detections.xyxy_px[j])
            rows["false_score"].append(detections.score[j])


def _share_inside(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """(A, B): share of each box of the one list that lies within each of the other."""
    low, high = np.maximum(a[:, None, :2], b[None, :, :2]), np.minimum(a[:, None, 2:], b[None, :, 2:])
    area = np.maximum((a[:, 2:] - a[:, :2]).prod(-1), 1e-9)
    return np.clip(high - low, 0, None).prod(-1) / area[:, None]
