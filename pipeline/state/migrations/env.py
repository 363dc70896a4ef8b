# SPDX-License-Identifier: AGPL-3.0-or-later
"""Alembic's entry point. `pipeline.state.versions` hands over an open connection and commits it."""

from alembic import context

from pipeline.state.schema import METADATA

# SQLite cannot alter most things of a table; batch mode makes a new one and moves the rows.
context.configure(
    connection=context.config.attributes["connection"], target_metadata=METADATA, render_as_batch=True,
    transactional_ddl=True,
)  # fmt: skip
context.run_migrations()
