# SPDX-License-Identifier: AGPL-3.0-or-later
"""Many rows in one statement, written for each database the way it does that fastest.

PostgreSQL takes a column of values as one array parameter, so that a statement has as many parameters as columns and is
planned once whatever the number of rows; SQLite is in the same process and takes rows one by one, or a list as JSON.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from typing import Any

from sqlalchemy import Column, ColumnElement, Connection, Insert, String, Table, any_, bindparam, func, select
from sqlalchemy.dialects import postgresql, sqlite


def insert_missing(db: Connection, table: Table) -> Insert:
    """INSERT that leaves out rows whose key is there already."""
    dialect = postgresql if db.dialect.name == "postgresql" else sqlite
    return dialect.insert(table).on_conflict_do_nothing()


def is_in(db: Connection, column: Column, values: Collection[str]) -> ColumnElement[bool]:
    """`column` is one of these texts, which travel as one parameter however many they are."""
    if db.dialect.name == "postgresql":
        return column == any_(bindparam(None, list(values), type_=postgresql.ARRAY(String)))
    listed = func.json_each(bindparam(None, json.dumps(list(values)), type_=String)).table_valued("value")
    return column.in_(select(listed.c.value))


def insert_all(db: Connection, table: Table, rows: Sequence[dict[str, Any]]) -> None:
    """Insert these rows, in this order; a key that is there already is an error."""
    if rows and db.dialect.name == "postgresql":
        db.exec_driver_sql(*_unnested(db, table, rows))
    elif rows:
        db.execute(table.insert(), rows)


def insert_new(db: Connection, table: Table, key: str, rows: Sequence[dict[str, Any]]) -> set[str]:
    """Insert the rows whose text `key` is not there yet; the keys that were new. Keys within `rows` must differ."""
    if not rows:
        return set()
    if db.dialect.name == "postgresql":
        statement, values = _unnested(db, table, rows)
        return set(db.exec_driver_sql(f"{statement} ON CONFLICT DO NOTHING RETURNING {key}", values).scalars())
    keys = [row[key] for row in rows]
    known = set(db.execute(select(table.c[key]).where(is_in(db, table.c[key], keys))).scalars())
    new = [row for row in rows if row[key] not in known]
    if new:
        db.execute(table.insert(), new)
    return {row[key] for row in new}


def _unnested(db: Connection, table: Table, rows: Sequence[dict[str, Any]]) -> tuple[str, tuple]:
    """INSERT of whole columns as arrays, and these. In PostgreSQL's binary format (`%b`): as text each body would be
    written out in hexadecimal here and read back there."""
    columns = [table.c[name] for name in rows[0]]
    arrays = ", ".join(f"%b::{column.type.compile(db.dialect)}[]" for column in columns)
    names = ", ".join(column.name for column in columns)
    statement = f"INSERT INTO {table.name} ({names}) SELECT * FROM unnest({arrays})"
    return statement, tuple([row[column.name] for row in rows] for column in columns)
