# SPDX-License-Identifier: AGPL-3.0-or-later
"""The wiring of one shop: cameras in, receipts out.

::

    capture -> perception -> shelf -> gate -> event log -> cart (aggregator) -> receipts.json

Opened here; gone through window by window in `pipeline.run_loop`. Nothing here decides anything: the rooms do.
"""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import asdict
from functools import partial
from pathlib import Path

from pipeline.ending import Ending
from pipeline.errors import CaptureError, RecordingError
from pipeline.eventlog import log_opener
from pipeline.evidence.opening import open_keeper, tombstones
from pipeline.gate import GateKeeper
from pipeline.gate.entries import Entries
from pipeline.gate.entry_settings import load_entry_settings
from pipeline.gate.live import LiveGate
from pipeline.journal import Journal, open_journal
from pipeline.observe.health import serving_health
from pipeline.operations.show import FloorShow
from pipeline.run_diff import RunDifference, compare_runs
from pipeline.run_files import FLOOR_PLAN, MOSAIC, SUMMARY, RunFolder
from pipeline.run_loop import Loop, RunSummary
from pipeline.run_pictures import RunPictures
from pipeline.run_screen import CameraReports, RunScreen
from pipeline.shop import NO_WEIGHTS, Shop, Stages, load_stages
from pipeline.state import Database


def run(
    source: Path | str,
    out_dir: Path | str,
    *,
    log_url: str | None = None,
    person_weights: str | None = None,
    product_weights: str | None = None,
    video: bool | None = None,
    uncovered: bool = False,
    evidence: bool = True,
    progress: bool = True,
    port: int | None = None,
    bills: bool = True,
    stages: Callable[[Shop], Stages] | None = None,
) -> RunSummary:
    """Run the whole path on a recording, or on a store's live cameras until interrupted, and write `out_dir`.

    Args:
        source: a recording (docs/recording.md) or a store's folder (layout, catalogue, planogram, settings).
        out_dir: receives receipts.json, events.jsonl, tracks.csv, detections.npz, run.json, the pictures, and the
            embedded log and cart state of a recording, which starts from scratch. A live store goes on where it was:
            its log and state are in its own folder, or where its settings say.
        log_url: event log; by default the settings' one, else an embedded one.
        person_weights, product_weights: instead of the settings'; product weights `none` for no product network.
        video: write the annotated mosaic video; by default of a recording, and not of live cameras, of which it would
            be days. The floor plan is always drawn.
        uncovered: heads are left as they are in it. Refused for live cameras.
        evidence: keep clips and stills of the shelf events, as the settings say (docs/evidence.md).
        progress: show a bar, and camera failures as they happen, on the terminal.
        bills: False where a chain's services make bills and payments of a live store's events (`walkout cart serve`).
        port: serve health and metrics on 127.0.0.1 meanwhile.
        stages: makes perception and shelf; by default with the networks that the settings name.

    Raises `WalkoutError`; the folder then holds no half-written file.
    """
    began = time.perf_counter()
    shop = Shop.open(source)
    if shop.recording is not None and not bills:
        raise RecordingError(f"{source}: a recording makes its own bills: leave out --no-bills")
    if shop.recording is not None:
        shop.recording.require_videos()
    if uncovered and shop.recording is None:
        raise CaptureError(f"{source}: films of live cameras have their heads covered: leave out --uncovered")
    settings = shop.settings.model_copy(
        update={
            k: v
            for k, v in (("person_weights", person_weights), ("product_weights", product_weights), ("log_url", log_url))
            if v is not None
        }
    )
    if settings.log_url:
        log_opener(settings.log_url)  # a wrong address is said before networks are loaded
    with ExitStack() as stack:
        folder = stack.enter_context(RunFolder(out_dir))
        health = stack.enter_context(serving_health(port))
        erased = tombstones(folder.path) if shop.recording is not None else []
        made = stages(shop) if stages else load_stages(shop, settings)
        journal = stack.enter_context(open_journal(shop, settings, folder, bills))
        for work in ("bills", "payments"):
            health.add(work, partial(journal.waits_for, work))
        health.add("log", lambda: f"{n} events wait for it" if (n := journal.waiting()) else None)
        screen = stack.enter_context(RunScreen(shop) if progress else nullcontext())
        cameras = CameraReports(shop, screen)
        pictures = stack.enter_context(_pictures(shop, folder, video, uncovered))
        capture = stack.enter_context(shop.capture(cameras.report, look_back=evidence))
        proof = stack.enter_context(open_keeper(shop, folder.path, capture, evidence, erased))
        keeper = GateKeeper(shop.layout)
        live = stack.enter_context(_live_gate(shop, keeper, journal)) if shop.recording is None else None
        floor = stack.enter_context(FloorShow(shop.folder if live else folder.path, live=live is not None))
        ending = stack.enter_context(Ending(live is not None))
        loop = Loop(shop, made, folder, journal, pictures, cameras, screen, keeper, live, floor, proof, ending, health)
        start = time.perf_counter()
        loop.run(capture)
        wall_s = time.perf_counter() - start
        summary = loop.summary(load_s=start - began, wall_s=wall_s)
        folder.finish(asdict(summary))
    return summary


def replay(
    recording: Path | str,
    against: Path | str,
    *,
    out_dir: Path | str | None = None,
    person_weights: str | None = None,
    product_weights: str | None = None,
    progress: bool = False,
    stages: Callable[[Shop], Stages] | None = None,
) -> RunDifference:
    """Run a recording again on this build, without video, and compare with an earlier run of it.

    `out_dir` keeps the new run; without it, it is thrown away. Weights of the same names as then are used unless others
    are given. The difference is false when there is none.
    """
    then = weights_of(Path(against))
    person_weights, product_weights = person_weights or then["person"], product_weights or then["product"]
    with tempfile.TemporaryDirectory(prefix="walkout-replay-") as scratch:
        new = Path(out_dir) if out_dir is not None else Path(scratch)
        if new.resolve() == Path(against).resolve():
            raise RecordingError(f"{new}: a replay cannot overwrite the run that it is compared with")
        run(
            recording, new, person_weights=person_weights, product_weights=product_weights, video=False,
            evidence=False, progress=progress, stages=stages,
        )  # fmt: skip
        return compare_runs(Path(against), new)


def weights_of(folder: Path) -> dict[str, str | None]:
    """Names of the weights that an earlier run used; None where it does not say."""
    try:
        weights = json.loads((folder / SUMMARY).read_text(encoding="utf-8"))["weights"]
    except (OSError, ValueError, KeyError) as error:
        raise RecordingError(f"{folder / SUMMARY}: not readable ({error}); is {folder} a run?") from None
    person, product = weights.get("person"), weights.get("product")
    return {
        "person": person and person["name"],
        "product": product["name"] if product else NO_WEIGHTS if "product" in weights else None,
    }


@contextmanager
def _live_gate(shop: Shop, keeper: GateKeeper, journal: Journal) -> Iterator[LiveGate]:
    """The gate of a live store, as the process before left it. Its database is waited for at the start, never later."""
    database = Database.waited_for_once(load_entry_settings(shop.folder).state_url)
    try:
        store_id = shop.layout.store_id
        gate = LiveGate(keeper, Entries(database, store_id), journal.log, store_id, shop.taps())
        gate.resume()
        yield gate
    finally:
        database.close()


@contextmanager
def _pictures(shop: Shop, folder: RunFolder, video: bool | None, uncovered: bool) -> Iterator[RunPictures]:
    camera_ids = [spec.id for spec in shop.layout.cameras]
    if shop.recording is not None:
        camera_ids = [v.camera_id for v in shop.recording.videos]
    wanted = shop.recording is not None if video is None else video
    pictures = RunPictures(
        shop.layout, shop.catalogue, camera_ids, shop.name, folder.path / FLOOR_PLAN,
        folder.path / MOSAIC if wanted else None, covered=not uncovered,
    )  # fmt: skip
    try:
        yield pictures
    except BaseException:
        pictures.abort()
        raise
