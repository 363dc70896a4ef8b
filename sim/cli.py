# SPDX-License-Identifier: AGPL-3.0-or-later
"""`walkout sim ...`."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from pipeline.errors import WalkoutError
from sim.options import Seed, needs

app = typer.Typer(help="The simulated shop: record, look, import, and run the suite.", no_args_is_help=True)

Scenario = Annotated[str, typer.Argument(metavar="SCENARIO", help="A shipped scenario's name or a YAML file.")]


@app.command("list")
def list_scenarios() -> None:
    """The scenarios that are shipped."""
    from sim.behaviour.scenario import SCENARIOS, load_scenario

    for path in sorted(SCENARIOS.glob("*.yaml")):
        Console().print(f"[bold]{path.stem:12}[/bold] {load_scenario(path).description}")


@app.command()
def record(
    scenario: Scenario,
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder of the recording; made anew.")],
    seed: Seed = 0,
    detections: Annotated[
        bool, typer.Option("--detections", help="Noisy boxes and key points instead of video; nothing is drawn.")
    ] = False,
) -> None:
    """Record a scenario on video with all cameras, with gate taps and the truth."""
    begin = time.perf_counter()
    if detections:
        from sim.sightings.recording import record_detections

        manifest = record_detections(scenario, seed, out)
    else:
        needs("panda3d", "sim")
        from sim.processes import warm_up

        warm_up()
        from sim.record import record as record_scenario

        manifest = record_scenario(scenario, seed, out)
    took = time.perf_counter() - begin
    Console().print(
        f"{out}: {manifest['duration_s']:.1f} s of {len(manifest['cameras'])} cameras in {took:.1f} s "
        f"({manifest['duration_s'] / took:.2f} of real time)"
    )


@app.command()
def preview(
    scenario: Scenario,
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for the contact sheet and the film.")],
    seed: Seed = 0,
) -> None:
    """A contact sheet and a short film of a scenario, to look at."""
    needs("panda3d", "sim")
    from sim.preview import preview as preview_scenario

    for path in preview_scenario(scenario, seed, out):
        Console().print(str(path), soft_wrap=True)


@app.command()
def show(
    truth: Annotated[
        Path, typer.Argument(metavar="REC|TRUTH.csv|SUITE", help="A recording with truth, true places, or a suite.")
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for paths.png and film.mp4.")],
    tracks: Annotated[
        Path | None, typer.Argument(metavar="RUN|TRACKS.csv", help="A run's folder, or found places; none of a suite.")
    ] = None,
    fps: Annotated[float, typer.Option(help="Frames a second of files with frame numbers.")] = 10.0,
    film: Annotated[bool, typer.Option(help="Also the film.")] = True,
) -> None:
    """Tracks beside the truth: floor paths with every change of label marked, and a film.

    Of the folder that `sim suite --detections` wrote: every recording in which a label changed or was doubted.
    """
    from sim.show import hard_cases, scene_of_files, scene_of_run
    from sim.show import show as show_scene

    if tracks is None:
        scenes = [(out / case.name, scene_of_run(case, case)) for case in hard_cases(truth)]
        Console().print(f"{truth}: {len(scenes)} hard cases")
    else:
        scenes = [(out, scene_of_run(truth, tracks) if truth.is_dir() else scene_of_files(truth, tracks, fps))]
    for folder, scene in scenes:
        for path in show_scene(scene, folder, film):
            Console().print(str(path), soft_wrap=True)
        Console().print(f"{scene.title}: {len(scene.changes)} changes of label")


@app.command("import")
def import_footage(
    layout: Annotated[Path, typer.Argument(help="Folder with layout.yaml, catalogue.yaml and planogram.yaml.")],
    videos: Annotated[list[str], typer.Argument(metavar="CAMERA=FILE...", help="One video file a camera.")],
    out: Annotated[Path, typer.Option("--out", "-o")],
    start: Annotated[str, typer.Option(help="When the videos begin, ISO 8601.")] = "2026-01-01T09:00:00+00:00",
    tap: Annotated[
        list[str] | None, typer.Option(help="SECONDS=SHOPPER: a pass shown that long after the start.")
    ] = None,
) -> None:
    """Make a recording from plain video files and a layout."""
    from sim.importer import import_videos

    pairs = dict(_pair(v, "CAMERA=FILE") for v in videos)
    taps = [(float(seconds), shopper) for seconds, shopper in (_pair(t, "SECONDS=SHOPPER") for t in tap or ())]
    import_videos(layout, {camera: Path(file) for camera, file in pairs.items()}, out, start=start, taps=taps)
    Console().print(f"{out}: {len(pairs)} cameras")


@app.command()
def pictures(
    store: Annotated[Path, typer.Argument(metavar="FOLDER", help="A recording of the simulator, or a store's folder.")],
) -> None:
    """Draw the products for people's screens into FOLDER/pictures (recordings have them already)."""
    from sim.shop.pictures import write_pictures
    from sim.stage import load_store

    shop = load_store(store)
    Console().print(f"{store / 'pictures'}: {write_pictures(store, shop.catalogue, shop.planogram)} products")


@app.command("fit-noise")
def fit_noise(
    pairs: Annotated[
        list[str], typer.Argument(metavar="REC=RUN...", help="Recordings with truth, and runs over them.")
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="Settings file to write (YAML).")],
) -> None:
    """Fit the noise of `record --detections` to what the person network found on rendered video."""
    from sim.sightings.fit import fit, save
    from sim.sightings.matches import match
    from sim.sightings.noise import load_noise

    folders = [(Path(recording), Path(run)) for recording, run in (_pair(p, "REC=RUN") for p in pairs)]
    matches = match(folders)
    names = " ".join(recording.name for recording, _ in folders)
    how = f"walkout sim fit-noise on {names}: {len(matches.found)} people in pictures, {matches.looked_s:.0f} s watched"
    noise, kept = fit(matches, load_noise(), how)
    save(noise, out, "Noise of the person network on rendered video, see sim/sightings/noise.py.")
    console = Console(highlight=False)
    console.print(f"{out}: {how}; {matches.found.mean():.3f} found", soft_wrap=True)
    if kept:
        console.print(f"too few examples, as before: {', '.join(kept)}")


@app.command()
def suite(
    scenarios: Annotated[list[str], typer.Argument(metavar="SCENARIO...")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Recordings and runs are kept here.")],
    seeds: Annotated[str, typer.Option(help="FIRST-LAST or a comma-separated list.")] = "0-9",
    keep_video: Annotated[bool, typer.Option(help="Keep the recordings' videos.")] = True,
    detections: Annotated[
        bool, typer.Option("--detections", help="No video: noisy boxes, and the figures of the floor tracker alone.")
    ] = False,
    workers: Annotated[int, typer.Option(min=1, help="Processes, with --detections.")] = 1,
    as_json: Annotated[bool, typer.Option("--json", help="Print the figures for programs.")] = False,
) -> None:
    """Record, run and score scenarios with many seeds, and print the figures of this build."""
    if detections:
        _tracking_suite(scenarios, _seeds(seeds), out, workers, as_json)
        return
    needs("panda3d", "sim")
    from pipeline import runtime
    from sim.record import record as record_scenario
    from sim.report import figures_table
    from sim.suite import run_suite

    console = Console(stderr=as_json)
    scores = run_suite(
        scenarios,
        _seeds(seeds),
        out,
        record=lambda scenario, seed, folder: record_scenario(scenario, seed, folder),
        run=lambda recording, folder: runtime.run(recording, folder, video=False, evidence=False),
        keep_video=keep_video,
        done=lambda s: console.print(
            f"{s.recording_id}: {sum(v.exact for v in s.visits)}/{len(s.visits)} exact, item F1 {s.items.f1:.2f}"
        ),
    )
    for scenario in scenarios:
        mine = [s for s in scores if s.recording_id.startswith(f"{Path(scenario).stem}-s")]
        console.print(figures_table(mine, title=scenario))
    if len(scenarios) > 1:
        console.print(figures_table(scores, title="all scenarios"))
    if as_json:
        print(json.dumps([s.as_dict() for s in scores], indent=1))


def _tracking_suite(scenarios: list[str], seeds: list[int], out: Path, workers: int, as_json: bool) -> None:
    needs("trackeval", "score")
    from sim.record import progress_bar
    from sim.report import tracking_table
    from sim.sightings.suite import figures, run_tracking_suite
    from sim.sightings.trackers import PipelineTracker

    with progress_bar(not as_json, "playing and tracking", len(scenarios) * len(seeds)) as advance:
        results = run_tracking_suite(
            scenarios, seeds, out, PipelineTracker, workers=workers, done=lambda _result: advance(1)
        )
    groups = {name: [r for r in results if r.scenario == Path(name).stem] for name in scenarios}
    groups |= {"all": results} if len(scenarios) > 1 else {}
    table = {name: figures(group) for name, group in groups.items()}
    if as_json:
        print(json.dumps({"scenarios": table, "recordings": [r.as_dict() for r in results]}, indent=1))
    else:
        Console().print(tracking_table(table))


def _pair(text: str, form: str) -> tuple[str, str]:
    left, found, right = text.partition("=")
    if not found or not left or not right:
        raise WalkoutError(f"expected {form}, got {text!r}")
    return left, right


def _seeds(text: str) -> list[int]:
    try:
        if "-" in text:
            first, last = text.split("-")
            return list(range(int(first), int(last) + 1))
        return [int(part) for part in text.split(",")]
    except ValueError:
        raise WalkoutError(f"--seeds: expected FIRST-LAST or a comma-separated list, got {text!r}") from None
