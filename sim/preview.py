# SPDX-License-Identifier: AGPL-3.0-or-later
"""A scenario to look at without recording it: a contact sheet, the hands at work, the plan, a short film."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from calibration.layout import StoreLayout
from pipeline.errors import OutputError
from sim.behaviour.scenario import load_scenario
from sim.plan_view import PlanView
from sim.record import progress_bar
from sim.stage import Stage, Store, load_store
from sim.video import VideoWriter

_TILE = (480, 270)
_FILM_FPS = 8
_AROUND_S = (-0.6, -0.25, 0.0, 0.25, 0.6, 1.1)
_CROP_M = 1.1


def preview(
    scenario: str | Path,
    seed: int,
    out_dir: str | Path,
    *,
    store: str | Path | None = None,
    film: bool = True,
    progress: bool = True,
) -> list[Path]:
    """Write `sheet.png` (moments by cameras, and the plan), `hands.png` (every reach close up) and `film.mp4`.

    Returns the paths. `OutputError` if they cannot be written.
    """
    out = Path(out_dir)
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{out}: cannot be made: {error.strerror}") from error
    wanted = load_scenario(scenario)
    full = load_store(store or wanted.store)
    stage = Stage(wanted, seed, full)
    small = Stage(wanted, seed, Store(resized(full.layout, _TILE), full.catalogue, full.planogram))
    paths = [out / "sheet.png", out / "hands.png"]
    _save(paths[0], contact_sheet(small))
    hands = hands_sheet(stage)
    if hands is None:
        paths.pop()
    else:
        _save(paths[1], hands)
    if film:
        paths.append(out / "film.mp4")
        write_film(small, paths[-1], progress)
    return paths


def resized(layout: StoreLayout, size_px: tuple[int, int]) -> StoreLayout:
    """The layout with smaller pictures of the same view; each camera keeps its proportions."""
    data = layout.model_dump()
    for spec in data["cameras"]:
        factor = min(size_px[0] / spec["size_px"][0], size_px[1] / spec["size_px"][1])
        spec["size_px"] = tuple(2 * round(v * factor / 2) for v in spec["size_px"])
        spec["focal_px"] = tuple(v * factor for v in spec["focal_px"])
        if spec["centre_px"] is not None:
            spec["centre_px"] = tuple((v + 0.5) * factor - 0.5 for v in spec["centre_px"])
    return StoreLayout.model_validate(data)


class _Pictures:
    """Draws a stage at any instants, in time order."""

    def __init__(self, stage: Stage) -> None:
        self._stage, self._renderer = stage, stage.renderer()
        self._changes = stage.play.timeline.shelf_changes()

    def bodies(self, at_s: float) -> dict:
        return self._stage.bodies(self._stage.play.timeline.states([at_s]))[0]

    def draw(self, at_s: float, bodies: dict, camera_ids) -> dict[str, np.ndarray]:
        while self._changes and self._changes[0][0] <= at_s:
            _, slot_id = self._changes.pop(0)
            self._renderer.replace_static(slot_id, self._stage.slot_mesh(slot_id, at_s))
        movers = self._stage.movers(at_s, bodies)
        return {c: self._renderer.draw(c, movers) for c in camera_ids}


def moments(stage: Stage, count: int = 6) -> list[float]:
    """Instants worth looking at: every handling, filled up with evenly spread ones."""
    times = [h.at_s for h in stage.play.handlings][:count]
    spread = np.linspace(0.15, 0.9, count) * stage.play.duration_s
    for at_s in sorted(spread, key=lambda t: -min([abs(t - x) for x in times] or [np.inf])):
        if len(times) < count:
            times.append(float(at_s))
    return sorted(times)


def contact_sheet(stage: Stage) -> np.ndarray:
    """uint8 BGR: a row a moment, a column a camera, the plan with everybody's path below."""
    pictures = _Pictures(stage)
    ids = [spec.id for spec in stage.layout.cameras]
    rows = []
    for at_s in moments(stage):
        shown = pictures.draw(at_s, pictures.bodies(at_s), ids)
        row = np.hstack([_fit(shown[c], _TILE) for c in ids])
        rows.append(_titled(row, f"{at_s:.1f} s"))
    sheet = np.vstack(rows)
    plan = plan_of(stage, min(960, sheet.shape[1]))
    sheet = np.vstack([sheet, np.full((plan.shape[0], sheet.shape[1], 3), 255, np.uint8)])
    sheet[-plan.shape[0] :, : plan.shape[1]] = plan
    return sheet


def plan_of(stage: Stage, width_px: int, at_s: float | None = None) -> np.ndarray:
    """uint8 BGR: the plan with the whole paths, or the paths up to an instant and who is where then."""
    view = PlanView(stage.layout, width_px)
    paths = {
        name: m.channel("xy")[m.at_s <= (np.inf if at_s is None else at_s)]
        for name, m in stage.play.timeline.motions.items()
    }
    here = {}
    if at_s is not None:
        here = {s.person_id: (s.floor_xy_m, s.heading_rad) for s in stage.play.timeline.states([at_s])[0]}
    hands = [
        stage.play.timeline.everything[h.item_id].history[0].pose[:3, 3]
        for h in stage.play.handlings
        if h.slot_id is not None and (at_s is None or h.at_s <= at_s)
    ]
    return view.draw(paths, here, hands)


def hands_sheet(stage: Stage, views: int = 2) -> np.ndarray | None:
    """uint8 BGR: for every handling the hand from the cameras that see it best, shortly before to shortly after."""
    pictures = _Pictures(stage)
    rows = []
    for event in stage.play.handlings:
        strips: dict[str, list[np.ndarray]] = {}
        middle = pictures.bodies(event.at_s)[event.person]
        chosen = _best_cameras(stage, middle.palms[event.side][:3, 3], middle.keypoints_m, views)
        for offset in _AROUND_S:
            at_s = event.at_s + offset
            bodies = pictures.bodies(at_s)
            if event.person not in bodies:
                continue
            palm = bodies[event.person].palms[event.side][:3, 3]
            for camera_id, image in pictures.draw(at_s, bodies, chosen).items():
                crop = _around(stage, camera_id, image, palm)
                strips.setdefault(camera_id, []).append(_titled(crop, f"{event.kind} {camera_id} {offset:+.2f} s"))
        rows += [np.hstack(strip) for strip in strips.values()]
    if not rows:
        return None
    width = max(r.shape[1] for r in rows)
    return np.vstack([cv2.copyMakeBorder(r, 0, 0, 0, width - r.shape[1], cv2.BORDER_CONSTANT) for r in rows])


def _best_cameras(stage: Stage, palm_m: np.ndarray, body_m: np.ndarray, count: int) -> list[str]:
    """Cameras in whose picture the palm is, those first that see it large and not behind the shopper's back."""
    scores = {}
    for name, camera in stage.layout.camera_by_id.items():
        pixel = camera.project(palm_m)
        if np.isnan(pixel).any() or not camera.in_view(palm_m):
            continue
        towards = camera.position_m - palm_m
        back = body_m[[5, 6, 11, 12]].mean(0) - palm_m
        beside = 1.3 - max(0.0, float(towards[:2] @ back[:2] / np.linalg.norm(towards[:2]) / np.linalg.norm(back[:2])))
        scores[name] = camera.matrix[0, 0] / float(camera.depth_m(palm_m)) * beside
    return sorted(scores, key=scores.get, reverse=True)[:count]


def _around(stage: Stage, camera_id: str, image: np.ndarray, point_m: np.ndarray, size_px: int = 300) -> np.ndarray:
    """A square of about a metre around a point."""
    camera = stage.layout.camera_by_id[camera_id]
    x, y = camera.project(point_m)
    half = int(_CROP_M / 2 * camera.matrix[0, 0] / float(camera.depth_m(point_m)))
    if not np.isfinite([x, y]).all():
        return np.zeros((size_px, size_px, 3), np.uint8)
    padded = cv2.copyMakeBorder(image, half, half, half, half, cv2.BORDER_CONSTANT)
    x, y = int(np.clip(x, 0, image.shape[1])), int(np.clip(y, 0, image.shape[0]))
    return cv2.resize(padded[y : y + 2 * half, x : x + 2 * half], (size_px, size_px), interpolation=cv2.INTER_AREA)


def write_film(stage: Stage, path: Path, progress: bool = True) -> None:
    """All cameras and the plan side by side, H.264."""
    pictures = _Pictures(stage)
    ids = [spec.id for spec in stage.layout.cameras]
    times = np.arange(0.0, stage.play.duration_s, 1 / _FILM_FPS)
    columns = int(np.ceil(np.sqrt(len(ids) + 1)))
    lines = -(-(len(ids) + 1) // columns)
    writer = VideoWriter(path, (columns * _TILE[0], lines * _TILE[1]), _FILM_FPS)
    with progress_bar(progress, "filming preview", len(times)) as advance:
        for k, at_s in enumerate(times):
            shown = pictures.draw(float(at_s), pictures.bodies(float(at_s)), ids)
            tiles = [_titled(_fit(shown[c], _TILE), c) for c in ids]
            tiles.append(_fit(plan_of(stage, _TILE[0], float(at_s)), _TILE))
            tiles += [np.zeros_like(tiles[0])] * (columns * lines - len(tiles))
            picture = np.vstack([np.hstack(tiles[i * columns : (i + 1) * columns]) for i in range(lines)])
            writer.write(picture, round(k / _FILM_FPS * 90_000))
            advance(1)
    writer.close()


def _fit(image: np.ndarray, size_px: tuple[int, int]) -> np.ndarray:
    """The picture within a size, black around it."""
    height, width = image.shape[:2]
    factor = min(size_px[0] / width, size_px[1] / height)
    small = cv2.resize(image, (round(width * factor), round(height * factor)), interpolation=cv2.INTER_AREA)
    out = np.zeros((size_px[1], size_px[0], 3), np.uint8)
    out[: small.shape[0], : small.shape[1]] = small
    return out


def _titled(image: np.ndarray, text: str) -> np.ndarray:
    image = image.copy()
    for colour, thick in (((0, 0, 0), 3), ((255, 255, 255), 1)):
        cv2.putText(image, text, (6, 16), cv2.FONT_HERSHEY_SIMPLEX, 0.45, colour, thick, cv2.LINE_AA)
    return image


def _save(path: Path, image: np.ndarray) -> None:
    if not cv2.imwrite(str(path), image):
        raise OutputError(f"{path}: the picture cannot be written")
