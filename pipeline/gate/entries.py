# SPDX-License-Identifier: AGPL-3.0-or-later
"""Who was let in, in the database: written by the desk when it opens a gate, read by whoever follows the floor."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, and_, delete, func, insert, or_, select, update

from pipeline.capture.recording import GateTap
from pipeline.gate.tables import gate_entries, gate_refusals, gate_snapshots, pass_uses
from pipeline.messages import Event, PersonWithoutPass, VisitClosed
from pipeline.state import Database
from pipeline.state.bulk import insert_missing

S = 1_000_000_000
ASKING, OPEN, REFUSED = "asking", "open", "refused"
_ASKING_NS = 60 * S
"""A desk that died while it asked for a payment leaves a row that nobody will finish."""


@dataclass(frozen=True)
class Entry:
    """One row of who was let in. `kind`: `entry`, `staff`, `bring` or `join` (see `GateTap`), or `without-pass`."""

    entry_id: str
    gate_id: str
    kind: str
    way: str
    shopper_id: str | None
    admits: int
    at_ns: int
    joins: str | None = None
    behind_visit_id: str | None = None


class Entries:
    """The rows of one store."""

    def __init__(self, database: Database, store_id: str) -> None:
        self._database, self._store_id = database, store_id

    # --- the desk's side ---

    def only_one(self, db: Connection, shopper_id: str) -> None:
        """Until this transaction ends nobody else decides whether this shopper may come in.

        On SQLite every transaction has the write lock already; on PostgreSQL two of them would each read that nobody
        is inside and both write.
        """
        if db.dialect.name == "postgresql":
            key = func.hashtextextended(f"{self._store_id}\n{shopper_id}", 0)
            db.execute(select(func.pg_advisory_xact_lock(key)))

    def inside(self, db: Connection, shopper_id: str, now_ns: int) -> Entry | None:
        """The open visit that this shopper pays for."""
        row = gate_entries.c
        waits = and_(row.state == ASKING, row.at_ns > now_ns - _ASKING_NS)
        query = self._mine().where(
            row.shopper_id == shopper_id, row.kind == "entry", row.closed_ns.is_(None), or_(row.state == OPEN, waits)
        )
        found = db.execute(query.order_by(row.at_ns.desc())).first()
        return None if found is None else _entry(found)

    def add(self, db: Connection, entry: Entry, state: str) -> bool:
        """False when it is there already."""
        values = {**entry.__dict__, "store_id": self._store_id, "state": state}
        return bool(db.execute(insert_missing(db, gate_entries).values(values)).rowcount)

    def set_state(self, db: Connection, entry_id: str, state: str, now_ns: int) -> None:
        """What came of asking for a hold. When a tap was sent twice two ask: a gate that opened stays opened."""
        mine = (gate_entries.c.entry_id == entry_id) & (gate_entries.c.state != OPEN)
        closed_ns = now_ns if state == REFUSED else None
        db.execute(update(gate_entries).where(mine).values(state=state, closed_ns=closed_ns))

    def use_pass(self, db: Connection, number: str, entry_id: str, now_ns: int, expires_ns: int) -> bool:
        """False when the pass has opened a gate before."""
        values = {
            "store_id": self._store_id, "number": number, "visit_id": entry_id, "used_ns": now_ns,
            "expires_ns": expires_ns,
        }  # fmt: skip
        return bool(db.execute(insert_missing(db, pass_uses).values(values)).rowcount)

    def opened_with(self, db: Connection, number: str) -> Entry | None:
        """What a pass was used for, unless that was refused or is over; a badge and a friend only open the gate."""
        row = gate_entries.c
        used = select(pass_uses.c.visit_id).where(pass_uses.c.store_id == self._store_id, pass_uses.c.number == number)
        query = self._mine().where(
            row.entry_id.in_(used), row.state != REFUSED, or_(row.kind != "entry", row.closed_ns.is_(None))
        )
        found = db.execute(query).first()
        return None if found is None else _entry(found)

    def state(self, db: Connection, entry_id: str) -> str | None:
        """`ASKING`, `OPEN` or `REFUSED`; None when there is no such entry."""
        return db.execute(select(gate_entries.c.state).where(gate_entries.c.entry_id == entry_id)).scalar()

    def forget_uses(self, before_ns: int) -> int:
        """Drop uses of passes that ran out before then and would be refused anyway; how many."""
        mine = (pass_uses.c.store_id == self._store_id) & (pass_uses.c.expires_ns < before_ns)
        with self._database.transaction() as db:  # tried once: the next tap must not wait for it
            return db.execute(delete(pass_uses).where(mine)).rowcount

    def forget_refusals(self, before_ns: int) -> int:
        """Drop refusals from before then; how many."""
        mine = (gate_refusals.c.store_id == self._store_id) & (gate_refusals.c.at_ns < before_ns)
        with self._database.transaction() as db:
            return db.execute(delete(gate_refusals).where(mine)).rowcount

    def refused(self, db: Connection, gate_id: str, at_ns: int, reason: str, detail: str) -> None:
        values = {"store_id": self._store_id, "gate_id": gate_id, "at_ns": at_ns, "reason": reason, "detail": detail}
        db.execute(insert(gate_refusals).values(values))

    # --- the floor's side ---

    def waiting(self) -> list[tuple[str, GateTap]]:
        """Taps that opened a gate and that nobody has taken yet, with their ids, oldest first."""
        row = gate_entries.c
        query = self._mine().where(row.state == OPEN, row.taken_ns.is_(None), row.kind != "without-pass")
        with self._database.transaction() as db:
            found = [_entry(r) for r in db.execute(query.order_by(row.at_ns, row.entry_id))]
        return [(e.entry_id, GateTap(e.at_ns, e.gate_id, e.shopper_id, e.kind, e.admits, e.joins)) for e in found]

    def take(self, entry_ids: Sequence[str], now_ns: int) -> None:
        """What was waiting is in the log now. Only what a closing ends stays open: with every badge and every friend
        that was ever let in, whoever asks who is inside would walk through all of them."""
        row = gate_entries.c
        mine = row.entry_id.in_(entry_ids)
        lasts = row.kind.in_(("entry", "without-pass"))

        def write(db: Connection) -> None:
            db.execute(update(gate_entries).where(mine).values(taken_ns=now_ns))
            db.execute(update(gate_entries).where(mine, ~lasts).values(closed_ns=now_ns))

        self._database.run(write)

    def follow(self, events: Iterable[Event], snapshot: str | None, now_ns: int) -> None:
        """Note what the gate keeper said: people without a pass, visits that ended; and its state, for a restart."""
        events = [e for e in events if isinstance(e, PersonWithoutPass | VisitClosed)]

        def write(db: Connection) -> None:
            for event in events:
                if isinstance(event, PersonWithoutPass):
                    entry = Entry(
                        event.visit_id, event.gate_id, "without-pass", "none", None, 1, event.at_ns,
                        behind_visit_id=event.behind_visit_id,
                    )  # fmt: skip
                    self.add(db, entry, OPEN)
                else:
                    mine = gate_entries.c.entry_id == event.visit_id
                    db.execute(update(gate_entries).where(mine).values(closed_ns=event.at_ns))
            if snapshot is not None:
                values = {"store_id": self._store_id, "at_ns": now_ns, "body": snapshot}
                mine = gate_snapshots.c.store_id == self._store_id
                if not db.execute(update(gate_snapshots).where(mine).values(values)).rowcount:
                    db.execute(insert(gate_snapshots).values(values))

        self._database.run(write)

    def snapshot(self) -> str | None:
        """The gate keeper's state as it was last noted."""
        query = select(gate_snapshots.c.body).where(gate_snapshots.c.store_id == self._store_id)
        return self._database.run(lambda db: db.execute(query).scalar())

    # --- for staff ---

    def open_now(self) -> list[Entry]:
        """Everybody who is inside, oldest first; `kind` `without-pass` for who came in on nobody's."""
        with self._database.transaction() as db:
            return self.open_in(db)

    def open_in(self, db: Connection) -> list[Entry]:
        row = gate_entries.c
        query = self._mine().where(row.closed_ns.is_(None), row.state == OPEN, row.kind.in_(("entry", "without-pass")))
        return [_entry(r) for r in db.execute(query.order_by(row.at_ns, row.entry_id))]

    def refusals(self, limit: int = 100) -> list[dict]:
        """The newest first."""
        row = gate_refusals.c
        query = select(row.at_ns, row.gate_id, row.reason, row.detail).where(row.store_id == self._store_id)
        with self._database.transaction() as db:
            return [dict(r) for r in db.execute(query.order_by(row.number.desc()).limit(limit)).mappings()]

    @staticmethod
    def _columns() -> list:
        return [gate_entries.c[name] for name in Entry.__dataclass_fields__]

    def _mine(self):
        return select(*self._columns()).where(gate_entries.c.store_id == self._store_id)


def _entry(row) -> Entry:
    return Entry(**row._mapping)
