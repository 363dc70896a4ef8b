# SPDX-License-Identifier: AGPL-3.0-or-later
"""Tables whose rows the database itself refuses to change or to delete."""

from __future__ import annotations

from sqlalchemy import DDL, Table, event


def append_only(table: str, dialect: str) -> list[str]:
    """Statements after which rows of `table` stay as they are."""
    text = f"{table} is append-only: post a correction instead"
    if dialect == "sqlite":
        return [
            f"CREATE TRIGGER {table}_no_{verb} BEFORE {verb.upper()} ON {table} "
            f"BEGIN SELECT RAISE(ABORT, '{text}'); END"
            for verb in ("update", "delete")
        ]
    return [
        f"CREATE FUNCTION {table}_append_only() RETURNS trigger LANGUAGE plpgsql AS "
        f"$$ BEGIN RAISE EXCEPTION '{text}'; END $$",
        f"CREATE TRIGGER {table}_append_only BEFORE UPDATE OR DELETE ON {table} "
        f"FOR EACH ROW EXECUTE FUNCTION {table}_append_only()",
    ]


def no_truncate(table: str, dialect: str) -> list[str]:
    """PostgreSQL empties a table without looking at its rows; `append_only` must have come first."""
    if dialect == "sqlite":
        return []
    return [
        f"CREATE TRIGGER {table}_no_truncate BEFORE TRUNCATE ON {table} "
        f"FOR EACH STATEMENT EXECUTE FUNCTION {table}_append_only()"
    ]


def droppable(table: str, dialect: str) -> list[str]:
    """What of `append_only` is left when `table` has been dropped."""
    return [] if dialect == "sqlite" else [f"DROP FUNCTION {table}_append_only()"]


def guard(table: Table) -> None:
    """Have `append_only` done whenever the table is made from its definition, without migrations."""
    for dialect in ("sqlite", "postgresql"):
        for statement in append_only(table.name, dialect):
            event.listen(table, "after_create", DDL(statement).execute_if(dialect=dialect))
