# SPDX-License-Identifier: AGPL-3.0-or-later
"""Where a command's review is: a run's or a store's folder, or the URL of a state. Imports nothing heavy."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from pipeline.review.desk import ReviewDesk
    from pipeline.state import Database

Where = Annotated[
    str,
    typer.Argument(metavar="RUN_OR_STATE", help="A run's or a store's folder, or the state: postgresql://... or sqlite:///FILE."),
]  # fmt: skip


@contextmanager
def desk_of(where: str, *, working: bool = False) -> Iterator[ReviewDesk]:
    """The desk of a folder or a state. `working`: of a run, also see corrections published and paid before the end."""
    if "://" in where:
        from pipeline.errors import StateError

        raise StateError(f"{where}: prices and film are with a store: name its folder, and the state in its settings")
    from pipeline.site import open_site

    with open_site(Path(where)) as site:
        yield site.review
        if working and site.run is not None:
            _until_published(site.database)


def _until_published(database: Database, timeout_s: float = 15.0) -> None:
    """The site's own thread does the work; nothing is lost when there is no time: the next one that opens it does."""
    import time

    from sqlalchemy import func, select

    from pipeline.cart.desk_tables import corrections
    from pipeline.payment.tables import payments
    from pipeline.review.tables import messages

    def left(db) -> int:
        unpublished = [
            db.execute(select(func.count()).select_from(table)).scalar_one() for table in (corrections, messages)
        ]
        working = select(func.count()).select_from(payments).where(payments.c.state == "working")
        return sum(unpublished) + db.execute(working).scalar_one()

    until_s, quiet = time.monotonic() + timeout_s, 0
    while time.monotonic() < until_s and quiet < 3:
        quiet = 0 if database.run(left) else quiet + 1
        time.sleep(0.4)


@contextmanager
def state_of(where: str) -> Iterator[Database]:
    """The state alone, for what needs neither prices nor film."""
    from pipeline.errors import StateError
    from pipeline.gate.entry_settings import load_entry_settings
    from pipeline.journal import STATE_FILE
    from pipeline.state import Database

    url = where
    if "://" not in where:
        folder = Path(where)
        file = folder / STATE_FILE
        if file.is_file():
            url = f"sqlite:///{file}"
        elif (folder / "layout.yaml").is_file() and (found := load_entry_settings(folder).state_url):
            url = found
        else:
            raise StateError(f"{where}: expected a run's folder (with {STATE_FILE}), a store's, or the URL of a state")
    database = Database(url)
    try:
        yield database
    finally:
        database.close()
