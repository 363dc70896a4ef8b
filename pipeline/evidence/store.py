# SPDX-License-Identifier: AGPL-3.0-or-later
"""`EvidenceStore`: clips and stills of shelf events, in a storage, with their index in the database.

What cannot be shown is a `Clip` whose state says why (missing, corrupt, expired, erased), and an `EvidenceError` with
the same reason when it is asked for all the same. The database decides: an object without a row in state `ready` is
never handed out, and what is handed out has the SHA-256 of what was stored.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Row, insert, select, update

from pipeline.errors import EvidenceError, WalkoutError
from pipeline.evidence import removal
from pipeline.evidence.clip import Clip, clip_id_of
from pipeline.evidence.settings import EvidenceSettings
from pipeline.evidence.storage import Storage
from pipeline.evidence.tables import erased_visits, items
from pipeline.reasons import NOT_IN_STORAGE, OTHER_BYTES, VISIT_ERASED
from pipeline.state import Database

_ORDER = {"clip": 0, "before": 1, "after": 2}


class EvidenceStore:
    """One store's (or one run's) evidence. Safe to use from several threads and processes."""

    def __init__(
        self, storage: Storage, database: Database, settings: EvidenceSettings, clock: Callable[[], int] = time.time_ns
    ) -> None:
        self.storage, self.settings = storage, settings
        self._database, self._clock = database, clock

    # --- looking ---

    def clips(self, event_id: str) -> list[Clip]:
        """The films of an event, best camera first as far as it is known; each is looked for in the storage, but not
        read, so that one that has gone says so here."""
        rows = self._rows(items.c.event_id == event_id, items.c.kind == "clip")
        return [self._looked_for(row) for row in sorted(rows, key=lambda row: (row.rank, row.camera_id))]

    def stills(self, event_id: str) -> list[Clip]:
        """The pictures of the shelf before and after, in this order, as far as there are any."""
        rows = self._rows(items.c.event_id == event_id, items.c.kind != "clip")
        return [self._looked_for(row) for row in sorted(rows, key=lambda row: _ORDER[row.kind])]

    def of_visit(self, visit_id: str) -> list[Clip]:
        """Everything in which this visit's people are clear, as the index has it."""
        return [_clip(row) for row in self._rows(items.c.visit_id == visit_id)]

    def all(self, state: str | None = None) -> list[Clip]:
        """Everything in the index, or what is in one state."""
        return [_clip(row) for row in self._rows(*([items.c.state == state] if state else []))]

    def clip(self, clip_id: str) -> Clip:
        """`EvidenceError` when there never was one of that id."""
        return _clip(self._row(clip_id))

    def read(self, clip_id: str) -> bytes:
        """The film (mp4) or picture (JPEG); everybody but the shopper concerned is blurred. `EvidenceError` says why
        it cannot be had; what is found out by it (gone, damaged) is remembered as the clip's state."""
        row = self._row(clip_id)
        return self._checked(row, row.path, row.sha256)

    def overlay(self, clip_id: str) -> dict[str, Any]:
        """What to draw over a film: `{"clip_id", "size_px", "t0_ns", "frames": [{"at_ns", "t_s", "people":
        [{"xyxy_px", "mine", "seen"}], "hands": [{"xy_px", "mine"}]}]}`, one entry a frame, `t_s` its time in the film.
        Pixels are the film's."""
        row = self._row(clip_id)
        if row.overlay_path is None and row.state == "ready":
            raise EvidenceError(f"{clip_id}: has no overlay, it is a picture")
        return json.loads(self._checked(row, row.overlay_path, row.overlay_sha256))

    def still(self, event_id: str, when: str) -> bytes:
        """JPEG of the shelf around the slot, `before` or `after` the event; `EvidenceError` when there is none."""
        if when not in ("before", "after"):
            raise EvidenceError(f"still {when!r}: expected before or after")
        return self.read(clip_id_of(event_id, when))

    # --- keeping ---

    def put(self, clip: Clip, content: bytes, overlay: dict[str, Any] | None = None) -> Clip:
        """Store a film or picture; what was there under its id is replaced. Of an erased visit nothing is stored.

        The row comes last: until then nobody is given what has been written. `EvidenceError` when it cannot be.
        """
        if clip.visit_id is not None and self.is_erased(clip.visit_id):
            return self.put_without(clip, "erased", VISIT_ERASED)
        stem = f"{_safe(clip.store_id)}/{_safe(clip.event_id)}/{clip.clip_id}"
        path = f"{stem}.{'mp4' if clip.kind == 'clip' else 'jpg'}"
        overlay_path = f"{stem}.json" if overlay is not None else None
        clip = replace(clip, state="ready", reason="", bytes=len(content), kept_ns=self._clock())
        values = _values(clip) | {"path": path, "overlay_path": overlay_path}
        try:
            values["sha256"] = self.storage.write(path, content)
            if overlay_path is not None:
                text = json.dumps(overlay, separators=(",", ":"))
                values["overlay_sha256"] = self.storage.write(overlay_path, text.encode())
            self._database.run(lambda db: _replace(db, values))
        except WalkoutError:
            self._leave_nothing(path, overlay_path)
            raise
        return self._after_race(clip)

    def put_without(self, clip: Clip, state: str, reason: str) -> Clip:
        """Leave a row that says why there is no film or picture."""
        clip = replace(clip, state=state, reason=reason, bytes=0, kept_ns=self._clock())
        self._database.run(lambda db: _replace(db, _values(clip)))
        return clip

    # --- removing ---

    def is_erased(self, visit_id: str) -> bool:
        """Whether nothing of this visit may be shown or replayed any more."""
        found = select(erased_visits.c.visit_id).where(erased_visits.c.visit_id == visit_id)
        return self._database.run(lambda db: db.execute(found).first()) is not None

    def erase_visit(self, visit_id: str, by: str, reason: str) -> int:
        """Delete everything in which this visit's people are clear, and never keep or show anything of it again; an
        entry of it goes to the audit trail. How many films and pictures; again: 0, and no second entry.

        Films in which they are somebody else, blurred, stay: those are other people's evidence.
        """
        return removal.erase(self._database, self.storage, visit_id, by, reason, self._clock())

    def expire(self, now_ns: int | None = None, by: str = "retention") -> int:
        """Delete what is older than the settings allow, and what earlier deletions left behind. How many expired; an
        entry of it goes to the audit trail when there were any."""
        return removal.expire(
            self._database, self.storage, self.settings.days, self._clock() if now_ns is None else now_ns, by
        )

    # --- inside ---

    def _rows(self, *where) -> list[Row]:
        statement = select(items).where(*where).order_by(items.c.t0_ns, items.c.item_id)
        return self._database.run(lambda db: list(db.execute(statement).all()))

    def _row(self, clip_id: str) -> Row:
        rows = self._rows(items.c.item_id == clip_id)
        if not rows:
            raise EvidenceError(f"{clip_id}: there is no clip or picture of that id")
        return rows[0]

    def _looked_for(self, row: Row) -> Clip:
        clip = _clip(row)
        if clip.state != "ready":
            return clip
        try:
            size = self.storage.size(row.path)
        except EvidenceError as error:
            return replace(clip, state="missing", reason=str(error))  # for now: it may be there again tomorrow
        if size == row.bytes:
            return clip
        if size is None:
            return self._mark(clip, "missing", NOT_IN_STORAGE)
        return self._mark(clip, "corrupt", f"{size} bytes instead of {row.bytes}")

    def _checked(self, row: Row, path: str | None, sha256: str | None) -> bytes:
        clip = _clip(row)
        if clip.state != "ready" or path is None:
            raise EvidenceError(f"{clip.clip_id}: {clip.state}: {clip.reason}")
        content = self.storage.read(path)
        if content is None:
            self._mark(clip, "missing", NOT_IN_STORAGE)
            raise EvidenceError(f"{clip.clip_id}: missing: {NOT_IN_STORAGE}")
        if hashlib.sha256(content).hexdigest() != sha256:
            self._mark(clip, "corrupt", OTHER_BYTES)
            raise EvidenceError(f"{clip.clip_id}: corrupt: {OTHER_BYTES}")
        return content

    def _mark(self, clip: Clip, state: str, reason: str) -> Clip:
        """Only a row that is still ready: an erasure that came first stays one."""
        change = update(items).where(items.c.item_id == clip.clip_id, items.c.state == "ready")
        self._database.run(lambda db: db.execute(change.values(state=state, reason=reason)))
        return replace(clip, state=state, reason=reason)

    def _leave_nothing(self, *paths: str | None) -> None:
        """Objects without a row would be kept for ever."""
        with suppress(EvidenceError):
            for path in filter(None, paths):
                self.storage.delete(path)

    def _after_race(self, clip: Clip) -> Clip:
        """An erasure between the question and the row finds the row now."""
        if clip.visit_id is None or not self.is_erased(clip.visit_id):
            return clip
        removal.sweep_erased(self._database, self.storage, clip.visit_id)
        return replace(clip, state="erased", reason=VISIT_ERASED)


def open_evidence(
    where: Path | str, database: Database, settings: EvidenceSettings | None = None,
    clock: Callable[[], int] = time.time_ns,
) -> EvidenceStore:  # fmt: skip
    """The evidence at a folder or URL (`s3://bucket/prefix`), with its index in `database`."""
    settings = settings or EvidenceSettings()
    return EvidenceStore(Storage(where, settings.storage_options), database, settings, clock)


def _replace(db: Connection, values: dict[str, Any]) -> None:
    db.execute(items.delete().where(items.c.item_id == values["item_id"]))
    db.execute(insert(items), values)


def _values(clip: Clip) -> dict[str, Any]:
    return {
        "item_id": clip.clip_id, "store_id": clip.store_id, "event_id": clip.event_id, "kind": clip.kind,
        "camera_id": clip.camera_id, "rank": clip.rank, "visit_id": clip.visit_id,
        "visit_ids": json.dumps(clip.visit_ids), "t0_ns": clip.t0_ns, "t1_ns": clip.t1_ns,
        "width_px": clip.size_px[0], "height_px": clip.size_px[1], "fps": clip.fps, "frames": clip.frames,
        "state": clip.state, "reason": clip.reason, "bytes": clip.bytes, "kept_ns": clip.kept_ns,
        "path": None, "sha256": None, "overlay_path": None, "overlay_sha256": None,
    }  # fmt: skip


def _clip(row: Row) -> Clip:
    return Clip(
        row.item_id, row.store_id, row.event_id, row.kind, row.camera_id, row.visit_id,
        tuple(json.loads(row.visit_ids)), row.t0_ns, row.t1_ns, (row.width_px, row.height_px), row.fps, row.frames,
        row.state, row.reason, row.bytes, row.kept_ns, row.rank,
    )  # fmt: skip


def _safe(name: str) -> str:
    """A name for a folder: ids are the world's, and may hold anything."""
    plain = "".join(c if c.isascii() and (c.isalnum() or c in "-_") else "_" for c in name)
    return plain if plain == name and len(name) <= 80 else f"{plain[:60]}-{hashlib.sha1(name.encode()).hexdigest()[:8]}"
