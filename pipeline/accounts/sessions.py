# SPDX-License-Identifier: AGPL-3.0-or-later
"""Who is signed in. The browser holds a random token, the database its digest: a copy of it lets nobody in."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy import Connection, delete, insert, select, update

from pipeline.accounts.secrets import digest, new_token
from pipeline.accounts.tables import sessions
from pipeline.accounts.users import User, user_of
from pipeline.state import Database

_HOUR_NS = 3_600_000_000_000
_NOTE_EVERY_NS = 60_000_000_000


@dataclass(frozen=True)
class SessionNote:
    """One place where somebody is signed in. `number`: a part of its digest, to name it by."""

    number: str
    way: str
    agent: str
    made_ns: int
    seen_ns: int


class Sessions:
    """A session ends `hours` after it was last used, and `days` after it began."""

    def __init__(self, database: Database, clock: Callable[[], int], hours: float = 12, days: float = 30) -> None:
        self._database, self._clock = database, clock
        self._idle_ns, self._whole_ns = round(hours * _HOUR_NS), round(days * 24 * _HOUR_NS)

    def start(self, user_id: str, way: str, agent: str = "", instead_of: str | None = None) -> str:
        """A new session's token. `instead_of`: the token of the session that this browser had, which ends."""
        token, now = new_token(), self._clock()
        row = {"token_digest": digest(token), "user_id": user_id, "way": way, "agent": agent[:120]}

        def work(db: Connection) -> None:
            db.execute(delete(sessions).where(sessions.c.expires_ns <= now))
            if instead_of:
                db.execute(delete(sessions).where(sessions.c.token_digest == digest(instead_of)))
            times = {"made_ns": now, "seen_ns": now, "expires_ns": now + min(self._idle_ns, self._whole_ns)}
            db.execute(insert(sessions).values(**row, **times))

        self._database.run(work)
        return token

    def find(self, token: str) -> User | None:
        """Whose session this is, if it still is one."""
        now, mine = self._clock(), sessions.c.token_digest == digest(token)

        def work(db: Connection) -> User | None:
            row = db.execute(select(sessions).where(mine)).one_or_none()
            if row is None or row.expires_ns <= now:
                return None
            user = user_of(db, row.user_id)
            if user is None or user.disabled:
                return None
            if now - row.seen_ns >= _NOTE_EVERY_NS:  # not with every request: each is a write to the disk
                until = min(now + self._idle_ns, row.made_ns + self._whole_ns)
                db.execute(update(sessions).where(mine).values(seen_ns=now, expires_ns=until))
            return user

        return self._database.run(work)

    def of(self, user_id: str) -> list[SessionNote]:
        """Newest first."""
        query = select(sessions).where((sessions.c.user_id == user_id) & (sessions.c.expires_ns > self._clock()))
        rows = self._database.run(lambda db: db.execute(query.order_by(sessions.c.seen_ns.desc())).all())
        return [SessionNote(r.token_digest[:12], r.way, r.agent, r.made_ns, r.seen_ns) for r in rows]

    def end(self, token: str) -> None:
        self._database.run(lambda db: db.execute(delete(sessions).where(sessions.c.token_digest == digest(token))))

    def end_all(self, user_id: str) -> None:
        self._database.run(lambda db: db.execute(delete(sessions).where(sessions.c.user_id == user_id)))
