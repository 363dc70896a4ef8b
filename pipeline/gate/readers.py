# SPDX-License-Identifier: AGPL-3.0-or-later
"""Who may post to a store's gates, and the cards and badges that it knows.

Keys are 32 random bytes and cards' tokens are given by the reader's maker: both are kept as SHA-256 and found by it. A
slow password hash would buy nothing against guessing and would cost every tap its time.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from hashlib import sha256

from sqlalchemy import insert, select, update

from pipeline.errors import PassKeyError
from pipeline.gate.tables import gate_readers, gate_tokens
from pipeline.state import Database
from pipeline.state.bulk import insert_missing


@dataclass(frozen=True)
class Reader:
    """`gate_id`: the one gate it serves; None for a terminal of staff, which sees who is inside and may join visits."""

    name: str
    gate_id: str | None


class Readers:
    def __init__(self, database: Database, store_id: str) -> None:
        self._database, self._store_id = database, store_id

    def add(self, name: str, gate_id: str | None, now_ns: int) -> str:
        """A new reader; its API key, which is shown this once and kept nowhere."""
        key = f"wk_{secrets.token_urlsafe(32)}"
        values = {
            "key_digest": token_digest(key), "store_id": self._store_id, "gate_id": gate_id, "name": name,
            "added_ns": now_ns,
        }  # fmt: skip
        self._database.run(lambda db: db.execute(insert(gate_readers).values(values)))
        return key

    def revoke(self, name: str, now_ns: int) -> None:
        """All keys of that name stop working; `PassKeyError` when there is none."""
        row = gate_readers.c
        mine = (row.store_id == self._store_id) & (row.name == name) & row.revoked_ns.is_(None)
        if not self._database.run(
            lambda db: db.execute(update(gate_readers).where(mine).values(revoked_ns=now_ns)).rowcount
        ):
            raise PassKeyError(f"no reader {name!r} of store {self._store_id} has a key that works")

    def find(self, key: str) -> Reader | None:
        """Whose key this is; None for a wrong or revoked one."""
        row = gate_readers.c
        query = select(row.name, row.gate_id).where(
            row.key_digest == token_digest(key), row.store_id == self._store_id, row.revoked_ns.is_(None)
        )
        with self._database.transaction() as db:
            found = db.execute(query).first()
        return None if found is None else Reader(found.name, found.gate_id)

    def register(self, kind: str, token: str, holder_id: str, until_ns: int | None = None) -> None:
        """Make a card or badge known, or change whose it is and until when."""
        key = {"store_id": self._store_id, "token_digest": token_digest(token)}
        values = {"kind": kind, "holder_id": holder_id, "until_ns": until_ns}
        row = gate_tokens.c
        mine = (row.store_id == key["store_id"]) & (row.token_digest == key["token_digest"])

        def write(db) -> None:
            if not db.execute(insert_missing(db, gate_tokens).values({**key, **values})).rowcount:
                db.execute(update(gate_tokens).where(mine).values(values))

        self._database.run(write)


def token_digest(text: str) -> str:
    return sha256(text.encode()).hexdigest()
