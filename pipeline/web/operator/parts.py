# SPDX-License-Identifier: AGPL-3.0-or-later
"""What the operator's routes stand on, opened when it is first asked for and closed with the application."""

from __future__ import annotations

import threading

from pipeline.eventlog import open_log
from pipeline.gate.entries import Entries
from pipeline.operations.floor_view import FloorView
from pipeline.operations.live_floor import TOPICS, LiveFloor
from pipeline.operations.notes import OperatorNotes
from pipeline.operations.player import FloorSource
from pipeline.operations.recorded_floor import RecordedFloor
from pipeline.operations.stills import RecordedStills, live_still
from pipeline.operations.store_files import StoreFiles
from pipeline.site import Site
from pipeline.web.tail import LogTail

_STALE_S = 20.0


class Operating:
    """`files`: of the store, or of the recording that a run was made of."""

    def __init__(self, site: Site) -> None:
        self.site = site
        # What is on the floor is worth seeing while the database is away: nobody waits for it here.
        self._database = site.database.unwaited()
        self.notes = OperatorNotes(self._database, site.store_id, site.clock)
        self.files = StoreFiles(site.shop.folder, site.database, site.store_id, site.clock)
        self._lock, self._stills_lock = threading.Lock(), threading.Lock()
        self._view: FloorView | None = None
        self._tail: LogTail | None = None
        self._stills: RecordedStills | None = None

    @property
    def view(self) -> FloorView:
        """The floor; raises `RecordingError` when the run's files cannot be read."""
        with self._lock:
            if self._view is None:
                self._view = self._open()
            return self._view

    def still(self, camera_id: str, at_ns: int) -> tuple[bytes, bool] | None:
        """JPEG, and whether it is as old as it should not be; None when there is none. `CaptureError` when the video
        of a recording cannot be read."""
        site = self.site
        if site.run is None or site.shop.recording is None:
            found = live_still(site.shop.folder, camera_id)
            return None if found is None else (found[0], found[1] > _STALE_S)
        with self._stills_lock:
            if self._stills is None:
                sizes = {spec.id: spec.size_px for spec in site.shop.layout.cameras}
                videos = {v.camera_id: (v.path, sizes[v.camera_id]) for v in site.shop.recording.videos}
                self._stills = RecordedStills(site.run, videos, site.shop.recording.start_ns)
            try:
                return self._stills.still(camera_id, at_ns), False
            except KeyError:
                return None

    def close(self) -> None:
        with self._lock:
            if self._tail is not None:
                self._tail.stop()
            if self._view is not None:
                self._view.source.close()

    def _open(self) -> FloorView:
        site = self.site
        source: FloorSource
        if site.run is not None:
            source, entries = RecordedFloor(site.run), None
        else:
            source, entries = (
                LiveFloor(site.shop.folder, site.store_id, site.clock),
                Entries(self._database, site.store_id),
            )
        self._tail = LogTail(lambda: open_log(site.log_url), TOPICS, [source.listen])
        self._tail.start()
        self._tail.wait(2.0)
        return FloorView(site.shop, source, self.notes, entries)
