# SPDX-License-Identifier: AGPL-3.0-or-later
"""`walkout state ...`: the version of a state database."""

from __future__ import annotations

from typing import Annotated

import typer

app = typer.Typer(help="The state database: bring its tables up to date, or back.", no_args_is_help=True)

Url = Annotated[
    str,
    typer.Argument(
        metavar="URL", envvar="WALKOUT_STATE_URL", help="postgresql://USER:PASSWORD@HOST/DATABASE or sqlite:///FILE."
    ),
]


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


@app.command()
def prune(
    url: Url,
    keep_days: Annotated[
        int,
        typer.Option("--keep-days", min=30, help="What is younger stays; cards are disputed for 120 days and more."),
    ] = 400,
    log: Annotated[str | None, typer.Option("--log", help="An embedded log, sqlite:///FILE, to be pruned too.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be deleted.")] = False,
) -> None:
    """Delete old events, notices of payment providers and entries at gates. A shop may go on meanwhile.

    Receipts, payments, the ledger and the audit trail stay for ever; so do the events of visits whose receipt is held,
    whose payment is open, or about which there is a case.
    """
    import time

    from pipeline.errors import EventLogError
    from pipeline.eventlog import open_log
    from pipeline.eventlog.embedded import EmbeddedLog
    from pipeline.retention import prune as delete_old
    from pipeline.state.database import Database

    opened = None if log is None else open_log(log)
    if opened is not None and not isinstance(opened, EmbeddedLog):
        opened.close()
        raise EventLogError(f"log {log}: Kafka prunes by itself (retention.ms of its topics); expected sqlite:///FILE")
    database = Database(url)
    done = delete_old(database, time.time_ns() - keep_days * 86_400 * 1_000_000_000, opened, dry_run=dry_run)
    database.close()
    told = [
        f"{done.events} events", f"{done.notices} notices", f"{done.gate_entries} entries",
        *([] if done.log_records is None else [f"{done.log_records} records of the log"]),
    ]  # fmt: skip
    verb = "would be deleted" if dry_run else "deleted"
    print(f"{verb}: {', '.join(told)}; {done.events_kept} old events kept, of visits that are not done with")


def _move(url: str, revision: str) -> None:
    from pipeline.state.database import Database

    database = Database(url, migrated=False)
    before = database.revision()
    database.migrate(revision)
    print(f"{database.name}: from {before or 'no tables'} to {database.revision() or 'no tables'}")
    database.close()
