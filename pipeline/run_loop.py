# SPDX-License-Identifier: AGPL-3.0-or-later
"""One window after the other through all stages of a shop, and what is said of the run at its end.

Capture and perception in one thread, what follows in another, so that the network is at work on a window while the one
before goes on its way; the cameras' readers and the picture writer have their own.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass, field
from typing import Any

from pipeline.ahead import ahead
from pipeline.capture.window import Capture
from pipeline.ending import Ending
from pipeline.evidence.keeper import EvidenceKeeper
from pipeline.gate import GateKeeper, GateUpdate
from pipeline.gate.labels import Labels
from pipeline.gate.live import LiveGate
from pipeline.journal import Journal
from pipeline.messages import (
    Event,
    PersonWithoutPass,
)
from pipeline.observe.health import Health
from pipeline.observe.metrics import WITHOUT_PASS
from pipeline.operations.floor_feed import Waiting
from pipeline.operations.show import FloorShow
from pipeline.perception.identity.watch import IdentityWatch
from pipeline.run_files import RunFolder
from pipeline.run_pictures import RunPictures
from pipeline.run_screen import CameraReports, RunScreen
from pipeline.shop import Perceived, Shop, Stages, versions


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


class Loop:
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
            who = self._who.update(perceived.camera_tracks.values(), perceived.floor_tracks, frame_set.mid_ns)
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

    def _see_out(self, update: GateUpdate, hurried: bool = False) -> list[Event]:
        """What leaving visits still have to say, then their closings; `hurried`: no shelf is waited for."""
        events: list[Event] = []
        for left in update.exits:
            with self._timed("shelf"):
                mine = [t for track_id in left.track_ids if (t := self._labels.inner(track_id)) is not None]
                if not (hurried or left.returning) and any(self._stages.shelf.awaits(t, left.at_ns) for t in mine):
                    continue
                said = [
                    e for track_id in mine for e in (*self._who.flush(track_id), *self._stages.shelf.flush(track_id))
                ]
                late = self._labels.events(said)
            with self._timed("gate"):
                self._gate.note(late)
                events += [*late, self._gate.close(left)]
        return events

    def _end(self) -> None:
        events = self._see_out(self._gate.finish(self._last_ns), hurried=True)
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
