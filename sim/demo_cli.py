# SPDX-License-Identifier: AGPL-3.0-or-later
"""`walkout demo`: a visit in the simulated shop from the cameras to the pages, and the score that it shows."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from sim.options import Seed, needs


def score(
    recording: Annotated[Path, typer.Argument(metavar="REC", help="A recording with truth/.")],
    run: Annotated[Path, typer.Argument(metavar="RUN", help="What `walkout run` wrote for it.")],
    gate_m: Annotated[float, typer.Option("--gate", help="A track further away than this is a miss, metres.")] = 0.5,
    as_json: Annotated[bool, typer.Option("--json", help="Print the figures for programs.")] = False,
) -> None:
    """Compare a run with the truth of its recording."""
    needs("trackeval", "score")
    from calibration.catalogue import load_catalogue
    from sim.report import print_score
    from sim.score import score_run

    result = score_run(recording, run, gate_m)
    if as_json:
        print(json.dumps(result.as_dict(), indent=1))
    else:
        print_score(result, load_catalogue(recording / "catalogue.yaml"), Console())


def demo(
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for the recording and the run.")] = Path("runs/demo"),
    scenario: Annotated[str, typer.Option(help="Which visit to play.")] = "ac-14",
    seed: Seed = 0,
    serve: Annotated[
        bool | None, typer.Option("--serve/--no-serve", help="Serve the pages at the end; by default on a terminal.")
    ] = None,
    port: Annotated[int, typer.Option("--port", help="Where the pages are; another where it is taken.")] = 8000,
) -> None:
    """Record a visit in the simulated shop, run the pipeline on the videos, compare the receipts with the truth,
    dispute a line for the shopper, and serve the pages for shopper and staff."""
    needs("panda3d", "sim")
    import shutil
    import sys

    from pipeline import runtime
    from sim.record import record as record_scenario

    console = Console()
    recording, run = out / "recording", out / "run"
    for folder in (recording, run):
        shutil.rmtree(folder, ignore_errors=True)
    console.rule("1. The simulated shop is recorded")
    manifest = record_scenario(scenario, seed, recording)
    console.rule("2. The pipeline runs on the videos")
    summary = runtime.run(recording, run)
    console.print(
        f"{len(manifest['cameras'])} cameras, {summary.camera_frames} camera-frames, "
        f"{summary.camera_frames_per_s:.0f} a second ({summary.realtime_factor:.2f} of real time)"
    )
    console.rule("3. Receipts beside the truth")
    score(recording, run)
    with_pages = importlib.util.find_spec("fastapi") is not None
    console.rule("4. The shopper disputes a line, for the reviewer to look at")
    if with_pages:
        _dispute(run, console)
    else:
        console.print("Left out: disputes and the pages need the 'web' extra.")
    console.rule("5. Look")
    for what, path in (
        ("annotated video", run / "mosaic.mp4"),
        ("floor plan", run / "floorplan.png"),
        ("receipts", run / "receipts.json"),
        ("events", run / "events.jsonl"),
        ("the cameras' videos", recording / "video"),
    ):
        console.print(f"  {what:20} {path}", highlight=False, soft_wrap=True)
    if serve is None:
        serve = sys.stdin.isatty() and sys.stdout.isatty() and with_pages
    if not serve:
        console.print(f"  {'the pages':20} walkout web serve {run} --demo", highlight=False, soft_wrap=True)
        return
    from pipeline.web.serving import free_port, serve_site

    console.rule("6. The pages; Ctrl-C ends")
    serve_site(run, port=free_port("127.0.0.1", port), demo=True)


def _dispute(run: Path, console: Console) -> None:
    from sim.demo import dispute_a_line

    disputed = dispute_a_line(run)
    if disputed is None:
        console.print("Nobody was billed for anything: there is nothing to dispute.")
        return
    console.print(
        f"The demo lets {disputed.shopper_id} say of {disputed.name}: I put it back. Whether it is so is for the "
        f"reviewer to see; case {disputed.case_id} has the clips. By hand:",
        highlight=False,
    )
    console.print(f"  {disputed.command(run)}", highlight=False, soft_wrap=True, markup=False)
