# SPDX-License-Identifier: AGPL-3.0-or-later
"""Looking at the tables of a state database, for tests on SQLite and on PostgreSQL."""

from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import inspect

from pipeline.state.schema import all_tables


def differences(database) -> list:
    """What Alembic would have to change to make the database what the rooms' tables say."""
    with database.transaction() as db:
        context = MigrationContext.configure(db, opts={"compare_type": True})
        return compare_metadata(context, all_tables())


def tables(database) -> dict:
    """Table -> its columns, keys and indices, as far as the database tells."""
    with database.transaction() as db:
        seen = inspect(db)
        return {
            name: (
                sorted((c["name"], str(c["type"]), c["nullable"]) for c in seen.get_columns(name)),
                sorted(seen.get_pk_constraint(name)["constrained_columns"]),
                sorted(str(sorted(u["column_names"])) for u in seen.get_unique_constraints(name)),
                sorted(str(i["name"]) for i in seen.get_indexes(name)),
                sorted(str(sorted(f["constrained_columns"])) for f in seen.get_foreign_keys(name)),
            )
            for name in seen.get_table_names()
            if name != "alembic_version"
        }
