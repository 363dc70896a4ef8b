# SPDX-License-Identifier: AGPL-3.0-or-later
"""A part of a recording as a recording of its own, with the same capture times and the same pictures.

Videos are cut at key frames and not coded again, so each camera begins up to one group of pictures early. The new
time zero lies on the old one's grid of windows, so that the same pictures share a window as before.
"""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from math import floor
from pathlib import Path

import av

from pipeline.capture.recording import MANIFEST, SCHEMA_VERSION, RecordedVideo, Recording
from pipeline.errors import RecordingError
from pipeline.run_files import write_json, write_whole, writing

NS = 1_000_000_000
_TAPS_BEFORE_NS = 30 * NS
"""Passes shown so long before the cut are kept: whoever showed one may still be on the way in."""


@dataclass(frozen=True)
class _Piece:
    """Of one video: presentation time of the key frame that the cut begins with, and the earliest time stamp of any
    kind in it (decoding may come first), in seconds after the recording's time zero."""

    video: RecordedVideo
    key_s: float
    first_s: float


def cut_recording(recording: Recording, t0_ns: int, t1_ns: int, out: Path) -> Recording:
    """Write what was recorded from `t0_ns` to `t1_ns` to the folder `out`, without truth.

    Raises `RecordingError` when nothing was recorded then, or when it is not made of videos, and `OutputError`.
    """
    begin_s, end_s = ((t - recording.start_ns) / NS for t in (t0_ns, t1_ns))
    if end_s <= 0 or begin_s >= recording.duration_s or end_s <= begin_s:
        raise RecordingError(
            f"{recording.path}: nothing was recorded from {begin_s:.1f} to {end_s:.1f} s of {recording.duration_s:g} s"
        )
    pieces = [p for video in recording.videos if (p := _piece(video, max(begin_s, 0.0), end_s)) is not None]
    if not pieces:
        raise RecordingError(f"{recording.path}: no camera recorded anything from {begin_s:.1f} to {end_s:.1f} s")
    fps = {camera.id: camera.fps for camera in recording.layout.cameras}
    window_s = 1 / max(fps[video.camera_id] for video in recording.videos)
    shift_windows = floor(max(0.0, min(min(p.first_s, p.key_s) for p in pieces)) / window_s)
    start_ns = recording.start_ns + shift_windows * round(window_s * NS)
    with writing(out):
        (out / "video").mkdir(parents=True, exist_ok=True)
        for file in sorted(recording.path.glob("*.yaml")):
            shutil.copy(file, out / file.name)
    shift_s = (start_ns - recording.start_ns) / NS
    cameras, last_s = [], 0.0
    for piece in pieces:
        file = f"video/{piece.video.camera_id}.mp4"
        with writing(out / file):
            frames, newest_s = _copy(piece, out / file, shift_s, end_s)
        cameras.append({"id": piece.video.camera_id, "file": file, "frames": frames})
        last_s = max(last_s, newest_s)
    taps = [t for t in recording.taps if start_ns - _TAPS_BEFORE_NS <= t.at_ns <= t1_ns]
    lines = "".join(json.dumps({k: v for k, v in vars(t).items() if v is not None}) + "\n" for t in taps)
    write_whole(out / "gate.jsonl", lines.encode())
    manifest = {
        "schema_version": SCHEMA_VERSION, "recording_id": f"{recording.recording_id}-cut",
        "store_id": recording.store_id, "start_ns": start_ns, "duration_s": round(last_s + window_s, 3),
        "cameras": cameras, "scenario": recording.scenario, "seed": recording.seed,
    }  # fmt: skip
    write_json(out / MANIFEST, manifest)  # last: a folder without one is no recording
    return Recording.open(out)


def _piece(video: RecordedVideo, begin_s: float, end_s: float) -> _Piece | None:
    """None when the camera has nothing until `end_s`."""
    try:
        with av.open(str(video.path)) as container:
            stream = container.streams.video[0]
            key: _Piece | None = None
            first: float | None = None
            for packet in container.demux(stream):
                if packet.pts is None or packet.dts is None:
                    continue
                at_s, decode_s = float(packet.pts * packet.time_base), float(packet.dts * packet.time_base)
                if packet.is_keyframe:
                    if key is not None and at_s > begin_s:
                        break
                    key, first = _Piece(video, at_s, min(at_s, decode_s)), None
                elif key is not None:
                    first = min(at_s, decode_s) if first is None else min(first, at_s, decode_s)
            if key is None or key.key_s > end_s:
                return None
            return key if first is None else _Piece(video, key.key_s, min(key.first_s, first))
    except (av.FFmpegError, IndexError) as error:
        raise RecordingError(f"{video.path}: camera {video.camera_id} cannot be cut: {error}") from None


def _copy(piece: _Piece, out: Path, shift_s: float, end_s: float) -> tuple[int, float]:
    """How many pictures were copied, and when the last one was taken, in seconds after the new time zero."""
    frames, last_s = 0, 0.0
    with av.open(str(piece.video.path)) as source, av.open(str(out), "w") as target:
        stream = source.streams.video[0]
        copy = target.add_stream_from_template(stream)
        copy.time_base = stream.time_base
        begun = False
        for packet in source.demux(stream):
            if packet.pts is None or packet.dts is None:
                continue
            at_s = float(packet.pts * packet.time_base)
            begun = begun or (packet.is_keyframe and at_s >= piece.key_s)
            if not begun:
                continue
            if float(packet.dts * packet.time_base) > end_s:
                break
            shift = round(shift_s / packet.time_base)
            packet.pts, packet.dts = packet.pts - shift, packet.dts - shift
            packet.stream = copy
            target.mux(packet)
            frames, last_s = frames + 1, max(last_s, at_s - shift_s)
    return frames, last_s
