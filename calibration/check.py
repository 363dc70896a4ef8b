# SPDX-License-Identifier: AGPL-3.0-or-later
"""Does a layout hold together, and what do its cameras see of it? Geometry alone, no pictures.

Resolution on a shelf face: the projection's Jacobian (two pixels by two centimetres on the face: along, up) is taken
by central differences, lens distortion included. `px_per_cm` is the square root of its determinant's magnitude, the
side in pixels of what a square centimetre becomes; `least_px_per_cm` is its smaller singular value, the resolution in
the direction in which the face is seen most obliquely.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from itertools import pairwise

import numpy as np
import shapely

from calibration.camera import Camera
from calibration.layout import Gondola, StoreLayout
from pipeline.errors import LayoutError

GRID_M = 0.1
PERSON_HEIGHT_M = 1.8
PERSON_RADIUS_M = 0.25
FACE_HEIGHT_M = 0.25
"""So much of a shelf's free height is looked at; above the top shelf there may be no goods."""
_STEP_M = 0.002
_OFF_FACE_M = 0.005


@dataclass(frozen=True)
class FaceView:
    """One camera on one shelf face: medians over what it sees, and which share of the face that is."""

    camera_id: str
    px_per_cm: float
    least_px_per_cm: float
    seen_share: float


@dataclass(frozen=True)
class FaceCoverage:
    """One shelf face. `best_px_per_cm` and `second_px_per_cm`: at the face's worst place, the best camera's and
    the next one's `px_per_cm`; 0 where no such camera sees it. `views`: cameras that see any of it, best first.
    """

    gondola_id: str
    shelf_id: str
    best_px_per_cm: float
    second_px_per_cm: float
    views: tuple[FaceView, ...]


@dataclass(frozen=True)
class FloorCoverage:
    """The free floor on a grid.

    `points_m`: float (N, 2). `cameras`: int (N,), how many see the point. `standing_m`: float (M, 2), where a person's
    middle can be. `whole_cameras`: int (M,), how many have such a person in the picture from head to feet.
    """

    points_m: np.ndarray
    cameras: np.ndarray
    standing_m: np.ndarray
    whole_cameras: np.ndarray

    def seen_share(self, cameras: int = 1) -> float:
        """Share of the floor seen by at least so many cameras."""
        return float((self.cameras >= cameras).mean()) if len(self.cameras) else 0.0


@dataclass(frozen=True)
class LayoutReport:
    """`errors`: what makes the layout wrong, a line each. `warnings`: what will work badly."""

    faces: tuple[FaceCoverage, ...]
    floor: FloorCoverage
    errors: tuple[str, ...]
    warnings: tuple[str, ...]

    def figures(self) -> dict:
        """The report as plain numbers and texts, for JSON."""
        return {
            "faces": [asdict(face) for face in self.faces],
            "floor": {f"seen_by_{n}": round(self.floor.seen_share(n), 4) for n in (1, 2, 3)}
            | {"whole_person_seen": round(float((self.floor.whole_cameras > 0).mean()), 4)},
            "errors": list(self.errors),
            "warnings": list(self.warnings),
        }


def check_layout(
    layout: StoreLayout, least_best_px_per_cm: float = 3.0, least_second_px_per_cm: float = 2.0
) -> LayoutReport:
    """Measure a layout; raises nothing. A face below the two limits is a warning."""
    cameras = list(layout.camera_by_id.values())
    faces = tuple(f for gondola in layout.gondolas for f in _gondola_faces(layout, gondola, cameras))
    floor, seen = _floor_coverage(layout, cameras)
    errors = [
        f"camera {camera.camera_id} sees no floor of store {layout.store_id}: check its position_m and look_at_m or "
        f"rotation_vector"
        for camera, some in zip(cameras, seen.any(axis=1), strict=True)
        if not some
    ]
    errors += _ground_plan_errors(layout) + _slot_errors(layout)
    warnings = _ground_plan_warnings(layout)
    weak = [f for f in faces if f.best_px_per_cm < least_best_px_per_cm or f.second_px_per_cm < least_second_px_per_cm]
    if weak:
        worst = min(weak, key=lambda f: (f.best_px_per_cm, f.second_px_per_cm))
        limits = f"{least_best_px_per_cm:g} px/cm in the best or {least_second_px_per_cm:g} in the second camera"
        warnings.append(
            f"{len(weak)} of {len(faces)} shelf faces have less than {limits} somewhere, the worst {worst.shelf_id} of "
            f"gondola {worst.gondola_id} with {worst.best_px_per_cm:.1f} and {worst.second_px_per_cm:.1f}"
        )
    if floor.seen_share() < 1:
        warnings.append(f"{1 - floor.seen_share():.1%} of the floor is seen by no camera")
    return LayoutReport(faces, floor, tuple(errors), tuple(warnings))


def require_sound(layout: StoreLayout, source: str = "layout") -> None:
    """`LayoutError` with the first thing that is wrong and the number of others."""
    errors = check_layout(layout).errors
    if errors:
        more = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
        raise LayoutError(f"{source}: {errors[0]}{more}")


def sees(layout: StoreLayout, camera: Camera, points_m: np.ndarray) -> np.ndarray:
    """bool (...,): is a world point (..., 3) inside the picture and not behind a gondola?"""
    points = np.asarray(points_m, float)
    hidden = layout.shelves.hide(camera.position_m[None], points.reshape(-1, 3)).reshape(points.shape[:-1])
    return camera.in_view(points) & ~hidden


def px_per_cm(gondola: Gondola, camera: Camera, points_m: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Resolution at points (..., 3) on planes parallel to the face: `px_per_cm` and `least_px_per_cm`, (...,), NaN
    where the camera cannot see; occlusion is not considered."""
    columns = []
    for direction in (gondola.right, np.array([0.0, 0, 1])):
        ahead, behind = (camera.project(points_m + s * _STEP_M * direction) for s in (1, -1))
        columns.append((ahead - behind) / (2 * _STEP_M * 100))
    (a, c), (b, d) = (np.moveaxis(column, -1, 0) for column in columns)  # [[a, b], [c, d]]
    area = np.abs(a * d - b * c)
    squares = a * a + b * b + c * c + d * d
    root = np.sqrt(np.maximum(squares**2 - 4 * area**2, 0))
    return np.sqrt(area), np.sqrt(np.maximum((squares - root) / 2, 0))


def _gondola_faces(layout: StoreLayout, gondola: Gondola, cameras: list[Camera]):
    along = gondola.width_m * np.linspace(0.01, 0.99, 13)
    for shelf in gondola.shelves:
        up = shelf.height_m + min(shelf.clearance_m, FACE_HEIGHT_M) * np.array([0.1, 0.5, 0.9])
        points = gondola.to_world(along[:, None], _OFF_FACE_M, up[None]).reshape(-1, 3)
        values = np.zeros((len(cameras), len(points)))
        views = []
        for row, camera in zip(values, cameras, strict=True):
            in_front = gondola.to_face(camera.position_m)[1] > _OFF_FACE_M
            visible = sees(layout, camera, points) & in_front
            if not visible.any():
                continue
            mean, least = px_per_cm(gondola, camera, points)
            row[visible] = np.nan_to_num(mean[visible])
            views.append(
                FaceView(
                    camera.camera_id, float(np.median(row[visible])), float(np.nanmedian(least[visible])),
                    float(visible.mean()),
                )
            )  # fmt: skip
        ranked = np.sort(np.vstack([values, np.zeros((2, len(points)))]), axis=0)[::-1]
        views.sort(key=lambda v: -v.px_per_cm * v.seen_share)
        yield FaceCoverage(gondola.id, shelf.id, float(ranked[0].min()), float(ranked[1].min()), tuple(views))


def _floor_coverage(layout: StoreLayout, cameras: list[Camera]) -> tuple[FloorCoverage, np.ndarray]:
    """Coverage, and bool (C, N) which camera sees which floor point."""
    x0, y0, x1, y1 = layout.floor.bounds
    grid = np.stack(
        np.meshgrid(np.arange(x0 + GRID_M / 2, x1, GRID_M), np.arange(y0 + GRID_M / 2, y1, GRID_M)), axis=-1
    ).reshape(-1, 2)
    solid = shapely.union_all([g.footprint for g in layout.gondolas] + [shapely.Polygon(o) for o in layout.obstacles_m])
    free = layout.floor.difference(solid)
    grid = grid[shapely.contains_xy(free, *grid.T)]
    room = layout.floor.buffer(-PERSON_RADIUS_M).difference(solid.buffer(PERSON_RADIUS_M))
    standing = grid[shapely.contains_xy(room, *grid.T)]
    heights = np.linspace(0, PERSON_HEIGHT_M, 7)
    bodies = np.concatenate(
        [np.repeat(standing[:, None], len(heights), axis=1), np.tile(heights[None, :, None], (len(standing), 1, 1))],
        axis=-1,
    )
    ground = np.column_stack([grid, np.zeros(len(grid))])
    seen = np.array([sees(layout, camera, ground) for camera in cameras]).reshape(len(cameras), len(grid))
    whole = np.array([sees(layout, camera, bodies).all(axis=1) for camera in cameras]).reshape(
        len(cameras), len(standing)
    )
    return FloorCoverage(grid, seen.sum(axis=0), standing, whole.sum(axis=0)), seen


def _ground_plan_errors(layout: StoreLayout) -> list[str]:
    errors = []
    for i, gondola in enumerate(layout.gondolas):
        x, y, _ = gondola.to_world(gondola.width_m / 2, 0.4, 0.0)
        if not layout.floor.contains(shapely.Point(x, y)):
            errors.append(
                f"gondola {gondola.id}: the place in front of its face, ({x:.2f}, {y:.2f}), is outside floor_m"
            )
        for other in layout.gondolas[i + 1 :]:
            common = gondola.footprint.intersection(other.footprint).area
            if common > 1e-3:
                errors.append(f"gondolas {gondola.id} and {other.id} overlap by {common:.2f} m2")
    return errors


def _ground_plan_warnings(layout: StoreLayout) -> list[str]:
    floor = layout.floor.buffer(0.01)
    outside = [g.id for g in layout.gondolas if g.footprint.difference(floor).area > 1e-3]
    return [f"gondolas that stand outside floor_m or reach beyond it: {', '.join(outside)}"] if outside else []


def _slot_errors(layout: StoreLayout) -> list[str]:
    errors = []
    for gondola in layout.gondolas:
        for shelf in gondola.shelves:
            slots = sorted(shelf.slots, key=lambda s: s.start_m)
            for left, right in pairwise(slots):
                if right.start_m < left.end_m - 1e-4:
                    common = left.end_m - right.start_m
                    errors.append(f"slots {left.id} and {right.id} on shelf {shelf.id} overlap by {common:.3f} m")
            if shelf.height_m + shelf.clearance_m > gondola.height_m + 1e-3 and shelf is not gondola.shelves[-1]:
                errors.append(f"shelf {shelf.id} reaches above gondola {gondola.id}'s height_m {gondola.height_m}")
    return errors
