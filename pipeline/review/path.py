# SPDX-License-Identifier: AGPL-3.0-or-later
"""Where people were on the floor around a moment, out of a run's `tracks.csv`.

The file of a long run is large and sorted by time, so its rows are found by halving, not by reading all of it. A run
that goes on is read, too: its rows are in `tracks.part.csv` until it ends.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pipeline.run_files import TRACKS, part_of

_NEAR = 4096
"""Bytes: below this, halving further is not worth a seek."""


@dataclass(frozen=True)
class TrackPath:
    """One floor track within the time asked for. `visit_id`: whose it is as far as this visit's events say; `mine`: of
    the visit that is looked at. `points`: (`at_ns`, x, y in metres), by time."""

    track_id: str
    visit_id: str | None
    mine: bool
    points: tuple[tuple[int, float, float], ...]


def tracks_file(*folders: Path | None) -> Path | None:
    """The first of these folders' tracks; None when there are none."""
    for folder in filter(None, folders):
        for file in (folder / TRACKS, part_of(folder / TRACKS)):
            if file.is_file():
                return file
    return None


def points_between(file: Path, t0_ns: int, t1_ns: int) -> dict[str, list[tuple[int, float, float]]]:
    """Track -> its points from `t0_ns` to `t1_ns`, both included. `OSError` when the file cannot be read."""
    found: dict[str, list[tuple[int, float, float]]] = {}
    with file.open("rb") as stream:
        stream.seek(_first_from(stream, t0_ns))
        for raw in stream:
            row = _row(raw)
            if row is None:
                continue
            at_ns, track, x_m, y_m = row
            if at_ns > t1_ns:
                break
            if at_ns >= t0_ns:
                found.setdefault(track, []).append((at_ns, x_m, y_m))
    return found


def _first_from(stream, t0_ns: int) -> int:
    """An offset at the beginning of a line, before which all rows are earlier than `t0_ns`."""
    low, high = 0, stream.seek(0, 2)
    while high - low > _NEAR:
        middle = (low + high) // 2
        stream.seek(middle)
        stream.readline()  # the rest of a line
        start = stream.tell()
        if start >= high:
            break
        row = _row(stream.readline())
        if row is not None and row[0] < t0_ns:
            low = start
        else:
            high = middle
    return low


def _row(raw: bytes) -> tuple[int, str, float, float] | None:
    """None for the header, and for a last row that is being written."""
    parts = raw.decode("utf-8", "replace").rstrip("\n").split(",")
    try:
        return int(parts[0]), parts[1], float(parts[2]), float(parts[3])
    except (ValueError, IndexError):
        return None
