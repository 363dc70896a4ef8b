# SPDX-License-Identifier: AGPL-3.0-or-later
"""The figures on a terminal."""

from __future__ import annotations

from collections.abc import Mapping

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from pipeline.cart.money import plain_text
from pipeline.review.figures import Figures, Tally, Waits

_COLUMNS = ("disputes", "upheld", "refused", "waiting", "held", "by rule", "paid back", "charged")
_COUNTS = 6


def print_figures(found: Figures, names: Mapping[str, str], console: Console | None = None) -> None:
    """`names`: of products by GTIN, as far as they are known."""
    console = console or Console()
    share = found.all.held_share
    held = "" if share is None else f" ({share:.1%})"
    console.print(f"{found.all.visits} visits, {found.all.held_visits} held for review{held}", highlight=False)
    console.print(
        f"time to a decision: {_waits(found.waits)}; of disputes: {_waits(found.dispute_waits)}", highlight=False
    )
    _table(console, "Disputes by kind", found.kinds)
    _table(console, "By store", {store: s.tally for store, s in found.stores.items()})
    _table(console, "By product", {names.get(gtin, gtin): tally for gtin, tally in found.products.items()})
    _table(console, "By camera", found.cameras)


def _waits(waits: Waits) -> str:
    if waits.p50_s is None or waits.p95_s is None:
        return "none yet"
    return f"{_time(waits.p50_s)} in the median, {_time(waits.p95_s)} at 95 %, {waits.late} of {waits.decided} late"


def _time(seconds: float) -> str:
    return (
        f"{seconds:.0f} s"
        if seconds < 120
        else f"{seconds / 60:.0f} min"
        if seconds < 7200
        else f"{seconds / 3600:.1f} h"
    )


def _table(console: Console, title: str, tallies: Mapping[str, Tally]) -> None:
    if not tallies:
        return
    rows = {name: _row(tally) for name, tally in tallies.items()}
    shown = [k for k in range(len(_COLUMNS)) if k < _COUNTS or any(row[k] for row in rows.values())]
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("", overflow="fold", min_width=12)
    for k in shown:
        table.add_column(_COLUMNS[k], justify="right", no_wrap=True)
    for name, row in rows.items():
        table.add_row(escape(name), *(row[k] for k in shown))
    console.print(table)


def _row(t: Tally) -> list[str]:
    counts = (t.disputes, t.upheld, t.refused, t.waiting, t.held, t.by_rule)
    money = (", ".join(plain_text(v, c) for c, v in m.items()) for m in (t.paid_back_minor, t.charged_minor))
    return [*map(str, counts), *money]
