# SPDX-License-Identifier: AGPL-3.0-or-later
"""Recorded detections of a room without pictures: projection matrices in JSON, boxes in MOT rows a camera.

`cameras.json`: `image_size_px` [w, h], `fps`, `room_m` [x, y] or [x, y, z] (the floor is 0..x, 0..y), `projection`
{camera: 3x4, world metres to homogeneous pixels}; optionally `region_m` [x0, y0, x1, y1], the part of the floor that is
reported (default: where three cameras see a whole standing person), and `gates_m` [[x, y, radius], ...], where people
come in and go out (default: at the region's edge). Detections: `<camera>.det.txt` (or
`<camera>.txt`) with rows `frame,-1,x,y,w,h,score` as in the MOT challenge, x and y the box's top left corner in pixels.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from shapely.geometry import Point, Polygon, box
from shapely.geometry.base import BaseGeometry
from shapely.ops import unary_union

from calibration.camera import Camera
from pipeline.errors import RecordingError
from pipeline.messages import Detections

NS = 1_000_000_000
MARGIN_M = 0.25
"""A step from where people are seen whole."""


@dataclass(frozen=True)
class Room:
    """A floor with cameras around it, and no shelves: what the tracker needs of a layout.

    `region`: what is reported. `entrances`: where people come and go; empty: at the region's edge.
    """

    camera_by_id: dict[str, Camera]
    floor: Polygon
    fps: float
    region: BaseGeometry
    entrances: tuple[Polygon, ...] = ()
    store_id: str = "recording"
    """In the events of who is who."""


@dataclass(frozen=True)
class RecordedBoxes:
    """Boxes of all cameras. `frames`: first and last frame number; `rows`: camera -> float64 (N, 7) MOT rows."""

    rows: dict[str, np.ndarray]

    @property
    def frames(self) -> tuple[int, int]:
        numbers = np.concatenate([r[:, 0] for r in self.rows.values()])
        return int(numbers.min()), int(numbers.max())

    def __iter__(self) -> Iterator[tuple[int, dict[str, Detections]]]:
        """(frame, camera -> its detections), every frame from the first to the last."""
        first, last = self.frames
        ordered = {c: r[np.argsort(r[:, 0], kind="stable")] for c, r in self.rows.items()}
        bounds = np.arange(first, last + 2)
        cuts = {c: np.searchsorted(r[:, 0], bounds) for c, r in ordered.items()}
        for k, frame in enumerate(range(first, last + 1)):
            yield frame, {c: _detections(ordered[c][cuts[c][k] : cuts[c][k + 1]]) for c in ordered}


def load_room(path: Path, fps: float | None = None) -> Room:
    """Read `cameras.json`; `RecordingError` says what is missing."""
    try:
        given = json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise RecordingError(f"{path}: expected JSON with projection matrices, could not read it ({error})") from None
    if not isinstance(given, dict) or not isinstance(given.get("projection"), dict) or not given["projection"]:
        raise RecordingError(f"{path}: expected an object with 'projection': {{camera: 3x4 matrix}}")
    missing = [key for key in ("image_size_px", "room_m") if key not in given]
    if missing:
        raise RecordingError(f"{path}: {missing[0]!r} is missing")
    rate = fps if fps is not None else given.get("fps")
    if rate is None or rate <= 0:
        raise RecordingError(f"{path}: no frame rate: expected a positive 'fps' there, or --fps")
    size = tuple(int(v) for v in given["image_size_px"])
    cameras = {name: _camera(path, name, matrix, size) for name, matrix in sorted(given["projection"].items())}
    width, depth = (float(v) for v in given["room_m"][:2])
    floor = Polygon([(0, 0), (width, 0), (width, depth), (0, depth)])
    region = box(*given["region_m"]) if given.get("region_m") else well_seen(cameras, floor)
    entrances = tuple(Point(x, y).buffer(radius) for x, y, radius in given.get("gates_m", ()))
    return Room(cameras, floor, float(rate), region, entrances)


def with_region(room: Room, region_m: tuple[float, float, float, float] | None) -> Room:
    return room if region_m is None else replace(room, region=box(*region_m))


def well_seen(cameras: dict[str, Camera], floor: Polygon, least: int = 3, step_m: float = 0.1) -> BaseGeometry:
    """Where on the floor `least` cameras (all, where there are fewer) see a standing person whole, from feet to head
    and a quarter of a metre around.

    Elsewhere people cannot be told from reflections or passers-by. The whole floor where no place is seen like that.
    """
    x0, y0, x1, y1 = floor.buffer(2 * MARGIN_M).bounds
    x, y = np.meshgrid(np.arange(x0 + step_m / 2, x1, step_m), np.arange(y0 + step_m / 2, y1, step_m))
    count = np.zeros(x.shape, int)
    for camera in cameras.values():
        whole = [camera.in_view(np.stack([x, y, np.full_like(x, z)], -1)) for z in (0.0, 0.9, 1.75)]
        count += np.logical_and.reduce(whole)
    good = count >= min(least, len(cameras))
    half = step_m / 2
    cells = [box(a - half, b - half, a + half, b + half) for a, b in zip(x[good], y[good], strict=True)]
    # The cells meet at rounded coordinates: closed first, then the margin off.
    region = unary_union(cells).buffer(half).buffer(-half - MARGIN_M).intersection(floor) if cells else Polygon()
    return floor if region.is_empty else region


def load_boxes(folder: Path, camera_ids: list[str]) -> RecordedBoxes:
    """Read the boxes of the named cameras; `RecordingError` names the file."""
    rows = {}
    for camera_id in camera_ids:
        found = [p for p in (folder / f"{camera_id}.det.txt", folder / f"{camera_id}.txt") if p.exists()]
        if not found:
            raise RecordingError(f"{folder}: no {camera_id}.det.txt, though the cameras file has {camera_id}")
        try:
            text = found[0].read_text(encoding="utf-8")
            table = np.loadtxt(text.splitlines(), delimiter=",", ndmin=2) if text.strip() else np.zeros((0, 7))
        except (OSError, ValueError) as error:
            raise RecordingError(f"{found[0]}: expected rows frame,-1,x,y,w,h,score ({error})") from None
        if table.size and table.shape[1] < 7:
            raise RecordingError(f"{found[0]}: expected 7 columns frame,-1,x,y,w,h,score, got {table.shape[1]}")
        rows[camera_id] = table[:, :7] if table.size else np.zeros((0, 7))
    if not any(map(len, rows.values())):
        raise RecordingError(f"{folder}: no detection in any of {', '.join(camera_ids)}")
    return RecordedBoxes(rows)


def _detections(rows: np.ndarray) -> Detections:
    xyxy = np.column_stack([rows[:, 2:4], rows[:, 2:4] + rows[:, 4:6]]).astype(np.float32)
    return Detections(xyxy, rows[:, 6].astype(np.float32), np.zeros((len(rows), 17, 3), np.float32))


def _camera(path: Path, name: str, projection: Any, size_px: tuple[int, int]) -> Camera:
    """A camera of its projection matrix: RQ decomposition (Hartley & Zisserman, 6.2.4)."""
    p = np.asarray(projection, float)
    if p.shape != (3, 4) or not np.isfinite(p).all():
        raise RecordingError(f"{path}: projection of {name}: expected a 3x4 matrix of numbers, got shape {p.shape}")
    if abs(np.linalg.det(p[:, :3])) < 1e-12:
        raise RecordingError(f"{path}: projection of {name} has no camera centre (its left 3x3 is singular)")
    matrix, rotation, position, *_ = cv2.decomposeProjectionMatrix(p)
    signs = np.diag(np.sign(np.diag(matrix)))
    matrix, rotation = matrix @ signs / matrix[2, 2], signs @ rotation
    rotation = rotation * np.sign(np.linalg.det(rotation))
    matrix = matrix * np.sign(matrix[2, 2])
    return Camera(name, size_px, matrix, np.zeros(5), rotation, position[:3, 0] / position[3, 0])
