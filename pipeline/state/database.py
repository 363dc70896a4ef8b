# SPDX-License-Identifier: AGPL-3.0-or-later
"""A database opened by URL, with transactions that wait for it when it is away.

SQLite: write-ahead log, every commit synced, each transaction takes the write lock when it begins (`BEGIN IMMEDIATE`),
so that two processes queue up instead of failing when the second starts to write. PostgreSQL: READ COMMITTED, through
psycopg; whoever decides something from what it has read takes a row lock.
"""

from __future__ import annotations

import copy
import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, SQLAlchemyError

from pipeline.errors import StateError, StateUnreachableError
from pipeline.state import versions

logger = logging.getLogger(__name__)

T = TypeVar("T")

_EXPECTED = "expected sqlite:///FILE or postgresql://USER:PASSWORD@HOST/DATABASE"
_CONNECT_TIMEOUT_S = 5
_LOCK_TIMEOUT_S = 30.0
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.1, 2.0
_RETRY_SQLSTATES = ("40001", "40P01", "55P03")
"""Serialization failure, deadlock, lock not available: the same work succeeds when it is done again."""
_AWAY_SQLSTATES = ("08", "53300", "57P0", "25006")
"""Connection exceptions, too many connections, server shutting down or starting up, a standby that is not yet primary
(PostgreSQL 15, appendix A)."""


class Database:
    """One state database.

    Args:
        url: `sqlite:///relative/file`, `sqlite:////absolute/file`, or `postgresql://user:password@host[:port]/name`.
            A SQLite file is made when it is not there and brought up to date by itself; a PostgreSQL database must
            have been (`walkout state upgrade URL`).
        wait_s: how long an unreachable database is waited for, at the start and in `run`; may be `math.inf`.
        stop: set it to give up waiting, as when the service is told to end.
        migrated: False opens a database whatever version its tables have, to `migrate` it.

    Raises `StateError` for a wrong URL, an unusable file or a schema that is not up to date, and
    `StateUnreachableError` when the database stays away for longer than `wait_s`.
    """

    def __init__(
        self, url: str, *, wait_s: float = 60.0, stop: threading.Event | None = None, migrated: bool = True
    ) -> None:
        self._url = _parse(url)
        self.name = self._url.render_as_string(hide_password=True)
        self._wait_s, self._stop = wait_s, stop or threading.Event()
        self.reachable = False
        self._engine = _engine(self._url, self.name)
        try:
            if migrated:
                self._wait_for(lambda: versions.check(self._engine, self.name, upgrade=self.is_sqlite))
            else:
                self.run(versions.current)
        except BaseException:
            self._engine.dispose()
            raise

    @classmethod
    def waited_for_once(cls, url: str) -> Database:
        """One that is waited for now and never later: for whoever must not stop while it is away."""
        database = cls(url)
        database._wait_s = 0.0
        return database

    def unwaited(self) -> Database:
        """The same database, its connections shared, for whoever would rather not know than wait while it is away."""
        twin = copy.copy(self)
        twin._wait_s = 0.0
        return twin

    @property
    def is_sqlite(self) -> bool:
        return self._url.get_backend_name() == "sqlite"

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """Commits at the end, rolls back on an exception. Tried once: `StateUnreachableError` when the database is
        away. When it goes away during the commit itself, nobody knows whether it was committed."""
        with self._errors(), self._engine.begin() as db:
            yield db

    def run(self, work: Callable[[Connection], T]) -> T:
        """`work(connection)` in a transaction of its own, done again from its start while the database is away.

        An attempt whose commit was cut off may have been committed, so `work` must find that out by what it reads
        (event ids, positions). Raises what `work` raises.
        """

        def once() -> T:
            with self.transaction() as db:
                return work(db)

        return self._wait_for(once)

    def revision(self) -> str | None:
        """The version of the tables; None when there are none."""
        return self.run(versions.current)

    def migrate(self, revision: str) -> None:
        """Bring the tables to this version: four digits, "head" or "base" (no tables)."""
        with self._errors():
            versions.migrate(self._engine, revision)

    def close(self) -> None:
        self._engine.dispose()

    def _wait_for(self, once: Callable[[], T]) -> T:
        since, pause_s = None, _FIRST_PAUSE_S
        while True:
            try:
                with self._errors():
                    result = once()
            except StateUnreachableError as error:
                now = time.monotonic()
                if since is None:
                    since = now
                    if self._wait_s > 0:
                        logger.warning("%s; waiting%s", error, _at_most(self._wait_s))
                left_s = since + self._wait_s - now
                if left_s <= 0:
                    raise StateUnreachableError(
                        f"{error}; not reached for {self._wait_s:g} s: does the database run, is the address right?"
                    ) from error
                if self._stop.wait(min(pause_s, left_s)):
                    raise
                pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)
            else:
                if since is not None:
                    logger.warning("state %s is back after %.1f s", self.name, time.monotonic() - since)
                self.reachable = True
                return result

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except SQLAlchemyError as error:
            reason = f"state {self.name}: {_line(error)}"
            if _is_away(error):
                self.reachable = False
                raise StateUnreachableError(reason) from error
            raise StateError(reason) from error


def _parse(url: str) -> URL:
    try:
        parsed = make_url(url)
    except ArgumentError:
        raise StateError(f"state {url!r}: {_EXPECTED}") from None
    backend = parsed.get_backend_name()
    if backend == "sqlite":
        return parsed.set(drivername="sqlite")
    if backend == "postgresql" and parsed.database:
        try:
            import psycopg  # noqa: F401
        except ModuleNotFoundError:
            raise StateError("a postgresql:// state needs psycopg: pip install 'walkout[postgres]'") from None
        return parsed.set(drivername="postgresql+psycopg")
    raise StateError(f"state {parsed.render_as_string(hide_password=True)!r}: {_EXPECTED}")


def _engine(url: URL, name: str) -> Engine:
    if url.get_backend_name() == "postgresql":
        return create_engine(url, pool_pre_ping=False, connect_args={"connect_timeout": _CONNECT_TIMEOUT_S})
    if url.database and url.database != ":memory:":
        try:
            Path(url.database).parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StateError(f"state {name}: cannot make its folder: {error.strerror}") from None
    engine = create_engine(url, connect_args={"timeout": _LOCK_TIMEOUT_S})

    @event.listens_for(engine, "connect")
    def configure(connection, _record) -> None:
        connection.isolation_level = None  # the driver must not begin or commit by itself
        for pragma in ("journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON"):
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def begin(connection) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    return engine


def _is_away(error: SQLAlchemyError) -> bool:
    """Whether the same work may succeed later."""
    if not isinstance(error, DBAPIError):
        return False
    if error.connection_invalidated:
        return True
    if hasattr(error.orig, "sqlite_errorname"):
        return error.orig.sqlite_errorname.startswith(("SQLITE_BUSY", "SQLITE_LOCKED"))
    sqlstate = getattr(error.orig, "sqlstate", None)
    if sqlstate is None:  # psycopg gives none when the server could not be asked at all
        text = str(error.orig)
        return type(error.orig).__name__ == "OperationalError" and not any(t in text for t in _REFUSED)
    return sqlstate in _RETRY_SQLSTATES or sqlstate.startswith(_AWAY_SQLSTATES)


_REFUSED = ("password authentication failed", "does not exist", "no password supplied", "no pg_hba.conf entry")
"""What a server that is there says at the door; psycopg hands it on without its SQLSTATE."""


def _line(error: SQLAlchemyError) -> str:
    return " ".join(str(getattr(error, "orig", None) or error).split())


def _at_most(wait_s: float) -> str:
    return "" if wait_s == float("inf") else f" up to {wait_s:g} s"
