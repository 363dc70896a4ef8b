# SPDX-License-Identifier: AGPL-3.0-or-later
"""Which version a state's tables have, and bringing them to another.

Revisions are the four digits that the files of `migrations/versions` begin with, one line without branches, so that the
newest is known without loading Alembic: a process that finds its state up to date starts without it.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import Connection, Engine, inspect, text

from pipeline.errors import StateError
from pipeline.state.schema import all_tables

if TYPE_CHECKING:
    from alembic.config import Config

_FOLDER = Path(__file__).parent / "migrations"
_LOCK = 0x77616C6B  # any number; the same for all who migrate one PostgreSQL database


def newest() -> str:
    """The revision that this walkout's tables have."""
    return revisions()[-1]


def current(db: Connection) -> str | None:
    """The revision of a database; None when it has no tables of ours."""
    if not inspect(db).has_table("alembic_version"):
        return None
    return db.execute(text("SELECT version_num FROM alembic_version")).scalar()


def check(engine: Engine, name: str, *, upgrade: bool) -> None:
    """Raises `StateError` unless the tables are of this walkout; `upgrade` brings older ones up to date instead."""
    with engine.begin() as db:
        found = current(db)
    wanted = newest()
    if found == wanted:
        return
    if found is not None and found > wanted:
        raise StateError(
            f"state {name}: its tables have version {found}, this walkout knows up to {wanted}: update walkout"
        )
    if not upgrade:
        raise StateError(
            f"state {name}: its tables have version {found or 'none'}, expected {wanted}: "
            f"walkout state upgrade {name.replace('+psycopg', '')}"
        )
    migrate(engine, wanted)


def migrate(engine: Engine, revision: str) -> None:
    """To `revision` ("0001" ... or "head"), or down to it ("base": nothing left), in one transaction.

    Processes that start together take turns: SQLite by its write lock, PostgreSQL by an advisory lock. Raises
    `StateError`, and changes nothing, where what is there cannot be what its version says.
    """
    from alembic import command

    with engine.begin() as db:
        if db.dialect.name == "postgresql":
            db.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
        now = current(db) or "base"
        wanted = newest() if revision == "head" else revision
        if wanted not in ("base", *revisions()):
            raise StateError(f"revision {revision!r}: expected head, base or one of {', '.join(revisions())}")
        if now == wanted:
            return
        if now == "base":
            _require_no_tables(db)
        move = command.downgrade if _rank(wanted) < _rank(now) else command.upgrade
        move(_config(db), wanted)
        if wanted == newest():
            _require_all_columns(db, now)


def revisions() -> list[str]:
    """All revisions, oldest first."""
    return sorted(path.name[:4] for path in (_FOLDER / "versions").glob("[0-9][0-9][0-9][0-9]_*.py"))


def _require_no_tables(db: Connection) -> None:
    if ours := sorted({*all_tables().tables} & {*inspect(db).get_table_names()}):
        raise StateError(_strange(db, f"it has tables ({', '.join(ours)}) and no version of them"))


def _require_all_columns(db: Connection, before: str) -> None:
    found = inspect(db)
    there = {table: {c["name"] for c in found.get_columns(table)} for table in found.get_table_names()}
    missing = [t.name for t in all_tables().sorted_tables if not {*t.columns.keys()} <= there.get(t.name, set())]
    if missing:
        raise StateError(_strange(db, f"its tables say version {before} but lack what that has ({', '.join(missing)})"))


def _strange(db: Connection, what: str) -> str:
    name = db.engine.url.render_as_string(hide_password=True).replace("+psycopg", "")
    return (
        f"state {name}: {what}: a walkout from before the first release made it, or another program; nothing in it was "
        f"changed. Of a run: run its recording again into the same folder. Of a store: keep it and name another"
    )


def _rank(revision: str) -> str:
    return "" if revision == "base" else revision


def _config(db: Connection) -> Config:
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(_FOLDER).replace("%", "%%"))
    config.attributes["connection"] = db
    return config
