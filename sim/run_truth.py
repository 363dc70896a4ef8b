# SPDX-License-Identifier: AGPL-3.0-or-later
"""Reading what is scored: the files of runs and of recordings' truth."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np

from pipeline.errors import RecordingError
from sim.tracking_score import Positions


def capture_times(video: Path, start_ns: int) -> np.ndarray:
    """int64 (frames,): when each picture of a recorded video was taken, as its stamps say."""
    import av

    with av.open(str(video)) as container:
        stream = container.streams.video[0]
        stamps = sorted(p.pts for p in container.demux(stream) if p.pts is not None)
        return np.array([start_ns + round(pts * stream.time_base * 1_000_000_000) for pts in stamps], np.int64)


def read_positions(path: Path, name_column: str) -> Positions:
    rows: dict[int, tuple[list[str], list]] = {}
    with _open(path) as file:
        for row in csv.DictReader(file):
            names, xy = rows.setdefault(int(row["at_ns"]), ([], []))
            names.append(row[name_column])
            xy.append((float(row["x_m"]), float(row["y_m"])))
    return {t: (names, np.array(xy)) for t, (names, xy) in rows.items()}


def read_lines(path: Path) -> list[dict]:
    with _open(path) as file:
        return [json.loads(line) for line in file if line.strip()]


def read_json(path: Path) -> dict:
    with _open(path) as file:
        return json.load(file)


def _open(path: Path):
    try:
        return path.open(encoding="utf-8")
    except FileNotFoundError:
        what = "a scored recording needs its truth" if "truth" in path.parts else "is it complete?"
        raise RecordingError(f"{path}: no such file; {what}") from None
