# SPDX-License-Identifier: AGPL-3.0-or-later
"""A run's pictures: what the stages and the gate found, put into words and handed to the film and the floor plan."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from calibration.catalogue import Catalogue
from calibration.layout import StoreLayout
from pipeline.draw import Mark, write_floor_plan
from pipeline.film import MosaicWriter
from pipeline.messages import (
    CameraTracks,
    Event,
    FloorTrack,
    FrameSet,
    ShelfEvent,
    TrackBound,
    VisitClosed,
    VisitOpened,
)
from pipeline.run_files import part_of, writing

_CAPTIONS = 3
_PATH_POINTS, _PATHS, _MARKS = 20_000, 100, 200
"""Enough for any recording; a store that runs for days keeps the newest."""


class RunPictures:
    """`add` once a window, then `close`; or `abort`, which leaves nothing."""

    def __init__(
        self,
        layout: StoreLayout,
        catalogue: Catalogue,
        camera_ids: Sequence[str],
        title: str,
        floor_plan: Path,
        mosaic: Path | None,
        *,
        covered: bool = True,
    ) -> None:
        self._layout, self._catalogue, self._title, self._floor_plan = layout, catalogue, title, floor_plan
        fps = max(spec.fps for spec in layout.cameras)
        self._film = MosaicWriter(mosaic, layout, camera_ids, fps, covered=covered) if mosaic else None
        self._shoppers: dict[str, str] = {}
        """visit id -> shopper id."""
        self._labels: dict[str, str] = {}
        self._captions: deque[str] = deque(maxlen=_CAPTIONS)
        self._paths: dict[str, deque[np.ndarray]] = {}
        self._marks: deque[Mark] = deque(maxlen=_MARKS)

    def add(
        self,
        frame_set: FrameSet,
        camera_tracks: dict[str, CameraTracks],
        floor_tracks: Sequence[FloorTrack],
        events: Sequence[Event],
    ) -> None:
        for event in events:
            self._tell(event)
        for track in floor_tracks:
            self._paths.setdefault(track.track_id, deque(maxlen=_PATH_POINTS)).append(track.floor_xy_m)
        while len(self._paths) > _PATHS:
            del self._paths[next(iter(self._paths))]
        if self._film is not None:
            self._film.add(frame_set, camera_tracks, floor_tracks, list(self._captions), dict(self._labels))

    def close(self, last_events: Sequence[Event] = ()) -> None:
        """`last_events`: what came after the last window. Writes the floor plan and completes the film."""
        for event in last_events:
            self._tell(event)
        if self._film is not None:
            self._film.close()
        paths = {track_id: np.array(points) for track_id, points in self._paths.items()}
        part = part_of(self._floor_plan)
        write_floor_plan(part, self._layout, paths, list(self._marks), self._labels, self._title)
        with writing(self._floor_plan):
            part.replace(self._floor_plan)

    def abort(self) -> None:
        if self._film is not None:
            self._film.abort()

    def _tell(self, event: Event) -> None:
        if isinstance(event, VisitOpened):
            self._shoppers[event.visit_id] = event.shopper_id
            self._captions.append(f"{event.shopper_id} comes in")
        elif isinstance(event, TrackBound):
            self._labels[event.track_id] = self._shoppers.get(event.visit_id, event.visit_id)
        elif isinstance(event, VisitClosed):
            self._captions.append(f"{self._shoppers.get(event.visit_id, event.visit_id)} has left")
        elif isinstance(event, ShelfEvent):
            self._tell_shelf(event)

    def _tell_shelf(self, event: ShelfEvent) -> None:
        best, who = event.products[0], event.persons[0].value
        product = self._catalogue.by_gtin.get(best.value)
        name = product.name if product else best.value
        share = best.probability * event.kind_probability * event.persons[0].probability
        sign = "+" if event.kind == "pick" else "-"
        units = event.quantities[0].value
        text = f"{name}{'' if units == '1' else f' x{units}'} ({100 * share:.0f} %)"
        self._captions.append(f"{self._labels.get(who, who)} {sign} {text}")
        self._marks.append(Mark(self._place(event), text, who, event.kind))

    def _place(self, event: ShelfEvent) -> tuple[float, float]:
        gondola = self._layout.gondola_by_id[event.gondola_id]
        along_m = gondola.width_m / 2
        if event.slot_id is not None:
            slot = self._layout.slot_by_id[event.slot_id][2]
            along_m = (slot.start_m + slot.end_m) / 2
        x, y, _ = gondola.to_world(along_m, 0.0, 0.0)
        return float(x), float(y)
