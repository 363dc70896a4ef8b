# SPDX-License-Identifier: AGPL-3.0-or-later
"""Recordings of detections instead of video: the same folder, with `detections.npz` where `video/` would be
(docs/recording.md), and the same boxes as MOT rows for `walkout track`."""

from __future__ import annotations

import csv
import json
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from calibration.camera import Camera
from pipeline.errors import RecordingError
from pipeline.messages import Detections
from sim.behaviour.play import rng_for
from sim.cameras import TICKS_PER_S, Schedule
from sim.folders import making_folder
from sim.record import START_NS, write_happenings, write_manifest, write_store
from sim.sightings.bodies import BodySamples
from sim.sightings.noise import Noise, Observer, load_noise
from sim.sightings.views import View, static_depth, view
from sim.stage import Stage

DETECTIONS = "detections.npz"
MOT = "mot"
_CHUNK_S = 8.0
GATE_RADIUS_M = 0.9


@dataclass(frozen=True)
class CameraSightings:
    """What a camera's network found. `at_ns`: int64 (L,), every picture's capture time by the camera's own clock.
    `found`: detections of each picture."""

    camera_id: str
    at_ns: np.ndarray
    found: list[Detections]


def record_detections(
    scenario, seed: int, out_dir: Path | str, *, store=None, noise: Noise | None = None, start_ns: int = START_NS
) -> dict:
    """Play a scenario and write what the network would have found in its pictures; returns the manifest.

    Raises:
        ScenarioError: the scenario or the store is wrong. OutputError: the folder is there already or cannot be
            written.
    """
    with making_folder(out_dir) as folder:
        stage = Stage(scenario, seed, store)
        (folder / "truth").mkdir()
        write_store(folder, stage.layout, stage.store.catalogue, stage.store.planogram)
        write_happenings(stage, folder, start_ns)
        seen = sightings(stage, noise or load_noise(), start_ns)
        write_detections(folder / DETECTIONS, seen)
        write_mot(folder / MOT, stage, seen, start_ns)
        play = stage.play
        return write_manifest(
            folder, f"{play.scenario.name}-s{play.seed}", stage.layout.store_id, start_ns, play.duration_s,
            {s.camera_id: len(s.at_ns) for s in seen}, play.scenario.name, play.seed, file=DETECTIONS,
        )  # fmt: skip


def sightings(stage: Stage, noise: Noise, start_ns: int = START_NS) -> list[CameraSightings]:
    """What the network finds in every picture of every camera."""
    plans = stage.schedules()
    samples = BodySamples(stage)
    observers = {
        plan.camera_id: Observer(
            noise,
            stage.layout.camera_by_id[plan.camera_id].size_px,
            rng_for(stage.scenario.name, stage.seed, f"network {plan.camera_id}"),
        )
        for plan in plans
    }
    found: dict[str, list[Detections]] = {plan.camera_id: [] for plan in plans}
    for begin_s in np.arange(0.0, stage.play.duration_s + 1, _CHUNK_S):
        chunk = samples.between(begin_s, begin_s + _CHUNK_S)
        for plan in plans:
            mine = plan.at_s[(plan.at_s >= begin_s) & (plan.at_s < begin_s + _CHUNK_S)]
            if len(mine):
                camera = stage.layout.camera_by_id[plan.camera_id]
                found[plan.camera_id] += _looked(camera, mine, chunk.at(mine), observers[plan.camera_id], stage)
    return [CameraSightings(p.camera_id, _stamps(p, start_ns), found[p.camera_id]) for p in plans]


def _looked(camera: Camera, at_s: np.ndarray, people: list, observer: Observer, stage: Stage) -> list[Detections]:
    seen: View = view(camera, people, static_depth(stage.layout, camera.camera_id))
    bounds = np.searchsorted(seen.picture, np.arange(len(at_s) + 1))
    names = [p.person for p in people]
    out = []
    for k, instant in enumerate(at_s):
        rows = np.arange(bounds[k], bounds[k + 1])
        out.append(observer.look(float(instant), [names[i] for i in seen.person[rows]], seen, rows))
    return out


def _stamps(plan: Schedule, start_ns: int) -> np.ndarray:
    return start_ns + np.round(plan.pts * (1_000_000_000 / TICKS_PER_S)).astype(np.int64)


def write_detections(path: Path, seen: list[CameraSightings]) -> None:
    """Per camera: `.looked_ns` (L,), and a row per person `.at_ns` (N,), `.xyxy_px` (N, 4), `.score` (N,),
    `.keypoints_px` (N, 17, 3): the keys of a run's own `detections.npz`."""
    arrays = {}
    for s in seen:
        joined = {
            "xyxy_px": np.concatenate([d.xyxy_px for d in s.found] or [np.zeros((0, 4), np.float32)]),
            "score": np.concatenate([d.score for d in s.found] or [np.zeros(0, np.float32)]),
            "keypoints_px": np.concatenate([d.keypoints_px for d in s.found] or [np.zeros((0, 17, 3), np.float32)]),
        }
        arrays |= {f"{s.camera_id}.{name}": values for name, values in joined.items()}
        arrays[f"{s.camera_id}.looked_ns"] = s.at_ns
        arrays[f"{s.camera_id}.at_ns"] = np.repeat(s.at_ns, [len(d) for d in s.found])
    np.savez(path, **arrays)


def read_detections(folder: Path) -> list[CameraSightings]:
    """`detections.npz` of a recording or a run; `RecordingError` if it is missing."""
    try:
        with np.load(Path(folder) / DETECTIONS, allow_pickle=False) as file:
            arrays = dict(file)
    except (OSError, ValueError) as error:
        raise RecordingError(f"{Path(folder) / DETECTIONS}: cannot be read as detections: {error}") from None
    out = []
    for camera_id in sorted(name.removesuffix(".looked_ns") for name in arrays if name.endswith(".looked_ns")):
        looked, at_ns = arrays[f"{camera_id}.looked_ns"], arrays[f"{camera_id}.at_ns"]
        boxes, score = arrays[f"{camera_id}.xyxy_px"], arrays[f"{camera_id}.score"]
        points = arrays.get(f"{camera_id}.keypoints_px", np.zeros((len(boxes), 17, 3), np.float32))
        low, high = np.searchsorted(at_ns, looked), np.searchsorted(at_ns, looked, side="right")
        found = [Detections(boxes[a:b], score[a:b], points[a:b]) for a, b in zip(low, high, strict=True)]
        out.append(CameraSightings(camera_id, looked, found))
    return out


def write_mot(folder: Path, stage: Stage, seen: list[CameraSightings], start_ns: int) -> None:
    """The boxes as `walkout track` reads them, and the truth beside them for `walkout score tracks`.

    A projection matrix knows no distortion: boxes are those of an ideal lens. Frame k is what was taken nearest to
    k / fps by the camera's own clock.
    """
    folder.mkdir()
    layout, fps = stage.layout, max(spec.fps for spec in stage.layout.cameras)
    x0, y0, x1, y1 = layout.floor.bounds
    gates = [[*(float(v) for v in np.mean(g.line_m, axis=0)), GATE_RADIUS_M] for g in layout.gates]
    described = {
        "image_size_px": list(layout.cameras[0].size_px), "fps": fps, "room_m": [x1, y1, layout.ceiling_m],
        "region_m": [x0, y0, x1, y1], "gates_m": gates,
        "projection": {name: camera.projection.tolist() for name, camera in layout.camera_by_id.items()},
    }  # fmt: skip
    (folder / "cameras.json").write_text(json.dumps(described, indent=1) + "\n", encoding="utf-8")
    for s in seen:
        camera, rows, taken = layout.camera_by_id[s.camera_id], [], set()
        for at_ns, found in zip(s.at_ns, s.found, strict=True):
            frame = round((at_ns - start_ns) / 1e9 * fps) + 1
            if frame in taken:  # two pictures of a hasty clock in one step: the first counts
                continue
            taken.add(frame)
            for box, score in zip(ideal_boxes(camera, found.xyxy_px), found.score, strict=True):
                x, y, w, h = box[0], box[1], box[2] - box[0], box[3] - box[1]
                rows.append(f"{frame},-1,{x:.1f},{y:.1f},{w:.1f},{h:.1f},{score:.3f}\n")
        (folder / f"{s.camera_id}.det.txt").write_text("".join(rows), encoding="utf-8")
    times = np.arange(int(np.floor(stage.play.duration_s * fps))) / fps
    with (folder / "truth.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(("frame", "person", "x_m", "y_m"))
        for k, states in enumerate(stage.play.timeline.states(times)):
            for state in states:
                x, y = state.floor_xy_m
                if x0 <= x <= x1 and y0 <= y <= y1:
                    writer.writerow((k + 1, state.person_id, f"{x:.4f}", f"{y:.4f}"))


def ideal_boxes(camera: Camera, xyxy_px: np.ndarray) -> np.ndarray:
    """(N, 4): boxes as a lens without distortion would show them, through the middles of their sides."""
    if not len(xyxy_px):
        return np.zeros((0, 4))
    x1, y1, x2, y2 = np.asarray(xyxy_px, float).T
    mx, my = (x1 + x2) / 2, (y1 + y2) / 2
    sides = np.stack([np.stack(p, -1) for p in ((x1, my), (mx, y1), (x2, my), (mx, y2))], 1)
    ideal = cv2.undistortPoints(sides.reshape(-1, 1, 2), camera.matrix, camera.distortion, P=camera.matrix)
    ideal = ideal.reshape(-1, 4, 2)
    return np.stack([ideal[:, 0, 0], ideal[:, 1, 1], ideal[:, 2, 0], ideal[:, 3, 1]], -1)
