# SPDX-License-Identifier: AGPL-3.0-or-later
"""Pictures of tracks beside the truth: floor paths with every change of label marked, and a film of both."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from string import ascii_uppercase

import cv2
import numpy as np
from shapely.geometry import MultiPoint, Polygon

from calibration.layout import load_layout
from pipeline.errors import OutputError, RecordingError
from pipeline.perception.identity.said import Said, said
from sim.identity_events import read_events, warnings
from sim.identity_score import Change, visit_identities
from sim.plan_view import COLOURS, PlanView
from sim.positions import truth_at
from sim.run_truth import read_positions
from sim.sightings.suite import EVENTS, FIGURES
from sim.track_files import read_tracks
from sim.tracking_score import Positions
from sim.video import VideoWriter

_WIDTH_PX, _FILM_FPS, _TRAIL_NS = 760, 8, 3_000_000_000
_NS = 1_000_000_000


@dataclass(frozen=True)
class BareFloor:
    """A floor without a layout: what `PlanView` asks for."""

    floor: Polygon
    gondolas: tuple = ()
    obstacles_m: tuple = ()
    gates: tuple = ()
    camera_by_id: dict = field(default_factory=dict)

    @property
    def floor_m(self) -> np.ndarray:
        return np.array(self.floor.exterior.coords)


@dataclass(frozen=True)
class Scene:
    """What is shown. `truth` and `tracks` at the same instants, in nanoseconds."""

    title: str
    floor: object
    truth: Positions
    tracks: Positions
    changes: tuple[Change, ...]
    said: tuple[Said, ...] = ()


def hard_cases(folder: Path) -> list[Path]:
    """Recordings in the folder of a suite of detections where a label changed, or something was said of one."""
    found = []
    for path in sorted(folder.glob(f"*/{FIGURES}")):
        visits = json.loads(path.read_text(encoding="utf-8"))["visits"]
        if not all(visit["held"] for visit in visits) or said(read_events(path.parent / EVENTS)):
            found.append(path.parent)
    return found


def scene_of_run(recording: Path, tracks: Path) -> Scene:
    """A recording with truth and a run's folder, or a file like its `tracks.csv`."""
    file = tracks / "tracks.csv" if tracks.is_dir() else tracks
    found = read_positions(file, "track")
    truth = truth_at(read_positions(recording / "truth" / "people.csv", "person"), sorted(found))
    visits = json.loads((recording / "truth" / "receipts.json").read_text(encoding="utf-8"))["visits"]
    events = read_events(file.parent / EVENTS)
    changes = [c for v in visit_identities(truth, found, visits, warnings(events)) for c in v.changes]
    layout = load_layout(recording / "layout.yaml")
    return Scene(recording.name, layout, truth, found, tuple(changes), tuple(said(events)))


def scene_of_files(truth: Path, tracks: Path, fps: float, gate_m: float = 0.5) -> Scene:
    """Two files in the form `frame,person,x_m,y_m`."""
    real, found = (
        {round(frame / fps * _NS): rows for frame, rows in read_tracks(path).items()} for path in (truth, tracks)
    )
    if not real:
        raise RecordingError(f"{truth}: there is nobody in it")
    people = sorted({name for names, _ in real.values() for name in names})
    visits = [{"person": name, "entered_at_ns": None, "left_at_ns": None} for name in people]
    changes = [c for v in visit_identities(real, found, visits, gate_m=gate_m) for c in v.changes]
    everywhere = MultiPoint(np.concatenate([xy for _, xy in real.values()])).envelope.buffer(0.3, join_style="mitre")
    return Scene(tracks.name, BareFloor(everywhere), real, found, tuple(changes))


def show(scene: Scene, out_dir: Path, film: bool = True) -> list[Path]:
    """Write `paths.png` and `film.mp4`; returns the paths. `OutputError` if they cannot be written."""
    try:
        out_dir.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{out_dir}: cannot be made: {error.strerror}") from error
    picture = paths_picture(scene)
    if not cv2.imwrite(str(out_dir / "paths.png"), picture):
        raise OutputError(f"{out_dir / 'paths.png'}: the picture cannot be written")
    if not film:
        return [out_dir / "paths.png"]
    write_film(scene, out_dir / "film.mp4")
    return [out_dir / "paths.png", out_dir / "film.mp4"]


def paths_picture(scene: Scene) -> np.ndarray:
    """uint8 BGR: true paths left, tracks right in the colour of the person they began with, the changes in a list."""
    view = PlanView(scene.floor, _WIDTH_PX)
    people, labels = _colours(scene)
    left = _paths(view, scene.truth, people)
    right = _paths(view, scene.tracks, labels)
    for number, change in enumerate(scene.changes, 1):
        x, y = view.pixels(np.array([change.xy_m]))[0].tolist()
        for picture in (left, right):
            cv2.circle(picture, (x, y), 9, (0, 140, 255) if change.flagged else (0, 0, 230), 2, cv2.LINE_AA)
            cv2.putText(
                picture, str(number), (x + 8, y - 8), cv2.FONT_HERSHEY_SIMPLEX, 0.5, (0, 0, 230), 1, cv2.LINE_AA
            )
    for letter, item in zip(_letters(), scene.said, strict=False):
        _mark_said(view, right, scene, letter, item)
    sheet = np.hstack([_titled(left, "truth"), _titled(right, f"tracks: {scene.title}")])
    return np.vstack([sheet, _list(scene, sheet.shape[1])])


def _letters() -> Iterator[str]:
    return ("".join(letters) for n in itertools.count(1) for letters in itertools.product(ascii_uppercase, repeat=n))


def _mark_said(view: PlanView, picture: np.ndarray, scene: Scene, letter: str, item: Said) -> None:
    """A square where what was said begins, green for what corrects labels, orange for a doubt."""
    instant = min(scene.tracks, key=lambda t: abs(t - item.since_ns))
    names, places = scene.tracks[instant]
    there = [place for name, place in zip(names, places, strict=True) if name in item.labels]
    if not there:
        return
    x, y = view.pixels(np.mean(there, axis=0)[None])[0].tolist()
    colour = (0, 140, 255) if item.kind == "ambiguous" else (60, 160, 40)
    cv2.rectangle(picture, (x - 8, y - 8), (x + 8, y + 8), colour, 2, cv2.LINE_AA)
    cv2.putText(picture, letter, (x - 20, y + 4), cv2.FONT_HERSHEY_SIMPLEX, 0.5, colour, 1, cv2.LINE_AA)


def write_film(scene: Scene, path: Path) -> None:
    """Truth and tracks side by side, each with the last seconds of its path."""
    view = PlanView(scene.floor, _WIDTH_PX)
    people, labels = _colours(scene)
    instants = np.array(sorted(set(scene.truth) | set(scene.tracks)))
    shown = np.arange(instants[0], instants[-1], _NS // _FILM_FPS)
    height = 2 * (_paths(view, {}, {}).shape[0] // 2)  # H.264 wants even sizes
    writer = VideoWriter(path, (2 * _WIDTH_PX, height), _FILM_FPS)
    for k, now in enumerate(shown):
        recent = instants[(instants <= now) & (instants > now - _TRAIL_NS)]
        halves = []
        for positions, colours, title in ((scene.truth, people, "truth"), (scene.tracks, labels, "tracks")):
            part = {t: positions[t] for t in recent.tolist() if t in positions}
            picture = _paths(view, part, colours, heads=True)
            for change in scene.changes:
                if now - _TRAIL_NS < change.at_ns <= now:
                    at = tuple(view.pixels(np.array([change.xy_m]))[0].tolist())
                    cv2.circle(picture, at, 14, (0, 0, 230), 3, cv2.LINE_AA)
            halves.append(_titled(picture, f"{title}  {(now - instants[0]) / _NS:.1f} s")[:height])
        writer.write(np.hstack(halves), round(k / _FILM_FPS * 90_000))
    writer.close()


def _colours(scene: Scene) -> tuple[dict[str, tuple], dict[str, tuple]]:
    """Colour of each person, and of each label: that of whom it was with first (black for nobody)."""
    people = {}
    for _, (names, _) in sorted(scene.truth.items()):
        for name in names:
            people.setdefault(name, COLOURS[len(people) % len(COLOURS)])
    labels: dict[str, tuple] = {}
    for at_ns, (names, xy) in sorted(scene.tracks.items()):
        true_names, true_xy = scene.truth.get(at_ns, ([], np.zeros((0, 2))))
        for name, place in zip(names, xy, strict=True):
            if name in labels or not len(true_names):
                continue
            away = np.linalg.norm(true_xy - place, axis=1)
            if away.min() < 0.6:
                labels[name] = people[true_names[int(away.argmin())]]
    return people, labels


def _paths(view: PlanView, positions: Positions, colours: Mapping[str, tuple], heads: bool = False) -> np.ndarray:
    picture = view.draw({})
    paths: dict[str, list] = {}
    for at_ns, (names, xy) in sorted(positions.items()):
        for name, place in zip(names, xy, strict=True):
            paths.setdefault(name, []).append((at_ns, place))
    for name, rows in paths.items():
        colour = colours.get(name, (0, 0, 0))
        points = view.pixels(np.array([p for _, p in rows]))
        times = np.array([t for t, _ in rows])
        for piece in np.split(points, np.flatnonzero(np.diff(times) > _NS) + 1):
            cv2.polylines(picture, [piece.astype(np.int32)], False, colour, 2, cv2.LINE_AA)
        at = tuple(points[-1].tolist())
        if heads:
            cv2.circle(picture, at, 9, colour, -1, cv2.LINE_AA)
        cv2.putText(picture, name, (at[0] + 8, at[1] + 4), cv2.FONT_HERSHEY_SIMPLEX, 0.42, colour, 1, cv2.LINE_AA)
    return picture


def _list(scene: Scene, width: int) -> np.ndarray:
    begin = min([*scene.truth, *scene.tracks])
    lines = [
        f"{i}: {(c.at_ns - begin) / _NS:.1f} s  {c.person}: {c.before} -> {c.after}{'  (warned)' if c.flagged else ''}"
        for i, c in enumerate(scene.changes, 1)
    ] or ["no label changes"]
    for letter, item in zip(_letters(), scene.said, strict=False):
        until = f" to {(item.until_ns - begin) / _NS:.1f} s, {item.chance:.2f}" if item.kind == "ambiguous" else ""
        lines.append(
            f"{letter}: {(item.since_ns - begin) / _NS:.1f} s{until}  the run says: {item.kind} {' '.join(item.labels)}"
        )
    out = np.full((18 * len(lines) + 12, width, 3), 255, np.uint8)
    for i, line in enumerate(lines):
        cv2.putText(out, line, (10, 18 * (i + 1)), cv2.FONT_HERSHEY_SIMPLEX, 0.45, (0, 0, 0), 1, cv2.LINE_AA)
    return out


def _titled(picture: np.ndarray, title: str) -> np.ndarray:
    cv2.putText(picture, title, (10, 20), cv2.FONT_HERSHEY_SIMPLEX, 0.55, (0, 0, 0), 1, cv2.LINE_AA)
    return picture
