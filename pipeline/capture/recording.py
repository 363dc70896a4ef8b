# SPDX-License-Identifier: AGPL-3.0-or-later
"""Opening a recording (docs/recording.md). `truth/` is for the scorer: nothing here looks into it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from calibration.catalogue import Catalogue, Planogram, load_catalogue, load_planogram
from calibration.layout import StoreLayout, load_layout
from pipeline.errors import RecordingError

SCHEMA_VERSION = 1
MANIFEST = "manifest.json"


@dataclass(frozen=True)
class GateTap:
    """Something shown at a gate.

    `entry`: a pass; `party_size`: how many people it lets in. `staff`: a badge; nobody is billed for what staff do.
    `bring`: a shopper who is inside lets one more in. `join`: a visit that is open already goes onto the shopper's
    bill; `joins` is its id or its shopper's, or None for whoever came in last without a pass.
    """

    at_ns: int
    gate_id: str
    shopper_id: str
    kind: Literal["entry", "staff", "bring", "join"] = "entry"
    party_size: int = 1
    joins: str | None = None

    def __post_init__(self) -> None:
        if type(self.at_ns) is not int or type(self.party_size) is not int or not 1 <= self.party_size <= 20:
            raise ValueError(
                f"at_ns and party_size (1 to 20) must be whole numbers, got {self.at_ns!r} and {self.party_size!r}"
            )
        if self.kind not in ("entry", "staff", "bring", "join"):
            raise ValueError(f"kind must be entry, staff, bring or join, got {self.kind!r}")


@dataclass(frozen=True)
class RecordedVideo:
    """One camera's file. `frames`: how many the recorder wrote, None when the manifest does not say."""

    camera_id: str
    path: Path
    frames: int | None


@dataclass(frozen=True)
class Recording:
    """A recording's manifest; the files beside it are read when first asked for."""

    path: Path
    recording_id: str
    store_id: str
    start_ns: int
    duration_s: float
    videos: tuple[RecordedVideo, ...]
    scenario: str | None = None
    seed: int | None = None

    @classmethod
    def open(cls, path: Path | str) -> Recording:
        """Read and check the manifest and that every video is there.

        `RecordingError`: no recording, written by a newer walkout, empty, a field is missing or of the wrong type, a
        video is missing or has no bytes, or a camera is not in the layout. A video that is cut off is found, and
        reported, when it is read.
        """
        path = Path(path)
        manifest = _read_manifest(path / MANIFEST)
        videos = tuple(_video(path, entry) for entry in _field(path, manifest, "cameras", list))
        if not videos:
            raise RecordingError(f"{path / MANIFEST}: cameras: the recording is empty, no camera was recorded")
        recording = cls(
            path=path,
            recording_id=_field(path, manifest, "recording_id", str),
            store_id=_field(path, manifest, "store_id", str),
            start_ns=_field(path, manifest, "start_ns", int),
            duration_s=float(_field(path, manifest, "duration_s", (int, float))),
            videos=videos,
            scenario=manifest.get("scenario"),
            seed=manifest.get("seed"),
        )
        if recording.duration_s <= 0 or all(video.frames == 0 for video in videos):
            raise RecordingError(
                f"{path}: the recording is empty: {recording.duration_s:g} s, "
                f"{sum(v.frames or 0 for v in videos)} frames; record it again"
            )
        unknown = [v.camera_id for v in videos if v.camera_id not in recording.layout.camera_by_id]
        if unknown:
            raise RecordingError(
                f"{path / MANIFEST}: camera {unknown[0]!r} is not in layout.yaml, "
                f"which has {', '.join(recording.layout.camera_by_id)}"
            )
        return recording

    def require_videos(self) -> None:
        """`RecordingError` for a recording of detections, which has no pictures to look at."""
        if any(video.path.suffix == ".npz" for video in self.videos):
            boxes = self.path / "mot"
            raise RecordingError(
                f"{self.path}: holds detections, no videos: follow the people in it with "
                f"`walkout track --detections {boxes} --cameras {boxes}/cameras.json --out tracks.csv`, "
                "or record it without --detections"
            )

    @cached_property
    def layout(self) -> StoreLayout:
        return load_layout(self.path / "layout.yaml")

    @cached_property
    def catalogue(self) -> Catalogue:
        return load_catalogue(self.path / "catalogue.yaml")

    @cached_property
    def planogram(self) -> Planogram:
        return load_planogram(self.path / "planogram.yaml", self.layout, self.catalogue)

    @cached_property
    def taps(self) -> tuple[GateTap, ...]:
        """Passes shown at the gates, in time order; none when there is no gate.jsonl."""
        file = self.path / "gate.jsonl"
        if not file.exists():
            return ()
        gates = {gate.id for gate in self.layout.gates}
        taps = []
        for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), 1):
            if not line.strip():
                continue
            try:
                tap = GateTap(**json.loads(line))
            except (ValueError, TypeError) as error:
                raise RecordingError(f"{file}:{number}: not a gate tap: {error}") from None
            if tap.gate_id not in gates:
                raise RecordingError(f"{file}:{number}: gate {tap.gate_id!r} is not in the layout")
            taps.append(tap)
        return tuple(sorted(taps, key=lambda tap: tap.at_ns))


def _read_manifest(file: Path) -> dict[str, Any]:
    try:
        manifest = json.loads(file.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        raise RecordingError(f"{file.parent}: not a recording, there is no {MANIFEST} in it") from None
    except (OSError, ValueError) as error:
        raise RecordingError(f"{file}: not readable: {error}") from None
    if not isinstance(manifest, dict):
        raise RecordingError(f"{file}: expected an object, got {type(manifest).__name__}")
    version = _field(file.parent, manifest, "schema_version", int)
    if version > SCHEMA_VERSION:
        raise RecordingError(
            f"{file}: schema_version {version} is newer than {SCHEMA_VERSION}, the newest this walkout reads; update it"
        )
    return manifest


def _field(path: Path, values: dict[str, Any], key: str, kind: Any) -> Any:
    if key not in values:
        raise RecordingError(f"{path / MANIFEST}: {key} is missing")
    if not isinstance(values[key], kind) or isinstance(values[key], bool):
        raise RecordingError(f"{path / MANIFEST}: {key} has the wrong type, {type(values[key]).__name__}")
    return values[key]


def _video(path: Path, entry: Any) -> RecordedVideo:
    if not isinstance(entry, dict):
        raise RecordingError(f"{path / MANIFEST}: cameras: expected objects, got {type(entry).__name__}")
    camera_id = _field(path, entry, "id", str)
    file = path / _field(path, entry, "file", str)
    if not file.is_file():
        raise RecordingError(f"{path}: camera {camera_id}: video {file.relative_to(path)} is missing")
    if not file.stat().st_size:
        raise RecordingError(f"{path}: camera {camera_id}: video {file.relative_to(path)} is empty")
    frames = _field(path, entry, "frames", int) if entry.get("frames") is not None else None
    return RecordedVideo(camera_id, file, frames)
