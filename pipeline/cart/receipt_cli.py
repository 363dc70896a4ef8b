# SPDX-License-Identifier: AGPL-3.0-or-later
"""`walkout receipt ...`: look at receipts of a run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(help="Look at receipts.", no_args_is_help=True)


@app.callback()
def receipt() -> None:
    """Look at receipts."""


@app.command()
def show(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="A run's folder, or its receipts.json.")],
    visit: Annotated[
        str | None, typer.Option("--visit", help="A visit's or receipt's id, or its beginning. Default: all.")
    ] = None,
    html: Annotated[Path | None, typer.Option("--html", help="Write the receipt for people to this file.")] = None,
    locale: Annotated[str | None, typer.Option("--locale", help="Language of the page, e.g. en_GB or fr_FR.")] = None,
    store: Annotated[
        Path | None, typer.Option("--store", help="Store or recording whose settings.yaml says what stands on it.")
    ] = None,
    version: Annotated[int | None, typer.Option("--version", help="An older version. Default: the newest.")] = None,
) -> None:
    """Print receipts with taxes, discounts, what is held and why; or write one as a page to print."""
    from rich.console import Console

    from pipeline.cart.receipt_text import print_receipt
    from pipeline.errors import OutputError
    from pipeline.run_files import write_whole

    found = _choose(_read(run), visit, version)
    if html is not None:
        from pipeline.cart.paper import html_of

        if len(found) != 1:
            raise OutputError(f"{run}: {len(found)} receipts; name one with --visit: {_names(found)}")
        write_whole(html, html_of(found[0], _paper(store, locale)).encode("utf-8"))
        Console().print(str(html), highlight=False, soft_wrap=True)
        return
    for one in found:
        print_receipt(one, Console())


@app.command()
def schema() -> None:
    """Print the JSON Schema of a receipt (deploy/receipt.schema.json)."""
    from pipeline.cart.receipt_schema import text

    print(text(), end="")


def _read(run: Path):
    from pydantic import ValidationError

    from pipeline.errors import RecordingError
    from pipeline.messages import ReceiptIssued
    from pipeline.run_files import RECEIPTS

    path = run / RECEIPTS if run.is_dir() else run
    try:
        data = json.loads(path.read_text(encoding="utf-8"))["receipts"]
        return [ReceiptIssued.model_validate_json(json.dumps(r)) for r in data]
    except OSError as error:
        raise RecordingError(f"{path}: {error.strerror}; is {run} a run?") from None
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise RecordingError(f"{path}: not a receipt: {where}: {first['msg']}") from None
    except (ValueError, KeyError, TypeError) as error:
        raise RecordingError(f"{path}: not a file of receipts ({type(error).__name__}: {error})") from None


def _choose(receipts, wanted: str | None, version: int | None):
    """The newest version of each, or the one asked for."""
    from pipeline.errors import RecordingError

    matching = [
        r for r in receipts if wanted is None or r.visit_id.startswith(wanted) or r.receipt_id.startswith(wanted)
    ]
    if wanted is not None and not matching:
        raise RecordingError(f"no receipt of a visit {wanted!r}; there are: {_names(receipts) or 'none'}")
    if version is not None:
        found = [r for r in matching if r.version == version]
        if not found:
            raise RecordingError(f"no version {version}; there are: {sorted({r.version for r in matching})}")
        return found
    newest: dict = {}
    for r in matching:
        if r.receipt_id not in newest or r.version > newest[r.receipt_id].version:
            newest[r.receipt_id] = r
    return list(newest.values())


def _names(receipts) -> str:
    return ", ".join(dict.fromkeys(f"{r.visit_id} ({r.shopper_id or 'no payer'})" for r in receipts))


def _paper(store: Path | None, locale: str | None):
    from pydantic import ValidationError

    from pipeline.cart.paper import PaperSettings
    from pipeline.errors import LayoutError
    from pipeline.settings import load_settings

    paper = load_settings(store).paper if store else PaperSettings()
    if locale is None:
        return paper
    try:
        return PaperSettings(**{**paper.model_dump(), "locale": locale})
    except ValidationError as error:
        raise LayoutError(f"--locale: {error.errors()[0]['msg']}") from None
