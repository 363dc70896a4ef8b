# SPDX-License-Identifier: AGPL-3.0-or-later
"""The wiring of one shop: cameras in, receipts out.

::

    capture -> perception -> shelf -> gate -> event log -> cart (aggregator) -> receipts.json

One window after the other: capture and perception in one thread, what follows in another, so that the network is at
work on a window while the one before goes on its way; the cameras' readers and the picture writer have their own.
Nothing here decides anything: the rooms do.
"""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager, nullcontext
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from pipeline.ahead import ahead
from pipeline.capture.window import Capture
from pipeline.ending import Ending
from pipeline.errors import CaptureError, RecordingError
from pipeline.eventlog import log_opener
from pipeline.evidence.keeper import EvidenceKeeper
from pipeline.evidence.opening import open_keeper, tombstones
from pipeline.gate import GateKeeper, GateUpdate
from pipeline.gate.entries import Entries
from pipeline.gate.entry_settings import load_entry_settings
from pipeline.gate.labels import Labels
from pipeline.gate.live import LiveGate
from pipeline.journal import Journal, open_journal
from pipeline.messages import (
    Event,
    PersonWithoutPass,
)
from pipeline.observe.health import Health, serving_health
from pipeline.observe.metrics import WITHOUT_PASS
from pipeline.operations.floor_feed import Waiting
from pipeline.operations.show import FloorShow
from pipeline.perception.identity.watch import IdentityWatch
from pipeline.run_diff import RunDifference, compare_runs
from pipeline.run_files import FLOOR_PLAN, MOSAIC, SUMMARY, RunFolder
from pipeline.run_pictures import RunPictures
from pipeline.run_screen import CameraReports, RunScreen
from pipeline.shop import NO_WEIGHTS, Perceived, Shop, Stages, load_stages, versions
from pipeline.state import Database


@dataclass(frozen=True)
class RunSummary:
    """run.json. Times in seconds; `stages_s`: time spent in each stage, of the `wall_s` after loading; capture and
    perception run beside the others, which wait for them (`waiting`). `source`: the
    folder of the recording, or of the store. `evidence`: shelf events that were cut, clips and stills (`items`) and
    their bytes, and those that are missing; empty when none were wanted."""

    name: str
    store_id: str
    live: bool
    versions: dict[str, str]
    weights: dict[str, Any]
    windows: int
    camera_frames: int
    footage_s: float
    load_s: float
    wall_s: float
    stages_s: dict[str, float]
    camera_frames_per_s: float
    realtime_factor: float
    cameras: dict[str, dict[str, Any]]
    camera_reports: list[dict[str, Any]]
    visits: int
    receipts: int
    held_for_review: int
    without_pass: int = 0
    source: str = ""
    evidence: dict[str, int] = field(default_factory=dict)


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
        loop = _Loop(shop, made, folder, journal, pictures, cameras, screen, keeper, live, floor, proof, ending, health)
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


class _Loop:
    """One window after the other through all stages."""

    def __init__(
        self, shop: Shop, stages: Stages, folder: RunFolder, journal: Journal, pictures: RunPictures,
        cameras: CameraReports, screen: RunScreen | None, gate: GateKeeper, live: LiveGate | None, floor: FloorShow,
        evidence: EvidenceKeeper | None, ending: Ending, health: Health,
    ) -> None:  # fmt: skip
        self._shop, self._stages, self._folder, self._journal = shop, stages, folder, journal
        self._pictures, self._cameras, self._screen = pictures, cameras, screen
        self._gate, self._live, self._floor, self._evidence, self._ending = gate, live, floor, evidence, ending
        self._health = health
        self._who = IdentityWatch(shop.layout)
        self._taps = live or shop.taps()
        self._labels = Labels(f"{time.time_ns() // 1_000_000:x}-" if live else "")
        self._without_pass = 0
        self._spent: dict[str, float] = {}
        self._windows = 0
        self._last_ns = 0
        self._footage_ns = 0

    def run(self, capture: Capture) -> None:
        try:
            with closing(ahead(self._perceive(capture))) as windows:
                while not self._ending.asked:
                    with self._timed("waiting"), self._ending.at_once():
                        perceived = next(windows, None)
                    if perceived is None:
                        break
                    self._window(perceived)
        except KeyboardInterrupt:
            if self._shop.recording is not None:
                raise
        self._end()

    def _perceive(self, capture: Capture) -> Iterator[Perceived]:
        windows = iter(capture)
        while True:
            with self._timed("capture"):
                frame_set = next(windows, None)
            if frame_set is None:
                return
            with self._timed("perception"):
                perceived = self._stages.perception.update(frame_set)
            yield perceived

    def _window(self, perceived: Perceived) -> None:
        frame_set = perceived.frame_set
        self._windows += 1
        self._last_ns = frame_set.mid_ns
        self._footage_ns += frame_set.window_ns
        self._cameras.count(frame_set)
        with self._timed("identity"):
            who = self._who.update(
                perceived.camera_tracks.values(), perceived.floor_tracks, frame_set.mid_ns, frame_set.frames
            )
            identity_events = self._labels.events(who)
        with self._timed("shelf"):
            shelf_events = self._labels.events(self._stages.shelf.update(perceived))
        tracks = self._labels.tracks(perceived.floor_tracks)
        with self._timed("gate"):
            self._gate.note([*identity_events, *shelf_events])
            taps = self._taps.until(frame_set.window_start_ns + frame_set.window_ns)
            update = self._gate.update(frame_set.mid_ns, tracks, taps)
        events = [*identity_events, *shelf_events, *update.events, *self._see_out(update)]
        with self._timed("log"):
            self._journal.append(events, frame_set.mid_ns)
            if self._live is not None:
                self._live.follow(events, frame_set.mid_ns)
            self._folder.add_tracks(frame_set.mid_ns, tracks)
            if self._shop.recording is not None:
                self._folder.add_detections(perceived.camera_tracks)
        with self._timed("pictures"):
            self._floor.add(frame_set, perceived.camera_tracks, tracks, self._cameras.states(), self._waiting())
            self._pictures.add(frame_set, perceived.camera_tracks, perceived.floor_tracks, events)
        if self._evidence is not None:
            with self._timed("evidence"):
                self._evidence.window(frame_set.mid_ns, perceived.camera_tracks, tracks, events)
        self._tell_staff(update)
        self._health.beat()
        if self._screen is not None:
            self._screen.advance()

    def _waiting(self) -> Waiting:
        return Waiting(self._journal.waiting(), self._journal.waits_for("bills") is not None)

    def _tell_staff(self, update: GateUpdate) -> None:
        for event in update.events:
            if isinstance(event, PersonWithoutPass):
                self._without_pass += 1
                WITHOUT_PASS.labels(event.gate_id).inc()
                if self._screen is not None:
                    behind = f", behind visit {event.behind_visit_id}" if event.behind_visit_id else ""
                    self._screen.say(f"somebody without a pass at {event.gate_id}{behind}: visit {event.visit_id}")

    def _see_out(self, update: GateUpdate) -> list[Event]:
        """What leaving visits still have to say, then their closings."""
        events: list[Event] = []
        for left in update.exits:
            with self._timed("shelf"):
                mine = [t for track_id in left.track_ids if (t := self._labels.inner(track_id)) is not None]
                said = [
                    e for track_id in mine for e in (*self._who.flush(track_id), *self._stages.shelf.flush(track_id))
                ]
                late = self._labels.events(said)
            with self._timed("gate"):
                self._gate.note(late)
                events += [*late, self._gate.close(left)]
        return events

    def _end(self) -> None:
        events = self._see_out(self._gate.finish(self._last_ns))
        with self._timed("shelf"):
            late = self._labels.events(self._stages.shelf.flush(None))
        self._gate.note(late)  # of visits that go on in the next process, whose closings must name them
        events += late
        with self._timed("log"):
            self._journal.append(events, self._last_ns)
            if self._live is not None:
                self._live.follow(events, self._last_ns)
            self._journal.finish()
        with self._timed("pictures"):
            self._pictures.close(events)
        if self._evidence is not None:
            with self._timed("evidence"):
                self._evidence.finish(events)

    @contextmanager
    def _timed(self, stage: str) -> Iterator[None]:
        start = time.perf_counter()
        yield
        self._spent[stage] = self._spent.get(stage, 0.0) + time.perf_counter() - start

    def summary(self, load_s: float, wall_s: float) -> RunSummary:
        receipts = self._journal.known()
        frames = sum(self._cameras.frames.values())
        footage_s = self._footage_ns / 1e9
        return RunSummary(
            name=self._shop.name,
            store_id=self._shop.layout.store_id,
            live=self._shop.recording is None,
            versions=versions(),
            weights=self._stages.described,
            windows=self._windows,
            camera_frames=frames,
            footage_s=round(footage_s, 3),
            load_s=round(load_s, 3),
            wall_s=round(wall_s, 3),
            stages_s={stage: round(s, 3) for stage, s in self._spent.items()},
            camera_frames_per_s=round(frames / wall_s, 2) if wall_s else 0.0,
            realtime_factor=round(footage_s / wall_s, 3) if wall_s else 0.0,
            cameras=self._cameras.states(),
            camera_reports=[asdict(r) for r in self._cameras.reports],
            visits=len(self._journal.closings),
            receipts=len(receipts),
            held_for_review=sum(r.held_for_review for r in receipts),
            without_pass=self._without_pass,
            source=str(self._shop.folder.resolve()),
            evidence=asdict(self._evidence.counts) if self._evidence is not None else {},
        )


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
