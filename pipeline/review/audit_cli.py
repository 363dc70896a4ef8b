# SPDX-License-Identifier: AGPL-3.0-or-later
"""`walkout review audit ...`: whether the trail is whole, and writing it out. Imports nothing heavy."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from pipeline.review.places import Where, state_of

app = typer.Typer(help="The audit trail: who decided, showed or erased what.", no_args_is_help=True)


@app.command()
def verify(
    where: Annotated[str | None, typer.Argument(metavar="[RUN_OR_STATE]", help="See `walkout review queue`.")] = None,
    export: Annotated[Path | None, typer.Option("--export", help="Look at an export instead of at a state.")] = None,
    heads: Annotated[Path | None, typer.Option("--heads", help="What an earlier verify printed with --json.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Go through all chains; exit code 1 and the first broken entry when one is."""
    from pipeline.errors import AuditError
    from pipeline.review import audit

    noted = None
    if (where is None) == (export is None):
        raise AuditError("expected a run, a store or a state to look at, or --export FILE, and not both")
    if heads is not None:
        try:
            noted = {s: audit.Head(**head) for s, head in json.loads(heads.read_text(encoding="utf-8")).items()}
        except (OSError, ValueError, TypeError, AttributeError) as error:
            raise AuditError(f"{heads}: not what `walkout review audit verify --json` prints: {error}") from None
    try:
        if export is not None:
            with export.open(encoding="utf-8") as lines:
                found = audit.check(audit.parse(lines), noted)
        else:
            with state_of(where) as database:
                found = database.run(lambda db: audit.verify(db, noted))
    except OSError as error:
        raise AuditError(f"{export}: {error.strerror}") from None
    except AuditError as error:
        print(f"broken: {error}")
        raise typer.Exit(1) from None
    if as_json:
        print(json.dumps({store: asdict(head) for store, head in found.items()}, indent=1))
        return
    for store, head in found.items():
        print(f"{store or 'no one store'}: {head.sequence} entries, unbroken, up to {head.hash}")
    if not found:
        print("No entries yet.")


@app.command("export")
def export_(
    where: Where, out: Annotated[Path | None, typer.Option("--out", "-o", help="File; standard output.")] = None
) -> None:
    """Write all entries as JSON lines, which `walkout review audit verify --export` can check without the state."""
    from pipeline.review import audit
    from pipeline.run_files import write_whole

    with state_of(where) as database, database.transaction() as db:
        lines = audit.export(db)
        if out is None:
            for line in lines:
                print(line)
        else:
            write_whole(out, "".join(f"{line}\n" for line in lines).encode())
