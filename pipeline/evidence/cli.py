# SPDX-License-Identifier: AGPL-3.0-or-later
"""`walkout evidence ...`: what is kept of a run or a store, taking it out, and deleting it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from pipeline.evidence.clip import Clip
    from pipeline.evidence.store import EvidenceStore

app = typer.Typer(help="Clips and stills around shelf events: list, take out, delete.", no_args_is_help=True)

Folder = Annotated[Path, typer.Argument(metavar="RUN_OR_STORE", help="A run's folder, or a live store's.")]
State = Annotated[str | None, typer.Option("--state", help="State database; by default the run's, or the store's.")]
Event = Annotated[str | None, typer.Option("--event", help="Only of this shelf event.")]
Visit = Annotated[str | None, typer.Option("--visit", help="Only what shows this visit's people.")]
By = Annotated[str, typer.Option("--by", help="Who does it, for the audit trail.")]


@app.command("list")
def list_(
    folder: Folder,
    event: Event = None,
    visit: Visit = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object a line.")] = False,
    state: State = None,
) -> None:
    """List clips and stills with their state."""
    from dataclasses import asdict

    from pipeline.evidence.opening import evidence_of

    with evidence_of(folder, state) as store:
        found = _chosen(store, event, visit)
    if as_json:
        for clip in found:
            print(json.dumps(asdict(clip)))
        return
    for clip in found:
        seconds = f"{(clip.t1_ns - clip.t0_ns) / 1e9:5.1f} s" if clip.kind == "clip" else "       "
        size = f"{clip.bytes / 1e6:6.2f} MB" if clip.bytes else "         "
        about = f"{clip.event_id}  {clip.kind:6}  {clip.camera_id:8}  {seconds}  {size}  {clip.state}"
        print(f"{clip.clip_id}  {about}{f': {clip.reason}' if clip.reason else ''}")
    ready = [clip for clip in found if clip.state == "ready"]
    print(f"{len(found)} clips and stills, {len(ready)} ready, {sum(c.bytes for c in ready) / 1e6:.1f} MB")


@app.command()
def export(
    folder: Folder,
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder to write; made if it is not there.")],
    event: Event = None,
    visit: Visit = None,
    state: State = None,
) -> None:
    """Copy clips with their overlays, and stills, into a folder. What cannot be had is named."""
    from pipeline.errors import EvidenceError
    from pipeline.evidence.opening import evidence_of
    from pipeline.run_files import write_json, write_whole, writing

    with writing(out):
        out.mkdir(parents=True, exist_ok=True)
    with evidence_of(folder, state) as store:
        done = 0
        for clip in _chosen(store, event, visit):
            try:
                content = store.read(clip.clip_id)
                write_whole(out / f"{clip.clip_id}{'.mp4' if clip.kind == 'clip' else '.jpg'}", content)
                if clip.kind == "clip":
                    write_json(out / f"{clip.clip_id}.json", store.overlay(clip.clip_id))
                done += 1
            except EvidenceError as error:
                print(f"left out: {error}")
    print(f"{out}: {done} clips and stills")


@app.command()
def expire(
    folder: Folder,
    days: Annotated[float | None, typer.Option("--days", help="Instead of the settings' retention.", min=0)] = None,
    by: By = "retention",
    state: State = None,
) -> None:
    """Delete what is older than the retention; a live store does it by itself every hour."""
    import time

    from pipeline.evidence.opening import evidence_of

    with evidence_of(folder, state) as store:
        kept = store.settings.days
        now_ns = time.time_ns() + (0 if days is None else round((kept - days) * 86_400e9))
        print(f"expired: {store.expire(now_ns, by)}")


@app.command()
def erase(
    folder: Folder,
    visit: Annotated[str, typer.Option("--visit", help="Visit whose evidence is deleted.")],
    by: By,
    reason: Annotated[str, typer.Option("--reason", help="Why; kept with the erasure.")] = "",
    state: State = None,
) -> None:
    """Delete everything that shows a visit's people, for good: it is not kept, shown or replayed again."""
    from pipeline.evidence.opening import evidence_of

    with evidence_of(folder, state) as store:
        if store.is_erased(visit):
            print(f"visit {visit} was erased before")
            return
        print(f"visit {visit}: {store.erase_visit(visit, by, reason)} clips and stills erased")


def _chosen(store: EvidenceStore, event: str | None, visit: str | None) -> list[Clip]:
    found = store.of_visit(visit) if visit else store.all()
    return [clip for clip in found if event is None or clip.event_id == event]
