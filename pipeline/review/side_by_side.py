# SPDX-License-Identifier: AGPL-3.0-or-later
"""Two receipts of one visit beside each other on a terminal."""

from __future__ import annotations

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from pipeline.cart.money import plain_text
from pipeline.messages import ReceiptIssued
from pipeline.review.replay import VisitReplay


def print_replay(found: VisitReplay, console: Console) -> None:
    table = Table(title=f"visit {escape(found.visit_id)}", title_justify="left")
    table.add_column("product")
    for column in ("then", "agreed", "now"):
        table.add_column(column, justify="right")
    receipts = (found.then, found.agreed, found.now)
    rows = {(x.name, x.status): None for r in receipts if r for x in r.lines}
    for name, status in rows:
        label = escape(name) + ("" if status == "billed" else f" [yellow]({status})[/yellow]")
        table.add_row(label, *(_units(r, name, status) for r in receipts))
    table.add_section()
    totals = (plain_text(r.total_minor, r.currency) if r else "not found" for r in receipts)
    table.add_row("[bold]to pay", *totals)
    console.print(table)
    for line in found.differences:
        console.print(f"  {line}", highlight=False, markup=False)
    console.print("The same as then." if found.same else "Differs from then.")
    if found.agreed.version > found.then.version:
        console.print("As people have agreed." if found.as_agreed else "Not what people have agreed.")
    console.print(
        f"{found.from_s:.1f} to {found.to_s:.1f} s of the recording, run in {found.wall_s:.1f} s", highlight=False
    )


def _units(receipt: ReceiptIssued | None, name: str, status: str) -> str:
    count = sum(x.quantity for x in receipt.lines if (x.name, x.status) == (name, status)) if receipt else 0
    return str(count or "")
