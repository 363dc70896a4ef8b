# SPDX-License-Identifier: AGPL-3.0-or-later
"""Find cameras from points clicked in their pictures.

A small bundle adjustment (Triggs et al., 2000; Hartley & Zisserman, ch. 18): the poses of all cameras, one focal
length and one radial distortion that they share, and the coordinates that nobody measured are found together, so that
marks whose place is unknown tie the cameras to each other.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from pydantic import BaseModel, ConfigDict
from scipy.optimize import least_squares

from calibration.camera import Camera, look_at
from calibration.layout import XY, XYZ, CameraSpec, parse_model
from pipeline.errors import LayoutError


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ClickedPoint(_Model):
    at: tuple[float | str, float | str, float | str]
    sigma_px: float | None = None


class Guess(_Model):
    position_m: XYZ
    look_at_m: XYZ


class ClickedCamera(_Model):
    guess: Guess
    clicks: dict[str, XY]


class ClickedPoints(_Model):
    """A file of clicked points; its own comments explain the form."""

    size_px: tuple[int, int]
    scale: float = 1.0
    sigma_px: float = 2.0
    unknowns: dict[str, float] = {}
    points: dict[str, ClickedPoint]
    cameras: dict[str, ClickedCamera]


@dataclass(frozen=True)
class Fit:
    """`cameras` in pixels of the video; `residual_px`: (camera, point) -> distance of the click in those pixels."""

    cameras: tuple[CameraSpec, ...]
    residual_px: dict[tuple[str, str], float]
    points_m: dict[str, np.ndarray]


def fit_file(path: Path | str) -> Fit:
    """Read clicked points and solve. `LayoutError` names a click on a point that the file does not describe."""
    clicked: ClickedPoints = parse_model(ClickedPoints, path)
    for camera_id, camera in clicked.cameras.items():
        for name in camera.clicks:
            if name not in clicked.points:
                raise LayoutError(f"{path}: cameras.{camera_id}.clicks.{name}: no such point under points")
    return fit(clicked)


def fit(clicked: ClickedPoints) -> Fit:
    names = sorted({c for p in clicked.points.values() for c in p.at if isinstance(c, str)})
    index = {name: i for i, name in enumerate(names)}
    camera_ids = list(clicked.cameras)
    width = clicked.size_px[0]
    free = len(names)

    guesses = [c.guess for c in clicked.cameras.values()]
    start = np.concatenate(
        [_start_coordinates(clicked, names)]
        + [[*_rotation_vector(g), *g.position_m] for g in guesses]
        + [[np.log(0.6 * width), 0.0]]
    )

    def coordinates(point: ClickedPoint, x: np.ndarray) -> list[float]:
        return [x[index[c]] if isinstance(c, str) else c for c in point.at]

    def cameras(x: np.ndarray) -> list[Camera]:
        focal, k1 = np.exp(x[-2]), x[-1]
        cx, cy = (clicked.size_px[0] - 1) / 2, (clicked.size_px[1] - 1) / 2
        matrix = np.array([[focal, 0, cx], [0, focal, cy], [0, 0, 1]])
        poses = x[free:-2].reshape(-1, 6)
        return [
            Camera(i, clicked.size_px, matrix, np.array([k1, 0, 0, 0, 0]), cv2.Rodrigues(p[:3])[0], p[3:])
            for i, p in zip(camera_ids, poses, strict=True)
        ]

    def errors_px(x: np.ndarray) -> list[np.ndarray]:
        out = []
        for camera in cameras(x):
            clicks = clicked.cameras[camera.camera_id].clicks
            world = np.array([coordinates(clicked.points[n], x) for n in clicks])
            error = camera.project(world) - np.array(list(clicks.values()))
            # A point that the current guess puts behind the camera must still pull it round.
            out.append(np.where(np.isnan(error), 2.0 * width, error))
        return out

    sigma = [
        np.array([[clicked.points[n].sigma_px or clicked.sigma_px] for n in c.clicks]) for c in clicked.cameras.values()
    ]

    def residuals(x: np.ndarray) -> np.ndarray:
        scaled = [(e / s).ravel() for e, s in zip(errors_px(x), sigma, strict=True)]
        # Cameras hang where somebody could screw them: within half a metre or so of the guess.
        moved = (x[free:-2].reshape(-1, 6)[:, 3:] - [g.position_m for g in guesses]).ravel() / 1.0
        return np.concatenate([*scaled, moved, [x[-1] / 0.02]])

    # Squares first: they pull from far away; then a loss that lets a bad click be bad.
    near = least_squares(residuals, start, x_scale="jac", max_nfev=500).x
    solution = least_squares(residuals, near, loss="soft_l1", x_scale="jac", max_nfev=500).x
    found = [_spec(c, clicked.scale) for c in cameras(solution)]
    off = {
        (camera_id, name): float(np.hypot(*e)) * clicked.scale
        for camera_id, rows in zip(camera_ids, errors_px(solution), strict=True)
        for name, e in zip(clicked.cameras[camera_id].clicks, rows, strict=True)
    }
    points = {n: np.array(coordinates(p, solution)) for n, p in clicked.points.items()}
    return Fit(tuple(found), off, points)


def _start_coordinates(clicked: ClickedPoints, names: list[str]) -> np.ndarray:
    """Unknown coordinates to begin with: where the first camera that has the point would put it by its guess."""
    value = dict(clicked.unknowns)
    width, height = clicked.size_px
    for camera_id, camera in clicked.cameras.items():
        spec = CameraSpec(
            id=camera_id,
            size_px=(width, height),
            focal_px=(0.6 * width, 0.6 * width),
            position_m=camera.guess.position_m,
            look_at_m=camera.guess.look_at_m,
        )
        for name, pixel in camera.clicks.items():
            at = clicked.points[name].at
            height_m = at[2] if isinstance(at[2], float | int) else 0.0
            guess = spec.camera().to_floor(np.array(pixel), height_m)
            for axis in range(2):
                if isinstance(at[axis], str) and np.isfinite(guess[axis]):
                    value.setdefault(at[axis], float(guess[axis]))
    return np.array([value.get(n, 0.0) for n in names])


def _rotation_vector(guess: Guess) -> np.ndarray:
    return cv2.Rodrigues(look_at(np.array(guess.position_m), np.array(guess.look_at_m)))[0].ravel()


def _spec(camera: Camera, scale: float) -> CameraSpec:
    focal = round(float(camera.matrix[0, 0]) * scale, 2)
    width, height = (round(s * scale) for s in camera.size_px)
    return CameraSpec(
        id=camera.camera_id,
        size_px=(width, height),
        focal_px=(focal, focal),
        distortion=(round(float(camera.distortion[0]), 4), 0, 0, 0, 0),
        position_m=tuple(round(float(v), 4) for v in camera.position_m),
        rotation_vector=tuple(round(float(v), 5) for v in cv2.Rodrigues(camera.rotation)[0].ravel()),
    )


def replace_cameras(layout_text: str, cameras: tuple[CameraSpec, ...]) -> str:
    """A layout file's text with its `cameras:` block replaced; everything else, comments too, stays."""
    lines = ["cameras:"]
    for spec in cameras:
        lines.append(f"  - id: {spec.id}")
        for key in ("size_px", "focal_px", "distortion", "position_m", "rotation_vector"):
            lines.append(f"    {key}: {list(getattr(spec, key))}")
    block = "\n".join(lines) + "\n"
    replaced, count = re.subn(r"^cameras:.*\n(?:[ -].*\n)*", lambda _: block, layout_text, flags=re.M)
    if not count:
        raise LayoutError("the layout has no cameras: block to replace")
    return replaced
