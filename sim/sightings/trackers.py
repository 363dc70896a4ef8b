# SPDX-License-Identifier: AGPL-3.0-or-later
"""The pipeline's floor tracker as the suite of detections drives it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from calibration.layout import load_layout
from pipeline.messages import CameraTracks, FloorTrack
from sim.identity_score import Flag

FLAG_PROBABILITY = 0.1
"""From this chance of an exchange on, an encounter of two tracks counts as a warning."""


class PipelineTracker:
    """`pipeline.perception.floor` with its encounters as warnings."""

    def __init__(self, folder: Path) -> None:
        from pipeline.perception.floor.encounters import Encounters
        from pipeline.perception.floor.tracker import FloorTracker

        self._tracker = FloorTracker(load_layout(folder / "layout.yaml"))
        self._encounters, self._flags = Encounters(), []

    def update(self, looks: Sequence[CameraTracks], at_ns: int) -> list[FloorTrack]:
        tracks = self._tracker.update(looks, at_ns)
        for met in self._encounters.update(self._tracker.people, at_ns):
            if met.exchange_probability >= FLAG_PROBABILITY:
                self._flags.append(Flag(met.track_ids, met.since_ns, met.until_ns))
        return tracks

    def flags(self) -> list[Flag]:
        return list(self._flags)
