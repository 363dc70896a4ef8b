# SPDX-License-Identifier: AGPL-3.0-or-later
"""The audit trail: who decided or showed or erased what, when. Append-only, and tampering shows.

Each store has a chain of entries numbered 1, 2, 3, ...; an entry's hash is SHA-256 over the hash before it and the
canonical JSON of the entry (keys sorted, no spaces, UTF-8). The database refuses to change or delete entries; whoever
goes round that breaks the chain, and `verify` names the first entry that does not fit. Somebody who can write the
database could make the whole chain anew: against that, note the heads that `verify` returns (or an export) elsewhere,
and give them to a later `verify`.

`append` belongs to the transaction of what it records: both are there or neither is. Writers of one store wait for each
other from here to their commit, so it is best the last thing that a transaction does.

Entries hold ids and figures, never names or what people wrote: they cannot be erased.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy import Connection, insert, select, update

from pipeline.errors import AuditError
from pipeline.review.tables import audit_heads, audit_trail
from pipeline.state.bulk import insert_missing

FIRST_HASH = "0" * 64
"""What stands for the hash before a chain's first entry."""
_PAGE = 1000


@dataclass(frozen=True)
class Entry:
    """One entry. `by`: a staff or shopper id, or "rule:NAME" or "walkout" for what nobody decided. `store_id`: "" for
    what belongs to no one store."""

    store_id: str
    sequence: int
    at_ns: int
    kind: str
    by: str
    about: Mapping[str, Any]
    previous_hash: str
    hash: str

    def expected_hash(self) -> str:
        body = canonical({k: v for k, v in asdict(self).items() if k not in ("previous_hash", "hash")})
        return hashlib.sha256(f"{self.previous_hash}\n{body}".encode()).hexdigest()


@dataclass(frozen=True)
class Head:
    """The newest entry of a store's chain."""

    sequence: int
    hash: str


def append(
    db: Connection, kind: str, by: str, about: Mapping[str, Any], *, store_id: str = "", at_ns: int | None = None
) -> Entry:
    """Write one entry within the caller's transaction.

    Args:
        kind: what happened, e.g. "case-resolved", "clip-expired", "shopper-erased".
        by: who, see `Entry`.
        about: what JSON can hold; `case_id` and `visit_id` in it can be searched by (`history`).
        at_ns: ns since the Unix epoch, now by default.

    Raises `ValueError` or `TypeError` for values that JSON has no text for (NaN, bytes).
    """
    about = json.loads(canonical(about))  # as it will be read: tuples are lists
    db.execute(insert_missing(db, audit_heads).values(store_id=store_id, sequence=0, hash=FIRST_HASH))
    head = db.execute(select(audit_heads).where(audit_heads.c.store_id == store_id).with_for_update()).one()
    at_ns = time.time_ns() if at_ns is None else at_ns
    bare = Entry(store_id, head.sequence + 1, at_ns, kind, by, about, head.hash, "")
    entry = Entry(**{**vars(bare), "hash": bare.expected_hash()})
    db.execute(
        insert(audit_trail).values(
            store_id=store_id, sequence=entry.sequence, at_ns=at_ns, kind=kind, actor=by, about=canonical(about),
            case_id=_text(about.get("case_id")), visit_id=_text(about.get("visit_id")),
            previous_hash=entry.previous_hash, hash=entry.hash,
        )
    )  # fmt: skip
    newest = {"sequence": entry.sequence, "hash": entry.hash}
    db.execute(update(audit_heads).where(audit_heads.c.store_id == store_id).values(**newest))
    return entry


def verify(db: Connection, noted: Mapping[str, Head] | None = None) -> dict[str, Head]:
    """Go through all chains; store id -> its head. `AuditError` names the first entry that is wrong.

    `noted`: heads of an earlier time; each must still be in its chain.
    """
    heads = check(_rows(db), noted)
    for row in db.execute(select(audit_heads).order_by(audit_heads.c.store_id)):
        found = heads.get(row.store_id, Head(0, FIRST_HASH))
        if found != Head(row.sequence, row.hash):
            raise AuditError(
                f"{_place(row.store_id, min(found.sequence, row.sequence) + 1)}: the chain ends at {found.sequence} "
                f"and its head says {row.sequence}: entries are missing at the end, or were added past `append`"
            )
    return heads


def check(entries: Iterable[Entry], noted: Mapping[str, Head] | None = None) -> dict[str, Head]:
    """As `verify`, of entries in the order of store and sequence, such as those of an export."""
    heads: dict[str, Head] = {}
    noted = noted or {}
    for entry in entries:
        before = heads.get(entry.store_id, Head(0, FIRST_HASH))
        place = _place(entry.store_id, entry.sequence)
        if entry.sequence != before.sequence + 1:
            expected = _place(entry.store_id, before.sequence + 1)
            raise AuditError(f"{expected} is missing: after {before.sequence} comes {entry.sequence}")
        if entry.previous_hash != before.hash:
            raise AuditError(f"{place} does not follow the entry before it: its previous hash is another")
        if entry.hash != entry.expected_hash():
            raise AuditError(f"{place} ({entry.kind} by {entry.by}) was changed: its hash is not that of its content")
        head = heads[entry.store_id] = Head(entry.sequence, entry.hash)
        if (then := noted.get(entry.store_id)) and then.sequence == head.sequence and then != head:
            raise AuditError(f"{place} is not the one noted before: the chain was made anew")
    for store_id, then in noted.items():
        if then.sequence > heads.get(store_id, Head(0, FIRST_HASH)).sequence:
            raise AuditError(f"{_place(store_id, then.sequence)} was noted before and is missing")
    return heads


def export(db: Connection) -> Iterator[str]:
    """All entries as JSON lines, in the order of store and sequence; `parse` reads them."""
    return (canonical(asdict(entry)) for entry in _rows(db))


def parse(lines: Iterable[str]) -> Iterator[Entry]:
    """Entries out of an export. `AuditError` names the line that is none."""
    for number, line in enumerate(lines, start=1):
        try:
            yield Entry(**json.loads(line))
        except (ValueError, TypeError) as error:
            raise AuditError(f"line {number} of the export is no audit entry: {error}") from None


def history(db: Connection, *, case_id: str | None = None, visit_id: str | None = None) -> list[Entry]:
    """Entries about this case, or about this visit, oldest first."""
    query = select(audit_trail).order_by(audit_trail.c.at_ns, audit_trail.c.store_id, audit_trail.c.sequence)
    for column, value in ((audit_trail.c.case_id, case_id), (audit_trail.c.visit_id, visit_id)):
        if value is not None:
            query = query.where(column == value)
    return [_entry(row) for row in db.execute(query)]


def newest(db: Connection, limit: int, store_id: str | None = None) -> list[Entry]:
    """The entries written last, newest first; of one store, or of all."""
    key = audit_trail.c.at_ns.desc(), audit_trail.c.store_id, audit_trail.c.sequence.desc()
    query = select(audit_trail).order_by(*key).limit(limit)
    if store_id is not None:
        query = query.where(audit_trail.c.store_id == store_id)
    return [_entry(row) for row in db.execute(query)]


def canonical(value: Any) -> str:
    """JSON with one way to write each value."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def _rows(db: Connection) -> Iterator[Entry]:
    """All entries, some at a time: a chain of years does not fit into memory."""
    after = ("", 0)
    key = audit_trail.c.store_id, audit_trail.c.sequence
    while True:
        later = (key[0] > after[0]) | ((key[0] == after[0]) & (key[1] > after[1]))
        rows = db.execute(select(audit_trail).where(later).order_by(*key).limit(_PAGE)).all()
        for row in rows:
            entry = _entry(row)
            found = {"case_id": row.case_id, "visit_id": row.visit_id}
            if row.about != canonical(entry.about) or any(
                value != _text(entry.about.get(name)) for name, value in found.items()
            ):
                raise AuditError(f"{_place(row.store_id, row.sequence)} was changed: its columns do not agree")
            yield entry
        if len(rows) < _PAGE:
            return
        after = (rows[-1].store_id, rows[-1].sequence)


def _entry(row) -> Entry:
    try:
        about = json.loads(row.about)
    except ValueError:
        raise AuditError(f"{_place(row.store_id, row.sequence)} was changed: it is no JSON any more") from None
    return Entry(row.store_id, row.sequence, row.at_ns, row.kind, row.actor, about, row.previous_hash, row.hash)


def _place(store_id: str, sequence: int) -> str:
    return f"audit entry {sequence} of {f'store {store_id}' if store_id else 'no one store'}"


def _text(value: Any) -> str | None:
    return None if value is None else str(value)
