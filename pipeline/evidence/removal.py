# SPDX-License-Identifier: AGPL-3.0-or-later
"""Expiry and erasure: first the database says that something may not be shown, then its objects are deleted.

A storage that is away in between leaves the objects' paths in rows that are not `ready`: nobody can have them, and the
next `expire` deletes them.
"""

from __future__ import annotations

from sqlalchemy import Connection, insert, select, update

from pipeline.errors import EvidenceError
from pipeline.evidence import trail
from pipeline.evidence.storage import Storage
from pipeline.evidence.tables import erased_visits, items
from pipeline.observe.logs import get_logger
from pipeline.reasons import KEPT_FOR, VISIT_ERASED
from pipeline.state import Database

log = get_logger(__name__)

_DAY_NS = 86_400 * 10**9


def erase(database: Database, storage: Storage, visit_id: str, by: str, reason: str, now_ns: int) -> int:
    def work(db: Connection) -> int:
        if db.execute(select(erased_visits.c.visit_id).where(erased_visits.c.visit_id == visit_id)).first():
            return 0
        db.execute(insert(erased_visits), {"visit_id": visit_id, "at_ns": now_ns, "by": by, "reason": reason})
        store_id = db.execute(select(items.c.store_id).where(items.c.visit_id == visit_id).limit(1)).scalar() or ""
        count = _mark_erased(db, visit_id)
        trail.note(db, "evidence-erased", by, {"visit_id": visit_id, "items": count}, store_id)
        return count

    count = database.run(work)
    # A clip whose row was committed between the two statements above is not among them, and saw no erasure either.
    sweep_erased(database, storage, visit_id)
    return count


def sweep_erased(database: Database, storage: Storage, visit_id: str) -> None:
    """Something of the visit was stored while it was being erased."""
    database.run(lambda db: _mark_erased(db, visit_id))
    _sweep(database, storage)


def expire(database: Database, storage: Storage, days: float, now_ns: int, by: str) -> int:
    before_ns = now_ns - round(days * _DAY_NS)

    def work(db: Connection) -> int:
        old = (items.c.kept_ns <= before_ns) & items.c.state.not_in(("expired", "erased"))
        total = 0
        for store_id in db.execute(select(items.c.store_id).where(old).distinct().order_by(items.c.store_id)).scalars():
            change = update(items).where(old, items.c.store_id == store_id)
            count = db.execute(change.values(state="expired", reason=KEPT_FOR.format(days=f"{days:g}"))).rowcount
            trail.note(
                db, "evidence-expired", by, {"items": count, "kept_before_ns": before_ns, "days": days}, store_id
            )
            total += count
        return total

    count = database.run(work)
    _sweep(database, storage)
    return count


def _mark_erased(db: Connection, visit_id: str) -> int:
    mine = (items.c.visit_id == visit_id) & (items.c.state != "erased")
    return db.execute(update(items).where(mine).values(state="erased", reason=VISIT_ERASED)).rowcount


def _sweep(database: Database, storage: Storage) -> None:
    """Delete the objects of what may not be shown any more; what cannot be deleted now is left for the next time."""
    gone = items.c.state.in_(("expired", "erased")) & items.c.path.is_not(None)
    statement = select(items.c.item_id, items.c.path, items.c.overlay_path).where(gone)
    done = []
    try:
        for row in database.run(lambda db: db.execute(statement).all()):
            for path in (row.path, row.overlay_path):
                if path is not None:
                    storage.delete(path)
            done.append(row.item_id)
    except EvidenceError as error:
        log.warning("expired or erased evidence is still in the storage", reason=str(error))
    for item_id in done:
        nothing = {"path": None, "overlay_path": None, "sha256": None, "overlay_sha256": None, "bytes": 0}
        database.run(lambda db, i=item_id, n=nothing: db.execute(update(items).where(items.c.item_id == i).values(n)))
