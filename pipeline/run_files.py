# SPDX-License-Identifier: AGPL-3.0-or-later
"""The files of a run's folder: whole or not there at all.

Everything is written beside its place under a `.part` name and moved there when it is complete. What cannot be written
(disk full, no permission) is an `OutputError`, and nothing half-written stays.
"""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.errors import OutputError
from pipeline.messages import CameraTracks, Event, FloorTrack, ReceiptIssued

PAYMENTS = "payments.json"
RECEIPTS, EVENTS, TRACKS, SUMMARY = "receipts.json", "events.jsonl", "tracks.csv", "run.json"
DETECTIONS, MOSAIC, FLOOR_PLAN = "detections.npz", "mosaic.mp4", "floorplan.png"
PAPERS = "receipts"
"""Folder of the receipts for people, ID.html each."""
ALL = (RECEIPTS, PAYMENTS, EVENTS, TRACKS, SUMMARY, DETECTIONS, MOSAIC, FLOOR_PLAN)

_HINTS = {
    errno.ENOSPC: "free some space, or choose another folder",
    errno.EDQUOT: "free some space, or choose another folder",
    errno.EFBIG: "the file is larger than the system allows here",
    errno.EACCES: "choose a folder that you may write to",
    errno.EPERM: "choose a folder that you may write to",
    errno.EROFS: "choose a folder that you may write to",
}


def part_of(path: Path) -> Path:
    """Where a file is written before it is complete; keeps the ending, by which writers choose a format."""
    return path.with_name(f"{path.stem}.part{path.suffix}")


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turns `OSError` of what is done inside into an `OutputError` that names `path`."""
    try:
        yield
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else str(error)
        hint = _HINTS.get(error.errno or 0)
        raise OutputError(f"{path}: cannot be written: {reason}{f'; {hint}' if hint else ''}") from error


def replace_whole(path: Path, content: bytes) -> None:
    """Write a file at once, or leave what was there before and raise `OSError`."""
    part = part_of(path)
    try:
        with part.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


def write_whole(path: Path, content: bytes) -> None:
    """As `replace_whole`; what cannot be written is an `OutputError`."""
    with writing(path):
        replace_whole(path, content)


def write_json(path: Path, value: Any) -> None:
    write_whole(path, (json.dumps(value, indent=1, ensure_ascii=False) + "\n").encode("utf-8"))


class Lines:
    """A text file that grows line by line and takes its place when it is `done`."""

    def __init__(self, path: Path, header: str = "") -> None:
        self.path = path
        with writing(path):
            self._file = part_of(path).open("w", encoding="utf-8", newline="\n")
        if header:
            self.write([header])

    def write(self, lines: Sequence[str]) -> None:
        with writing(self.path):
            self._file.writelines(f"{line}\n" for line in lines)

    def done(self) -> None:
        with writing(self.path):
            self._file.flush()
            os.fsync(self._file.fileno())
            self._file.close()
            part_of(self.path).replace(self.path)

    def abandon(self) -> None:
        with suppress(OSError):  # closing writes what is left, to a disk that may be full
            self._file.close()


class RunFolder:
    """The folder that a run writes. As a context manager: on an error, nothing half-written stays."""

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        with writing(self.path):
            self.path.mkdir(parents=True, exist_ok=True)
            for name in ALL:  # results of an earlier run must not be taken for this one's
                (self.path / name).unlink(missing_ok=True)
            for page in (self.path / PAPERS).glob("*.html"):
                page.unlink()
        self._lines: dict[str, Lines] = {}
        self._looks: dict[str, list[CameraTracks]] = {}
        try:
            self._lines = {
                EVENTS: Lines(self.path / EVENTS),
                TRACKS: Lines(self.path / TRACKS, "at_ns,track,x_m,y_m"),
            }
        except OutputError:
            self._clean()
            raise

    def __enter__(self) -> RunFolder:
        return self

    def __exit__(self, kind, *_: object) -> None:
        if kind is not None:
            self._clean()

    def add_events(self, events: Sequence[Event]) -> None:
        self._lines[EVENTS].write([e.model_dump_json() for e in events])

    def add_tracks(self, at_ns: int, tracks: Sequence[FloorTrack]) -> None:
        self._lines[TRACKS].write([f"{at_ns},{t.track_id},{t.floor_xy_m[0]:.4f},{t.floor_xy_m[1]:.4f}" for t in tracks])

    def add_detections(self, cameras: Mapping[str, CameraTracks]) -> None:
        """Keep the boxes of the cameras that were looked at (for measuring the network; a recording's worth)."""
        for camera_id, tracks in cameras.items():
            self._looks.setdefault(camera_id, []).append(tracks)

    def write_receipts(self, receipts: Sequence[ReceiptIssued]) -> None:
        """In the order in which people left."""
        ordered = sorted(receipts, key=lambda r: (r.left_at_ns, r.receipt_id, r.version))
        write_json(self.path / RECEIPTS, {"receipts": [r.model_dump(mode="json") for r in ordered]})

    def write_payments(self, payments: Sequence[Mapping[str, Any]]) -> None:
        write_json(self.path / PAYMENTS, {"payments": list(payments)})

    def finish(self, summary: Mapping[str, Any]) -> None:
        for lines in self._lines.values():
            lines.done()
        if self._looks:
            self._write_detections()
        write_json(self.path / SUMMARY, summary)

    def _write_detections(self) -> None:
        """Per camera: `.looked_ns` (L,), a row per person: `.at_ns` (N,), `.xyxy_px` (N, 4), `.score` (N,),
        `.keypoints_px` (N, 17, 3)."""
        arrays = {}
        for camera_id, looks in sorted(self._looks.items()):
            arrays[f"{camera_id}.looked_ns"] = np.array([look.captured_at_ns for look in looks], np.int64)
            counts = [len(look.detections) for look in looks]
            arrays[f"{camera_id}.at_ns"] = np.repeat(arrays[f"{camera_id}.looked_ns"], counts)
            arrays[f"{camera_id}.xyxy_px"] = np.concatenate([look.detections.xyxy_px for look in looks])
            arrays[f"{camera_id}.score"] = np.concatenate([look.detections.score for look in looks])
            arrays[f"{camera_id}.keypoints_px"] = np.concatenate([look.detections.keypoints_px for look in looks])
        path = self.path / DETECTIONS
        with writing(path):
            np.savez_compressed(part_of(path), **arrays)
            part_of(path).replace(path)

    def _clean(self) -> None:
        for lines in self._lines.values():
            lines.abandon()
        for name in ALL:
            with suppress(OSError):
                part_of(self.path / name).unlink(missing_ok=True)
