# SPDX-License-Identifier: AGPL-3.0-or-later
"""Play, detect, track and score many visits without a picture: the tracker's figures on hundreds of seeds."""

from __future__ import annotations

import json
import multiprocessing
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from calibration.layout import load_layout
from pipeline.errors import ScenarioError
from pipeline.messages import CameraTracks, Event, FloorTrack
from sim.identity_events import IdentityCounts, identities
from sim.identity_score import VisitIdentity
from sim.positions import by_stay, inside_the_shop, truth_at
from sim.run_truth import read_positions
from sim.sightings.recording import read_detections, record_detections
from sim.tracking_score import Positions, TrackingScore, score_tracks

TRACKS, EVENTS, FIGURES = "tracks.csv", "events.jsonl", "tracking.json"


class Tracker(Protocol):
    """What follows people on the floor; a new one for every recording. `events`: what it said of who is who so far."""

    events: list[Event]

    def update(self, looks: Sequence[CameraTracks], at_ns: int) -> list[FloorTrack]: ...

    def finish(self) -> None: ...


@dataclass(frozen=True)
class Tracked:
    """One recording's figures. `visits`: identities after the corrections that were said. `seconds`: of the recording;
    `record_s`, `track_s`: processor time that it took, None if the recording was there already."""

    recording_id: str
    scenario: str
    seed: int
    floor: TrackingScore
    visits: tuple[VisitIdentity, ...]
    identity: IdentityCounts
    seconds: float
    record_s: float | None
    track_s: float

    def as_dict(self) -> dict:
        visits = [asdict(v) | {"held": v.held} for v in self.visits]
        return asdict(self) | {"visits": visits}


def windows(folder: Path, step_s: float) -> Iterator[tuple[int, list[CameraTracks]]]:
    """(middle of the window, what cameras saw in it) of a recording of detections, in time order."""
    cameras = read_detections(folder)
    first = min(int(c.at_ns.min()) for c in cameras if len(c.at_ns))
    step = round(step_s * 1e9)
    looks: dict[int, dict[str, CameraTracks]] = {}
    for camera in cameras:
        for at_ns, found in zip(camera.at_ns, camera.found, strict=True):
            number = (int(at_ns) - first + step // 2) // step
            looks.setdefault(number, {})[camera.camera_id] = CameraTracks(
                camera.camera_id, int(at_ns), found, np.full(len(found), -1)
            )
    for number in sorted(looks):
        yield first + number * step, list(looks[number].values())


def track(folder: Path, tracker: Tracker, step_s: float) -> tuple[Positions, list[Event]]:
    """Run a tracker over a recording of detections."""
    positions: Positions = {}
    for at_ns, looks in windows(folder, step_s):
        found = tracker.update(looks, at_ns)
        xy = np.array([t.floor_xy_m for t in found], float).reshape(-1, 2)
        positions[at_ns] = ([t.track_id for t in found], xy)
    tracker.finish()
    return positions, tracker.events


def score_tracking(
    folder: Path, tracks: Positions, events: Sequence[Event], gate_m: float = 0.5
) -> tuple[TrackingScore, list[VisitIdentity], IdentityCounts]:
    """Tracks, and what was said of who is who, against a recording's truth."""
    people = read_positions(folder / "truth" / "people.csv", "person")
    truth, stays = truth_at(people, sorted(tracks)), truth_at(by_stay(people), sorted(tracks))
    inside, kept = inside_the_shop(stays, tracks, load_layout(folder / "layout.yaml"), gate_m)
    visits = json.loads((folder / "truth" / "receipts.json").read_text(encoding="utf-8"))["visits"]
    return score_tracks(inside, kept, gate_m), *identities(truth, tracks, visits, events, gate_m)


def write_tracks(path: Path, tracks: Positions) -> None:
    """`at_ns,track,x_m,y_m`, as a run writes them."""
    lines = ["at_ns,track,x_m,y_m"]
    for at_ns, (names, xy) in sorted(tracks.items()):
        lines += [f"{at_ns},{name},{x:.4f},{y:.4f}" for name, (x, y) in zip(names, xy, strict=True)]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def one(scenario: str, seed: int, folder: Path, make_tracker: Callable[[Path], Tracker]) -> Tracked:
    """Record (unless it is there already), track and score one; tracks and figures are written into its folder."""
    begin = time.process_time()
    out = folder / f"{Path(scenario).stem}-s{seed}"
    known = (out / "manifest.json").exists()
    if not known:
        record_detections(scenario, seed, out)
    manifest = json.loads((out / "manifest.json").read_text(encoding="utf-8"))
    recorded = time.process_time()
    fps = max(spec.fps for spec in load_layout(out / "layout.yaml").cameras)
    tracks, events = track(out, make_tracker(out), 1 / fps)
    tracked = time.process_time()
    write_tracks(out / TRACKS, tracks)
    (out / EVENTS).write_text("".join(e.model_dump_json() + "\n" for e in events), encoding="utf-8")
    floor, visits, identity = score_tracking(out, tracks, events)
    result = Tracked(
        manifest["recording_id"], Path(scenario).stem, seed, floor, tuple(visits), identity, manifest["duration_s"],
        None if known else recorded - begin, tracked - recorded,
    )  # fmt: skip
    (out / FIGURES).write_text(json.dumps(result.as_dict(), indent=1), encoding="utf-8")
    return result


def run_tracking_suite(
    scenarios: Sequence[str],
    seeds: Sequence[int],
    folder: Path,
    make_tracker: Callable[[Path], Tracker],
    *,
    workers: int = 1,
    done: Callable[[Tracked], None] = lambda result: None,
) -> list[Tracked]:
    """Every scenario with every seed, on `workers` processes; `done` is called as each is ready.

    `make_tracker` gets the recording's folder and must be importable (it is sent to the processes by name).
    """
    if not 0 <= min(seeds) <= max(seeds) <= 999:
        raise ScenarioError(f"seeds are 0 to 999, got {min(seeds)} to {max(seeds)}")
    jobs = [(s, seed, folder, make_tracker) for s in scenarios for seed in seeds]
    results = []
    if workers == 1:
        for job in jobs:
            results.append(one(*job))
            done(results[-1])
        return results
    with ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn")) as pool:
        for future in [pool.submit(one, *job) for job in jobs]:
            results.append(future.result())
            done(results[-1])
    return results


def figures(results: Sequence[Tracked]) -> dict:
    """The figures of several recordings together; shares are None where there is nothing to share out."""
    made = [r for r in results if r.record_s is not None]

    def share(part: float, of: float) -> float | None:
        return part / of if of else None

    identity = sum((r.identity for r in results), IdentityCounts())
    return {
        "recordings": len(results),
        "visits": identity.visits,
        "idf1": float(np.mean([r.floor.idf1 for r in results])) if results else None,
        "mota": float(np.mean([r.floor.mota for r in results])) if results else None,
        "switches": sum(r.floor.switches for r in results),
        **identity.shares(),
        "record_x_real_time": share(sum(r.seconds for r in made), sum(r.record_s for r in made)),
        "track_x_real_time": share(sum(r.seconds for r in results), sum(r.track_s for r in results)),
    }
