# SPDX-License-Identifier: AGPL-3.0-or-later
"""Floor tracks as CSV: `frame,person,x_m,y_m`, further columns are not looked at."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np

from pipeline.errors import RecordingError
from sim.tracking_score import Positions

COLUMNS = ("frame", "person", "x_m", "y_m")


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
