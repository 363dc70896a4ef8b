# SPDX-License-Identifier: AGPL-3.0-or-later
"""Records a scenario: videos of all cameras, gate taps and the truth, in the format of `docs/recording.md`.

Cameras are shared out over worker processes; each works the play out again (a fraction of a second, and the same for
the same seed) rather than being sent it.
"""

from __future__ import annotations

import gc
import json
import os
import queue
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import yaml

from calibration.catalogue import Catalogue, Planogram
from calibration.layout import StoreLayout
from pipeline.errors import OutputError, WalkoutError
from sim.behaviour.scenario import Scenario, load_scenario
from sim.cameras import sensor
from sim.folders import making_folder
from sim.occluders import layout_depth_m
from sim.processes import end_with_parent, keep_freed_memory, worker_context
from sim.shop.pictures import write_pictures
from sim.stage import Stage, load_store, with_cameras
from sim.truth import vertex_areas, visible_boxes
from sim.truth_files import parties, shopper_id, write_boxes, write_events, write_people, write_receipts
from sim.video import VideoWriter

START_NS = 1_767_603_600 * 10**9
"""2026-01-05 09:00 UTC; fixed, so that the same seed gives the same recording."""
_BATCH = 24
_OLDEST_POSE_S = 0.35  # motion while the shutter is open is taken from the camera's frame before, unless it is older
_DUMPER = getattr(yaml, "CSafeDumper", yaml.SafeDumper)


def record(
    scenario: str | Path,
    seed: int,
    out_dir: str | Path,
    *,
    store: str | Path | None = None,
    cameras: Sequence[str] | None = None,
    progress: bool = True,
    start_ns: int = START_NS,
    workers: int | None = None,
) -> dict:
    """Record a scenario to a new folder and return its manifest.

    Args:
        scenario: name of a shipped scenario or path of a file. store: name or folder, by default the scenario's.
        cameras: ids of the cameras to record, by default all.

    Raises:
        ScenarioError, LayoutError: the scenario or the store is wrong. OutputError: the folder is there already or
            cannot be written; nothing is left of it then.
    """
    wanted = load_scenario(scenario)
    layout = with_cameras(load_store(store or wanted.store).layout, cameras)
    with making_folder(out_dir) as folder:
        (folder / "video").mkdir()
        (folder / "truth").mkdir()
        ids = [spec.id for spec in layout.cameras]
        job = _Job(wanted, seed, None if store is None else str(store), str(folder), dict(os.environ))
        stage = Stage(wanted, seed, store, cameras)
        with _Crew(job, ids, workers or min(os.cpu_count() or 1, 2)) as crew:
            # The workers start up meanwhile.
            write_store(folder, stage.layout, stage.store.catalogue, stage.store.planogram)
            write_pictures(folder, stage.store.catalogue, stage.store.planogram)
            write_happenings(stage, folder, start_ns)
            total = sum(len(plan.at_s) for plan in stage.schedules())
            name = f"recording {wanted.name} seed {seed}"
            with progress_bar(progress, name, total) as advance:
                parts = crew.film(stage, advance)
        return _write_boxes_and_manifest(stage, folder, parts, start_ns)


@dataclass(frozen=True)
class _Job:
    scenario: Scenario
    seed: int
    store: str | None
    folder: str
    environment: dict[str, str]


@dataclass(frozen=True)
class CameraPart:
    """What a worker returns of one camera: rows (R,) of its boxes, as in `truth/boxes.npz`."""

    camera_id: str
    frames: int
    rows: dict[str, np.ndarray]


class _Crew:
    """The worker processes, each with a share of the cameras; with one worker everything is done here."""

    def __init__(self, job: _Job, camera_ids: list[str], count: int) -> None:
        count = min(count, len(camera_ids))
        self._job, self._ids = job, camera_ids
        # Neighbours of the list see the same people at the same time: dealt out in turn, shares cost about the same.
        shares = [camera_ids[i::count] for i in range(count)]
        context = worker_context()
        self._inbox = context.Queue() if count > 1 else None
        self._processes = [
            context.Process(target=_work, args=(job, share, self._inbox), daemon=True)
            for share in shares if count > 1
        ]  # fmt: skip

    def __enter__(self) -> _Crew:
        for process in self._processes:
            process.start()
        return self

    def __exit__(self, kind, _error, _trace) -> None:
        for process in self._processes:
            if kind is not None:
                process.terminate()
            process.join()

    def film(self, stage: Stage, advance: Callable[[int], None]) -> list[CameraPart]:
        """Wait for all videos; parts in the order of the cameras."""
        if self._inbox is None:
            return film_share(stage, self._ids, Path(self._job.folder), advance)
        parts: dict[str, CameraPart] = {}
        while len(parts) < len(self._ids):
            try:
                kind, content = self._inbox.get(timeout=1.0)
            except queue.Empty:
                dead = [p.exitcode for p in self._processes if p.exitcode not in (None, 0)]
                if dead:
                    raise OutputError(
                        f"a recording process ended with code {dead[0]}, perhaps for want of memory"
                    ) from None
                continue
            if kind == "frames":
                advance(content)
            elif kind == "parts":
                parts.update({part.camera_id: part for part in content})
            elif kind == "wrong":
                raise content
            else:
                raise RuntimeError(f"a recording process failed:\n{content}")
        return [parts[name] for name in self._ids]


def _work(job: _Job, share: list[str], inbox) -> None:
    """Body of a worker process."""
    end_with_parent()
    try:
        os.environ.update(job.environment)
        cv2.setNumThreads(1)
        keep_freed_memory()
        gc.freeze()  # what was imported stays: no need to look through it for garbage again and again
        stage = Stage(job.scenario, job.seed, job.store)
        inbox.put(("parts", film_share(stage, share, Path(job.folder), lambda n: inbox.put(("frames", n)))))
    except (WalkoutError, OSError) as error:
        inbox.put(("wrong", error))
    except Exception:
        inbox.put(("failed", traceback.format_exc()))


def film_share(stage: Stage, camera_ids: list[str], folder: Path, advance: Callable[[int], None]) -> list[CameraPart]:
    """Make the videos of some cameras in `folder`/video and collect their boxes.

    The pictures of all these cameras are made in the order in which they were taken, because what stands on the
    shelves changes on the way.
    """
    specs = {spec.id: spec for spec in stage.layout.cameras if spec.id in camera_ids}
    cameras = {name: stage.layout.camera_by_id[name] for name in camera_ids}
    plans = {plan.camera_id: plan for plan in stage.schedules() if plan.camera_id in specs}
    sensors = {name: sensor(stage.scenario, stage.seed, specs[name]) for name in camera_ids}
    renderer = stage.renderer()
    depths = {name: layout_depth_m(cameras[name], stage.layout) for name in camera_ids}
    writers = {
        name: VideoWriter(folder / "video" / f"{name}.mp4", specs[name].size_px, specs[name].fps) for name in camera_ids
    }
    areas = {spec.person_id: vertex_areas(stage.standing(spec.person_id)) for spec in stage.play.specs}
    rows: dict[str, list] = {name: [] for name in camera_ids}
    people = {person: i for i, person in enumerate(stage.play.timeline.motions)}
    shots = sorted((at, name, k) for name, plan in plans.items() for k, at in enumerate(plan.at_s))
    changes = stage.play.timeline.shelf_changes()
    past: dict[str, tuple[float, dict]] = {}  # of the same camera, whichever others share the process
    for start in range(0, len(shots), _BATCH):
        batch = shots[start : start + _BATCH]
        states = stage.play.timeline.states([at for at, _, _ in batch])
        for (at_s, name, k), bodies in zip(batch, stage.bodies(states), strict=True):
            while changes and changes[0][0] <= at_s:
                _, slot_id = changes.pop(0)
                renderer.replace_static(slot_id, stage.slot_mesh(slot_id, at_s))
            before = past.get(name) if at_s - past.get(name, (-1.0,))[0] < _OLDEST_POSE_S else None
            drawn = renderer.draw_over(name, stage.movers(at_s, bodies, before, sensors[name].settings.shutter_s))
            past[name] = at_s, bodies
            writers[name].write(sensors[name].apply_over(drawn, k, at_s, stage.light_at(at_s)), plans[name].pts[k])
            if bodies:
                boxes = visible_boxes(cameras[name], [*bodies.values()], depths[name], areas=[areas[p] for p in bodies])
                rows[name].append((k, [people[p] for p in bodies], boxes))
        advance(len(batch))
    for writer in writers.values():
        writer.close()
    return [CameraPart(name, writers[name].frames, _as_rows(rows[name])) for name in camera_ids]


def _as_rows(found: list) -> dict[str, np.ndarray]:
    """Boxes of all frames of a camera side by side."""
    frame = [np.full(len(b.index), k) for k, _, b in found]
    person = [np.array(who, int)[b.index] for _, who, b in found]

    def joined(parts, shape, dtype):
        return np.concatenate(parts).astype(dtype) if parts else np.zeros(shape, dtype)

    boxes = [b for _, _, b in found]
    return {
        "frame": joined(frame, (0,), np.int32),
        "person": joined(person, (0,), np.int32),
        "xyxy_px": joined([b.xyxy_px for b in boxes], (0, 4), np.float32),
        "full_xyxy_px": joined([b.full_xyxy_px for b in boxes], (0, 4), np.float32),
        "visible": joined([b.visible for b in boxes], (0,), np.float32),
        "keypoints_px": joined([b.keypoints_px for b in boxes], (0, 17, 2), np.float32),
        "keypoints_visible": joined([b.keypoints_visible for b in boxes], (0, 17), np.uint8),
    }


def write_store(folder: Path, layout: StoreLayout, catalogue: Catalogue, planogram: Planogram) -> None:
    """The three files that describe the store."""
    for name, model in (("layout", layout), ("catalogue", catalogue), ("planogram", planogram)):
        data = model.model_dump(mode="json", exclude_none=True)
        text = yaml.dump(data, Dumper=_DUMPER, sort_keys=False, allow_unicode=True, default_flow_style=None, width=120)
        (folder / f"{name}.yaml").write_text(text, encoding="utf-8")


def write_manifest(
    folder: Path, recording_id: str, store_id: str, start_ns: int, duration_s: float, frames: dict[str, int],
    scenario: str | None = None, seed: int | None = None, file: str = "video/{}.mp4",
) -> dict:  # fmt: skip
    """Write `manifest.json`, last of all: a folder without one is not a recording. Returns its content.

    `file`: where a camera's pictures are, `{}` stands for its id.
    """
    manifest = {
        "schema_version": 1,
        "recording_id": recording_id,
        "store_id": store_id,
        "start_ns": start_ns,
        "duration_s": duration_s,
        "cameras": [{"id": name, "file": file.format(name), "frames": count} for name, count in frames.items()],
        "scenario": scenario,
        "seed": seed,
    }
    (folder / "manifest.json").write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")
    return manifest


def write_taps(folder: Path, stage: Stage, start_ns: int) -> None:
    """`gate.jsonl` of a play: the passes that were shown, each with how many people it lets in, and staff's badges."""
    party_size = {p[0].person: len(p) for p in parties(stage.play)}
    shown = sorted((v.tapped_s, v.person, v.role) for v in stage.play.visits if v.tapped_s is not None)
    taps = [(at_s, shopper_id(person), party_size.get(person, 1), role) for at_s, person, role in shown]
    write_tap_lines(folder, stage.layout.gates[0].id, start_ns, taps)


def write_tap_lines(folder: Path, gate_id: str, start_ns: int, taps: Sequence[tuple]) -> None:
    """`gate.jsonl` of (seconds after the start, shopper id[, how many people come in[, shopper or staff]])."""
    lines = []
    for at_s, shopper, *more in taps:
        party_size, role = (*more, *(1, "shopper")[len(more) :])
        kind = "staff" if role == "staff" else "entry"
        line = {"at_ns": start_ns + round(at_s * 1e9), "gate_id": gate_id, "shopper_id": shopper, "kind": kind}
        if party_size > 1:
            line["party_size"] = party_size
        lines.append(json.dumps(line) + "\n")
    (folder / "gate.jsonl").write_text("".join(lines), encoding="utf-8")


def write_happenings(stage: Stage, folder: Path, start_ns: int) -> None:
    """Gate taps and the truth that does not depend on the pictures."""
    write_taps(folder, stage, start_ns)
    write_people(folder / "truth" / "people.csv", stage, start_ns)
    write_events(folder / "truth" / "events.jsonl", stage, start_ns)
    write_receipts(folder / "truth" / "receipts.json", stage.play, start_ns)


def _write_boxes_and_manifest(stage: Stage, folder: Path, parts: list[CameraPart], start_ns: int) -> dict:
    play = stage.play
    write_boxes(folder / "truth" / "boxes.npz", [(p.camera_id, p.rows) for p in parts], list(play.timeline.motions))
    return write_manifest(
        folder, f"{play.scenario.name}-s{play.seed}", stage.layout.store_id, start_ns, play.duration_s,
        {p.camera_id: p.frames for p in parts}, play.scenario.name, play.seed,
    )  # fmt: skip


class progress_bar:
    """A rich progress bar; `with` gives the function to move it on."""

    def __init__(self, shown: bool, name: str, total: int) -> None:
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
        self._bar = Progress(*columns, disable=not shown)
        self._task = self._bar.add_task(name, total=total)

    def __enter__(self) -> Callable[[int], None]:
        self._bar.start()
        return lambda n: self._bar.advance(self._task, n)

    def __exit__(self, *_exc) -> None:
        self._bar.stop()
