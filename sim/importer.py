# SPDX-License-Identifier: AGPL-3.0-or-later
"""Makes a recording from plain video files, one a camera, and a store's folder."""

from __future__ import annotations

import errno
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from fractions import Fraction
from pathlib import Path

import av
import av.error

from calibration.layout import CameraSpec
from pipeline.errors import RecordingError
from sim.cameras import TICKS_PER_S
from sim.folders import making_folder
from sim.record import write_manifest, write_store, write_tap_lines
from sim.stage import load_store, with_cameras
from sim.video import VideoWriter


def import_videos(
    store: str | Path,
    videos: Mapping[str, Path],
    out_dir: str | Path,
    *,
    start: str | int = "2026-01-01T09:00:00+00:00",
    taps: Sequence[tuple[float, str]] = (),
    fps: float | None = None,
    recording_id: str | None = None,
) -> dict:
    """Write a recording without truth and return its manifest.

    H.264 is copied as it is, anything else is encoded anew. All videos begin together.

    Args:
        store: folder with `layout.yaml`, `catalogue.yaml` and `planogram.yaml`. videos: camera id -> file.
        start: when the videos begin, ISO 8601 (UTC where it names no zone) or nanoseconds since the Unix epoch.
        taps: (seconds after the start, shopper id) of passes shown at the first gate.
        fps: frames a second where the files' own time stamps are not to be trusted.

    Raises:
        RecordingError: a video cannot be read, is empty, or has another size than the layout says; the camera is
            named. OutputError: the folder is there already or cannot be written.
    """
    if not videos:
        raise RecordingError("no video was given: name one a camera, as CAMERA=FILE")
    start_ns = start if isinstance(start, int) else _nanoseconds(start)
    shop = load_store(store)
    layout = with_cameras(shop.layout, list(videos))
    with making_folder(out_dir) as folder:
        (folder / "video").mkdir()
        frames, ends_s = {}, []
        for spec in layout.cameras:
            target = folder / "video" / f"{spec.id}.mp4"
            frames[spec.id], end_s = _take_over(spec, Path(videos[spec.id]), target, fps)
            ends_s.append(end_s)
        write_store(folder, layout, shop.catalogue, shop.planogram)
        write_tap_lines(folder, layout.gates[0].id, start_ns, sorted(taps))
        name = recording_id or Path(out_dir).name
        return write_manifest(folder, name, layout.store_id, start_ns, round(max(ends_s), 3), frames)


def _nanoseconds(text: str) -> int:
    try:
        instant = datetime.fromisoformat(text)
    except ValueError:
        raise RecordingError(f"start: expected a time such as 2026-01-01T09:00:00+00:00, got {text!r}") from None
    if instant.tzinfo is None:
        instant = instant.replace(tzinfo=UTC)
    since = instant - datetime(1970, 1, 1, tzinfo=UTC)
    return ((since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds) * 1000


def _take_over(spec: CameraSpec, source: Path, target: Path, fps: float | None) -> tuple[int, float]:
    """Copy or encode one video; returns how many frames it has and its length in seconds."""
    if not source.is_file():
        raise RecordingError(f"camera {spec.id}: no such video file {source}")
    try:
        with av.open(str(source)) as container:
            if not container.streams.video:
                raise RecordingError(f"camera {spec.id}: {source} holds no video")
            stream = container.streams.video[0]
            size = (stream.codec_context.width, stream.codec_context.height)
            if size != spec.size_px:
                raise RecordingError(
                    f"camera {spec.id}: {source} is {size[0]}x{size[1]}, the layout says "
                    f"{spec.size_px[0]}x{spec.size_px[1]}"
                )
            take = _copied if stream.codec_context.name == "h264" and fps is None else _encoded
            stamps = list(take(container, stream, spec, target, fps))
    except av.error.FFmpegError as error:
        if error.errno == errno.ENOSPC:
            raise OSError(error.errno, error.strerror) from None
        # av's errors are OSErrors too, but this one is about the file that was given.
        raise RecordingError(f"camera {spec.id}: {source} cannot be read to its end: {error.strerror}") from None
    if not stamps:
        raise RecordingError(f"camera {spec.id}: {source} has no pictures")
    last = float(max(stamps))
    step = last / (len(stamps) - 1) if len(stamps) > 1 else 1 / spec.fps
    return len(stamps), last + step


def _copied(container, stream, _spec, target: Path, _fps) -> Iterator[Fraction]:
    """Packets as they are, the first picture at time zero; yields the time stamps in seconds."""
    packets = [p for p in container.demux(stream) if p.pts is not None and p.size]
    first = min((p.pts for p in packets), default=0)
    with av.open(str(target), "w", options={"movie_timescale": str(TICKS_PER_S)}) as out:
        copy = out.add_stream_from_template(stream)
        for packet in packets:
            packet.pts -= first
            packet.dts = packet.dts - first if packet.dts is not None else packet.pts
            packet.stream = copy
            yield packet.pts * packet.time_base
            out.mux_one(packet)


def _encoded(container, stream, spec, target: Path, fps: float | None) -> Iterator[Fraction]:
    """Pictures encoded anew; yields the time stamps in seconds."""
    writer = VideoWriter(target, spec.size_px, fps or spec.fps, crf=18)
    first, before = None, -1
    for k, frame in enumerate(container.decode(stream)):
        if fps is not None or frame.pts is None:
            at_s = k / Fraction(fps or spec.fps).limit_denominator(100_000)
        else:
            first = frame.pts if first is None else first
            at_s = (frame.pts - first) * frame.time_base
        pts = max(round(at_s * TICKS_PER_S), before + 1)
        writer.write(frame.to_ndarray(format="bgr24"), pts)
        before = pts
        yield Fraction(pts, TICKS_PER_S)
    writer.close()
