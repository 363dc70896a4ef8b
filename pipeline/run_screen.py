# SPDX-License-Identifier: AGPL-3.0-or-later
"""What whoever starts a run sees of it while it goes on: how far it is, and how the cameras do."""

from __future__ import annotations

from typing import Any

from pipeline.capture.sources import CameraStatus
from pipeline.messages import FrameSet
from pipeline.shop import Shop


class CameraReports:
    """How each camera did."""

    def __init__(self, shop: Shop, screen: RunScreen | None) -> None:
        ids = [v.camera_id for v in shop.recording.videos] if shop.recording else [c.id for c in shop.layout.cameras]
        self.frames = dict.fromkeys(ids, 0)
        self.reports: list[CameraStatus] = []
        self._screen = screen

    def report(self, status: CameraStatus) -> None:
        self.reports.append(status)
        if self._screen is not None and status.state != "ended":
            self._screen.say(f"camera {status.camera_id} is {status.state}: {status.reason}")

    def count(self, frame_set: FrameSet) -> None:
        for camera_id in frame_set.frames:
            self.frames[camera_id] += 1

    def states(self) -> dict[str, dict[str, Any]]:
        last = {r.camera_id: r for r in self.reports}
        return {
            camera_id: {
                "frames": frames,
                "state": last[camera_id].state if camera_id in last else "live",
                "reason": last[camera_id].reason if camera_id in last else "",
            }
            for camera_id, frames in self.frames.items()
        }


class RunScreen:
    """A progress bar; a live store has no end, so it shows only the windows so far."""

    def __init__(self, shop: Shop) -> None:
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        total = None
        if shop.recording is not None:
            total = round(shop.recording.duration_s * max(c.fps for c in shop.layout.cameras))
        self._progress = Progress(
            TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), transient=True
        )
        self._task = self._progress.add_task(shop.name, total=total)

    def __enter__(self) -> RunScreen:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def advance(self) -> None:
        self._progress.advance(self._task)

    def say(self, text: str) -> None:
        self._progress.console.print(text, highlight=False, markup=False)
