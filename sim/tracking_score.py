# SPDX-License-Identifier: AGPL-3.0-or-later
"""HOTA, CLEAR MOT and identity figures of tracks on the floor, computed by TrackEval."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy.spatial.distance import cdist

Positions = Mapping[int, tuple[list[str], np.ndarray]]
"""Instant -> (names, float (N, 2) metres)."""


@dataclass(frozen=True)
class TrackingScore:
    """`mota`, `idf1`, `hota` as shares; `motp_m` the mean distance of matched pairs; the rest are counts."""

    gate_m: float
    mota: float
    motp_m: float
    idf1: float
    hota: float
    switches: int
    misses: int
    false_positives: int


def score_tracks(truth: Positions, tracks: Positions, gate_m: float) -> TrackingScore:
    """Compare tracks with the truth at every instant of either.

    A pair can match when it is at most `gate_m` apart: similarity is 1 - distance / (2 gate), TrackEval's Euclidean
    similarity, so that 0.5 lies at the gate (Luiten et al., IJCV 2021; Bernardin & Stiefelhagen, 2008; Ristani et al.,
    2016). HOTA is the mean over its 19 localisation thresholds.
    """
    with contextlib.redirect_stdout(io.StringIO()):
        from trackeval.metrics import CLEAR, HOTA, Identity

    truth_index = {name: i for i, name in enumerate(sorted({n for names, _ in truth.values() for n in names}))}
    track_index = {name: i for i, name in enumerate(sorted({n for names, _ in tracks.values() for n in names}))}
    nobody = ([], np.zeros((0, 2)))
    gt_ids, tracker_ids, similarity = [], [], []
    for instant in sorted(set(truth) | set(tracks)):
        truth_names, truth_xy = truth.get(instant, nobody)
        track_names, track_xy = tracks.get(instant, nobody)
        gt_ids.append(np.array([truth_index[n] for n in truth_names], int))
        tracker_ids.append(np.array([track_index[n] for n in track_names], int))
        distance = cdist(np.reshape(truth_xy, (-1, 2)), np.reshape(track_xy, (-1, 2)))
        similarity.append(np.maximum(0, 1 - distance / (2 * gate_m)))
    data = {
        "num_timesteps": len(gt_ids),
        "num_gt_ids": len(truth_index),
        "num_tracker_ids": len(track_index),
        "num_gt_dets": sum(map(len, gt_ids)),
        "num_tracker_dets": sum(map(len, tracker_ids)),
        "gt_ids": gt_ids,
        "tracker_ids": tracker_ids,
        "similarity_scores": similarity,
    }
    quiet = {"PRINT_CONFIG": False}
    clear = CLEAR(quiet).eval_sequence(data)
    identity = Identity(quiet).eval_sequence(data)
    hota = HOTA(quiet).eval_sequence(data)
    empty = not data["num_gt_dets"] or not data["num_tracker_dets"]
    return TrackingScore(
        gate_m=gate_m,
        mota=float(clear["MOTA"]) if data["num_gt_dets"] else float(not data["num_tracker_dets"]),
        motp_m=float("nan") if empty or not clear["CLR_TP"] else float((1 - clear["MOTP"]) * 2 * gate_m),
        idf1=float(identity["IDF1"]) if data["num_gt_dets"] else float(not data["num_tracker_dets"]),
        hota=0.0 if empty else float(np.mean(hota["HOTA"])),
        switches=int(clear["IDSW"]),
        misses=int(clear["CLR_FN"]),
        false_positives=int(clear["CLR_FP"]),
    )
