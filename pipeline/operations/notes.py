# SPDX-License-Identifier: AGPL-3.0-or-later
"""What operators note in the database: counts of shelves, goods they have dealt with, files that wait."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy import Connection, delete, func, insert, select

from pipeline.operations.stock import ShelfCount
from pipeline.operations.tables import file_imports, shelf_counts, stray_handled
from pipeline.review import audit
from pipeline.state import Database
from pipeline.state.bulk import insert_missing

_WAITS_NS = 3600 * 1_000_000_000
_WAITING = 20
"""Files of one store that wait at the same time; the oldest gives way."""


@dataclass(frozen=True)
class WaitingImport:
    """A file whose preview was shown. `base_digest`: of the store's file that the preview was made against."""

    import_id: str
    kind: str
    name: str
    uploaded_by: str
    at_ns: int
    remove_missing: bool
    base_digest: str
    body: bytes


class OperatorNotes:
    """Of one store. `clock`: ns since the Unix epoch."""

    def __init__(self, database: Database, store_id: str, clock: Callable[[], int] = time.time_ns) -> None:
        self._database, self._store_id, self._clock = database, store_id, clock

    # --- shelves and goods ---

    def count(self, slot_id: str, units: int, by: str, at_ns: int | None = None) -> None:
        """`units` are in the slot; `at_ns`: when that was seen, now by default."""
        now_ns = self._clock()
        values = {
            "store_id": self._store_id, "slot_id": slot_id, "at_ns": at_ns or now_ns, "units": units, "counted_by": by,
        }  # fmt: skip

        def write(db: Connection) -> None:
            db.execute(insert(shelf_counts).values(values))
            about = {"slot_id": slot_id, "units": units}
            audit.append(db, "shelf-counted", by, about, store_id=self._store_id, at_ns=now_ns)

        with self._database.transaction() as db:
            write(db)

    def counts(self) -> list[ShelfCount]:
        """The newest of each slot and all before it, oldest first."""
        row = shelf_counts.c
        query = select(row.slot_id, row.at_ns, row.units).where(row.store_id == self._store_id)
        found = self._database.run(lambda db: db.execute(query.order_by(row.at_ns, row.number)).all())
        return [ShelfCount(*one) for one in found]

    def handle(self, item_id: str, by: str) -> bool:
        """Goods were dealt with; False when they had been."""
        now_ns = self._clock()
        values = {"store_id": self._store_id, "item_id": item_id, "at_ns": now_ns, "handled_by": by}
        with self._database.transaction() as db:
            new = bool(db.execute(insert_missing(db, stray_handled).values(values)).rowcount)
            if new:
                audit.append(db, "goods-handled", by, {"item_id": item_id}, store_id=self._store_id, at_ns=now_ns)
            return new

    def handled(self) -> frozenset[str]:
        query = select(stray_handled.c.item_id).where(stray_handled.c.store_id == self._store_id)
        return frozenset(self._database.run(lambda db: db.execute(query).scalars().all()))

    def version(self) -> tuple[int, int]:
        """Changes when there is a new count or something was dealt with."""
        mine = (
            select(func.count()).select_from(table).where(table.c.store_id == self._store_id).scalar_subquery()
            for table in (shelf_counts, stray_handled)
        )
        return tuple(self._database.run(lambda db: db.execute(select(*mine)).one()))

    # --- files that wait for their confirmation ---

    def keep_import(self, kind: str, name: str, body: bytes, by: str, *, remove_missing: bool, base_digest: str) -> str:
        """The id under which the file is found for an hour."""
        import_id, now_ns = secrets.token_urlsafe(12), self._clock()
        values = {
            "import_id": import_id, "store_id": self._store_id, "kind": kind, "name": name[:200], "uploaded_by": by,
            "at_ns": now_ns, "remove_missing": int(remove_missing), "base_digest": base_digest, "body": body,
        }  # fmt: skip

        def write(db: Connection) -> None:
            row = file_imports.c
            mine = row.store_id == self._store_id
            db.execute(delete(file_imports).where(row.at_ns < now_ns - _WAITS_NS))
            newest = select(row.import_id).where(mine).order_by(row.at_ns.desc()).limit(_WAITING - 1)
            kept = db.execute(newest).scalars().all()
            db.execute(delete(file_imports).where(mine, row.import_id.not_in(kept)))
            db.execute(insert(file_imports).values(values))

        self._database.run(write)
        return import_id

    def waiting_import(self, import_id: str) -> WaitingImport | None:
        """None when there is none of this id, or it has waited for too long."""
        row = file_imports.c
        columns = [row[name] for name in WaitingImport.__dataclass_fields__]
        query = select(*columns).where(row.store_id == self._store_id, row.import_id == import_id)
        found = self._database.run(lambda db: db.execute(query).first())
        if found is None or found.at_ns < self._clock() - _WAITS_NS:
            return None
        return WaitingImport(**{**found._mapping, "remove_missing": bool(found.remove_missing)})

    def drop_import(self, import_id: str) -> None:
        mine = (file_imports.c.store_id == self._store_id) & (file_imports.c.import_id == import_id)
        self._database.run(lambda db: db.execute(delete(file_imports).where(mine)))
