# SPDX-License-Identifier: AGPL-3.0-or-later
"""`walkout track`: the floor tracker alone, on recorded boxes."""

from __future__ import annotations

import csv
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from pipeline.errors import OutputError, WalkoutError

if TYPE_CHECKING:
    from pipeline.messages import FloorTrack


def track(
    detections: Annotated[Path, typer.Option("--detections", help="Folder with CAMERA.det.txt, MOT rows.")],
    cameras: Annotated[Path, typer.Option("--cameras", help="cameras.json with projection matrices.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="CSV to write: frame,person,x_m,y_m.")],
    fps: Annotated[float | None, typer.Option("--fps", help="Frames a second; default: what the file says.")] = None,
    lookahead: Annotated[
        float, typer.Option("--lookahead", help="Seconds that the answer may wait for later frames; 0: none.")
    ] = 0.5,
    region: Annotated[
        str | None, typer.Option("--region", help="X0,Y0,X1,Y1 in metres: report only people there.")
    ] = None,
    ambiguous: Annotated[
        Path | None, typer.Option("--ambiguous", help="CSV to write: who may have been exchanged, or is one, and when.")
    ] = None,
    covariance: Annotated[
        bool, typer.Option("--covariance", help="Write how well each place is known, too: var_x_m2,var_y_m2,cov_xy_m2.")
    ] = False,
) -> None:
    """Follow people over all cameras on recorded boxes, and write where each was in every frame."""
    from pipeline.perception.floor.tracker import FloorTracker
    from pipeline.perception.follow import WatchedTracker, follow, frame_of
    from pipeline.perception.identity.said import said
    from pipeline.perception.recorded import load_boxes, load_room, with_region

    if lookahead < 0:
        raise WalkoutError(f"--lookahead: expected seconds >= 0, got {lookahead:g}")
    room = with_region(load_room(cameras, fps), _region(region))
    boxes = load_boxes(detections, sorted(room.camera_by_id))
    begin = time.perf_counter()
    rows, frames, people = [], 0, set()
    floor = WatchedTracker(room) if ambiguous is not None else FloorTracker(room)
    for frame, tracks in follow(room, boxes, lookahead, floor):
        frames += 1
        people |= {t.track_id for t in tracks}
        rows += [(frame, int(t.track_id[1:]), *_numbers(t, covariance)) for t in tracks]
    took = time.perf_counter() - begin
    spread = ("var_x_m2", "var_y_m2", "cov_xy_m2") if covariance else ()
    _write(out, ("frame", "person", "x_m", "y_m", *spread), rows)
    if ambiguous is not None:
        told = [
            (*(int(label[1:]) for label in s.labels), frame_of(s.since_ns, room), frame_of(s.until_ns, room), s.kind,
             "" if s.chance is None else round(s.chance, 3))
            for s in said(floor.finish())
        ]  # fmt: skip
        _write(ambiguous, ("person", "other", "first_frame", "last_frame", "told", "exchange_probability"), told)
    Console().print(
        f"{out}: {len(people)} people in {frames} frames of {len(room.camera_by_id)} cameras, "
        f"{frames / max(took, 1e-9):.0f} frames a second",
        highlight=False,
        soft_wrap=True,
    )


def _numbers(track: FloorTrack, covariance: bool) -> list[float]:
    spread = [(0, 0), (1, 1), (0, 1)] if covariance else []
    return [round(float(v), 4) for v in track.floor_xy_m] + [round(float(track.covariance_m2[c]), 6) for c in spread]


def _write(path: Path, columns: tuple[str, ...], rows: list[tuple]) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(path, "w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(columns)
            writer.writerows(rows)
    except OSError as error:
        raise OutputError(f"{path}: cannot be written ({error.strerror})") from None


def _region(text: str | None) -> tuple[float, float, float, float] | None:
    if text is None:
        return None
    try:
        x0, y0, x1, y1 = (float(v) for v in text.split(","))
    except ValueError:
        raise WalkoutError(f"--region: expected X0,Y0,X1,Y1 in metres, got {text!r}") from None
    if x1 <= x0 or y1 <= y0:
        raise WalkoutError(f"--region: expected X0 < X1 and Y0 < Y1, got {text!r}")
    return x0, y0, x1, y1
