# SPDX-License-Identifier: AGPL-3.0-or-later
"""Floor tracks as CSV: `frame,person,x_m,y_m`, and perhaps `var_x_m2,var_y_m2,cov_xy_m2`; other columns are ignored."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np

from pipeline.errors import RecordingError
from sim.tracking_score import Positions
from sim.uncertainty import Covariances

COLUMNS = ("frame", "person", "x_m", "y_m")
SPREAD = ("var_x_m2", "var_y_m2", "cov_xy_m2")
"""Columns that may follow: how well the tracker knows the place."""


def read_tracks(path: Path) -> Positions:
    """frame -> (names, float64 (N, 2) metres); `RecordingError` names file and line."""
    frames: dict[int, dict[str, tuple[float, float]]] = {}
    try:
        with open(path, newline="", encoding="utf-8") as file:
            rows = csv.DictReader(file)
            missing = [c for c in COLUMNS if c not in (rows.fieldnames or ())]
            if missing:
                raise RecordingError(f"{path}: expected a first line with {','.join(COLUMNS)}; {missing[0]} is missing")
            for row in rows:
                try:
                    frame, place = int(float(row["frame"])), (float(row["x_m"]), float(row["y_m"]))
                except (TypeError, ValueError):
                    raise RecordingError(f"{path}, line {rows.line_num}: expected numbers, got {row}") from None
                people = frames.setdefault(frame, {})
                if row["person"] in people:
                    raise RecordingError(
                        f"{path}, line {rows.line_num}: person {row['person']} is twice in frame {frame}"
                    )
                people[row["person"]] = place
    except OSError as error:
        raise RecordingError(f"{path}: cannot be read ({error.strerror})") from None
    return {f: (list(p), np.array(list(p.values()), float)) for f, p in sorted(frames.items())}


def read_covariances(path: Path) -> Covariances | None:
    """frame -> float64 (N, 2, 2), in the order of `read_tracks`; None for a file without those columns."""
    frames: dict[int, list] = {}
    try:
        with open(path, newline="", encoding="utf-8") as file:
            rows = csv.DictReader(file)
            if any(c not in (rows.fieldnames or ()) for c in SPREAD):
                return None
            for row in rows:
                try:
                    x, y, xy = (float(row[c]) for c in SPREAD)
                except (TypeError, ValueError):
                    raise RecordingError(f"{path}, line {rows.line_num}: expected variances, got {row}") from None
                if x <= 0 or y <= 0 or xy * xy >= x * y:
                    raise RecordingError(f"{path}, line {rows.line_num}: {x}, {y}, {xy} is no covariance")
                frames.setdefault(int(float(row["frame"])), []).append(((x, xy), (xy, y)))
    except OSError as error:
        raise RecordingError(f"{path}: cannot be read ({error.strerror})") from None
    return {frame: np.array(values) for frame, values in frames.items()}
