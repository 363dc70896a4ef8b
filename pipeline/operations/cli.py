# SPDX-License-Identifier: AGPL-3.0-or-later
"""`walkout catalogue ...` and `walkout planogram ...`: CSV in, with a look at what would change, and out."""

from __future__ import annotations

import getpass
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from pipeline.errors import StoreFileError
from pipeline.operations.csv_text import MAX_BYTES
from pipeline.operations.reasons import Refused

catalogue_app = typer.Typer(help="A store's products as CSV.", no_args_is_help=True)
planogram_app = typer.Typer(help="Which slot holds which product, as CSV.", no_args_is_help=True)

File = Annotated[Path, typer.Argument(metavar="FILE", help="CSV: any usual encoding and separator.")]
Store = Annotated[Path, typer.Option("--store", help="The store's folder.")]
Apply = Annotated[bool, typer.Option("--apply", help="Change the file; without it, only say what would change.")]
Missing = Annotated[bool, typer.Option("--remove-missing", help="Remove what the file does not name.")]
State = Annotated[str | None, typer.Option("--state", help="Database with the audit trail; default: entry.yaml's.")]
Out = Annotated[Path | None, typer.Option("--out", "-o", help="File to write; by default to standard output.")]
Separator = Annotated[str, typer.Option("--separator", help="comma, semicolon (with decimal comma) or tab.")]
_SEPARATORS = {"comma": ",", "semicolon": ";", "tab": "\t"}
_SHOWN = 40


@catalogue_app.command("import")
def catalogue_import(
    file: File, store: Store, apply: Apply = False, remove_missing: Missing = False, state: State = None
) -> None:
    """Say what a CSV would change in a store's catalogue; `--apply` changes it."""
    _import("catalogue", file, store, apply, remove_missing, state)


@planogram_app.command("import")
def planogram_import(
    file: File, store: Store, apply: Apply = False, remove_missing: Missing = False, state: State = None
) -> None:
    """Say what a CSV would change in a store's planogram; `--apply` changes it."""
    _import("planogram", file, store, apply, remove_missing, state)


@catalogue_app.command("export")
def catalogue_export(store: Store, out: Out = None, separator: Separator = "comma") -> None:
    """Write a store's catalogue as CSV, ready to be edited and imported."""
    from calibration.catalogue import load_catalogue
    from pipeline.operations.catalogue_csv import export_catalogue

    mark = _separator(separator)
    _write(export_catalogue(load_catalogue(store / "catalogue.yaml"), mark, decimal_comma=mark == ";"), out)


@planogram_app.command("export")
def planogram_export(store: Store, out: Out = None, separator: Separator = "comma") -> None:
    """Write a store's planogram as CSV, every slot of the layout."""
    from calibration.catalogue import load_catalogue, load_planogram
    from calibration.layout import load_layout
    from pipeline.operations.planogram_csv import export_planogram

    layout, catalogue = load_layout(store / "layout.yaml"), load_catalogue(store / "catalogue.yaml")
    planogram = load_planogram(store / "planogram.yaml", layout, catalogue)
    _write(export_planogram(layout, catalogue, planogram, _separator(separator)), out)


def _import(kind: str, file: Path, store: Path, apply: bool, remove_missing: bool, state: str | None) -> None:
    from calibration.layout import load_layout
    from pipeline.gate.entry_settings import load_entry_settings
    from pipeline.operations.store_files import StoreFiles
    from pipeline.state import Database

    data = _read(file)
    store_id = load_layout(store / "layout.yaml").store_id
    database = Database(state or load_entry_settings(store).state_url)
    try:
        files = StoreFiles(store, database, store_id)
        base = files.base()
        try:
            plan = files.plan(kind, data, remove_missing=remove_missing, base=base)
        except Refused as refused:
            raise StoreFileError(f"{file}: {refused.reason}") from None
        _show(plan, file)
        if plan.bad:
            raise StoreFileError(f"{file}: {len(plan.bad)} rows are wrong, nothing was changed; correct them first")
        if not apply or not plan.changes:
            if plan.changes:
                print("nothing was changed yet: say --apply")
            return
        applied = files.apply(kind, plan, base.digests[kind], getpass.getuser())
        kept = f", the one before is {applied.backup.name}" if applied.backup else ""
        print(f"{applied.path}: {applied.changes} changes{kept}; they hold from the services' next start on")
    finally:
        database.close()


def _show(plan, file: Path) -> None:
    console = Console(highlight=False, soft_wrap=True)
    mark = {v: k for k, v in _SEPARATORS.items()}[plan.sheet.separator]
    console.print(f"{file}: {plan.sheet.encoding}, separated by {mark}; {len(plan.sheet.rows)} rows", markup=False)
    table = Table(box=None, show_header=False)
    for change in plan.changes[:_SHOWN]:
        said = "; ".join(f"{f.field} {f.before or '-'} -> {f.after or '-'}" for f in change.fields)
        table.add_row(change.kind, change.key, change.name, said if change.kind == "changed" else "")
    console.print(table, markup=False)
    if len(plan.changes) > _SHOWN:
        console.print(f"... and {len(plan.changes) - _SHOWN} more")
    counts = ", ".join(f"{plan.count(kind)} {kind}" for kind in ("new", "changed", "removed"))
    console.print(f"{counts}, {plan.unchanged} unchanged")
    for warning in plan.warnings:
        console.print(f"warning: {warning}", markup=False)
    for bad in plan.bad[:_SHOWN]:
        place = f"line {bad.line}" if bad.line else "whole file"
        column = f", {bad.column}" if bad.column else ""
        console.print(f"{place}{column}: {bad.reason}", markup=False)


def _read(file: Path) -> bytes:
    try:
        size = file.stat().st_size
        if size > MAX_BYTES:
            raise StoreFileError(f"{file}: has {size / 1e6:.0f} MB, at most {MAX_BYTES // 1_000_000} are read")
        return file.read_bytes()
    except OSError as error:
        raise StoreFileError(f"{file}: not readable: {error.strerror}") from None


def _separator(name: str) -> str:
    if name not in _SEPARATORS:
        raise StoreFileError(f"--separator: expected {', '.join(_SEPARATORS)}, got {name!r}")
    return _SEPARATORS[name]


def _write(data: bytes, out: Path | None) -> None:
    from pipeline.run_files import write_whole

    if out is None:
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
    else:
        write_whole(out, data)
