# SPDX-License-Identifier: AGPL-3.0-or-later
"""The floor plan of a case: the store from above, who walked where, and the moments of the events, for an inline SVG.

Coordinates are centimetres on the floor with y turned down, as SVG has it, so that line widths are whole numbers.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from calibration.layout import StoreLayout

_MARGIN_CM = 30
_MARK_CM = 36
_LONGEST_PATH = 400
"""Points of a path on the page: more would not be seen, and a visit of an hour has 36,000."""


@dataclass(frozen=True)
class Moment:
    """Where somebody was when an event happened. `number`: as the events of the case are numbered."""

    event_id: str
    number: int
    x_cm: float
    y_cm: float


@dataclass(frozen=True)
class PathView:
    """`points`: for a polyline. `timed`: (ms since the Unix epoch, x_cm, y_cm), for the dot that moves with the clips:
    scripts count exactly up to 2^53, and ns are more. `mine`: of the shopper concerned."""

    label: str
    mine: bool
    points: str
    timed: tuple[tuple[int, float, float], ...]


@dataclass(frozen=True)
class PlanView:
    """`shelves`: (id, corners, x_cm, y_cm of the label). `cameras`: (id, corners, saw it)."""

    view_box: str
    floor: str
    obstacles: tuple[str, ...]
    shelves: tuple[tuple[str, str, float, float], ...]
    fronts: tuple[str, ...]
    gates: tuple[str, ...]
    cameras: tuple[tuple[str, str, bool], ...]
    paths: tuple[PathView, ...]
    moments: tuple[Moment, ...]

    @property
    def track(self) -> list[tuple[int, float, float]]:
        """Where the shopper concerned was, in time order."""
        return sorted(point for path in self.paths for point in path.timed)


def plan_of(
    layout: StoreLayout,
    paths: Iterable[tuple[str, bool, Sequence[tuple[int, float, float]]]],
    moments: Iterable[tuple[str, int]],
    saw: Iterable[str] = (),
) -> PlanView:
    """Args:
    paths: label, whether it is the shopper's concerned, and (at_ns, x_m, y_m) in time order.
    moments: event id and the ns at which it happened; put on the first path that is the shopper's. One without a
        position within two seconds is left out: a guess would be worse than nothing.
    saw: ids of the cameras that have a clip.
    """
    paths, saw = list(paths), set(saw)
    low, high = _extent(layout, [point for _, _, points in paths for point in points])
    mine = [point for _, own, points in paths if own for point in points]
    return PlanView(
        view_box=f"{low[0]:.0f} {low[1]:.0f} {high[0] - low[0]:.0f} {high[1] - low[1]:.0f}",
        floor=_points(layout.floor_m),
        obstacles=tuple(_points(obstacle) for obstacle in layout.obstacles_m),
        shelves=tuple(_shelf(gondola) for gondola in layout.gondolas),
        fronts=tuple(
            _points(gondola.to_world(np.array([0, gondola.width_m]), 0.0, 0.0)[:, :2]) for gondola in layout.gondolas
        ),
        gates=tuple(_points(gate.line_m) for gate in layout.gates),
        cameras=tuple((c.id, _camera(layout.camera_by_id[c.id]), c.id in saw) for c in layout.cameras),
        paths=tuple(_path(*path) for path in paths if path[2]),
        moments=tuple(_moments(moments, mine)),
    )


def _extent(layout: StoreLayout, points: Sequence[tuple[int, float, float]]) -> tuple[np.ndarray, np.ndarray]:
    """Lowest and highest x and y (cm) of what stands there and of the paths, which begin and end outside."""
    corners = [layout.floor_m, *(np.array(g.footprint.exterior.coords) for g in layout.gondolas)]
    corners += [g.line_m for g in layout.gates] + [[c.position_m[:2]] for c in layout.cameras]
    corners += [[point[1:] for point in points]] if points else []
    all_cm = _cm(np.concatenate([np.array(part, float) for part in corners]))
    return all_cm.min(0) - _MARGIN_CM, all_cm.max(0) + _MARGIN_CM


def _shelf(gondola: Any) -> tuple[str, str, float, float]:
    x, y = _cm(np.array(gondola.footprint.centroid.coords[0]))
    return gondola.id, _points(np.array(gondola.footprint.exterior.coords)[:-1]), round(float(x)), round(float(y))


def _camera(camera: Any) -> str:
    at, ahead = np.array(camera.position_m[:2]), camera.rotation[2, :2]
    ahead = ahead / max(float(np.linalg.norm(ahead)), 1e-9)
    side = np.array([-ahead[1], ahead[0]])
    return _points(np.array([at, at + 0.12 * (1.6 * ahead + side), at + 0.12 * (1.6 * ahead - side)]))


def _path(label: str, mine: bool, points: Sequence[tuple[int, float, float]]) -> PathView:
    kept = points[:: max(1, -(-len(points) // _LONGEST_PATH))]
    xy_cm = np.round(_cm(np.array([p[1:] for p in kept]))).tolist()
    timed = tuple((p[0] // 1_000_000, x, y) for p, (x, y) in zip(kept, xy_cm, strict=True)) if mine else ()
    return PathView(label, mine, _text(xy_cm), timed)


def _moments(moments: Iterable[tuple[str, int]], path: list[tuple[int, float, float]]) -> Iterable[Moment]:
    taken: set[tuple[int, int]] = set()
    for number, (event_id, at_ns) in enumerate(moments, start=1):
        nearest = min(path, key=lambda p: abs(p[0] - at_ns), default=None)
        if nearest is not None and abs(nearest[0] - at_ns) <= 2_000_000_000:
            x, y = (round(float(v)) for v in _cm(np.array(nearest[1:])))
            while any(abs(x - tx) < _MARK_CM and abs(y - ty) < _MARK_CM for tx, ty in taken):
                x += _MARK_CM  # beside the one that is there, as two hands into one shelf are
            taken.add((x, y))
            yield Moment(event_id, number, x, y)


def _cm(xy_m: np.ndarray) -> np.ndarray:
    return np.asarray(xy_m, float) * (100, -100)


def _points(xy_m: Any) -> str:
    return _text(np.round(_cm(np.array(xy_m))).tolist())


def _text(xy_cm: Iterable[Sequence[float]]) -> str:
    return " ".join(f"{x:.0f},{y:.0f}" for x, y in xy_cm)
