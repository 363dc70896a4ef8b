# SPDX-License-Identifier: AGPL-3.0-or-later
"""`walkout state ...`: the version of a state database."""

from __future__ import annotations

from typing import Annotated

import typer

app = typer.Typer(help="The state database: bring its tables up to date, or back.", no_args_is_help=True)

Url = Annotated[str, typer.Argument(metavar="URL", help="postgresql://USER:PASSWORD@HOST/DATABASE or sqlite:///FILE.")]


@app.command()
def upgrade(
    url: Url, revision: Annotated[str, typer.Argument(metavar="REVISION", help="Four digits, or head.")] = "head"
) -> None:
    """Make or change the tables up to a revision: by default those of this walkout. Data is kept."""
    _move(url, revision)


@app.command()
def downgrade(
    url: Url,
    revision: Annotated[str, typer.Argument(metavar="REVISION", help="Four digits, or base: no tables at all.")],
) -> None:
    """Take tables back to an earlier revision. What only the later ones hold is lost."""
    _move(url, revision)


@app.command()
def current(url: Url) -> None:
    """Print the revision of the tables, and which one this walkout needs."""
    from pipeline.state.database import Database
    from pipeline.state.versions import newest

    database = Database(url, migrated=False)
    print(f"{database.name}: {database.revision() or 'no tables'}, this walkout needs {newest()}")
    database.close()


def _move(url: str, revision: str) -> None:
    from pipeline.state.database import Database

    database = Database(url, migrated=False)
    before = database.revision()
    database.migrate(revision)
    print(f"{database.name}: from {before or 'no tables'} to {database.revision() or 'no tables'}")
    database.close()
