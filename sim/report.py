# SPDX-License-Identifier: AGPL-3.0-or-later
"""Scores as tables for a person to read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rich import box
from rich.console import Console
from rich.table import Table

from calibration.catalogue import Catalogue
from sim.identity_events import IdentityCounts
from sim.score import Counts, Score

COLUMNS = (
    "exact", "held", "items P / R / F1", "picks F1", "put-backs F1", "IDF1", "MOTA", "HOTA", "identity held",
    "people found",
)  # fmt: skip


def print_score(score: Score, catalogue: Catalogue, console: Console) -> None:
    """Every receipt line beside the truth, then the figures."""
    table = Table(title=f"Receipts beside the truth: {score.recording_id}", title_justify="left")
    table.add_column("shopper")
    table.add_column("product", overflow="fold")
    for column in ("taken", "billed", "held"):
        table.add_column(column, justify="right")
    table.add_column("")
    for visit in score.visits:
        gtins = sorted({*visit.truth, *visit.billed, *visit.held})
        for i, gtin in enumerate(gtins):
            taken, billed, held = visit.truth.get(gtin, 0), visit.billed.get(gtin, 0), visit.held.get(gtin, 0)
            verdict = "[green]right" if taken == billed and not held else "[yellow]for review" if held else "[red]wrong"
            name = catalogue.by_gtin[gtin].name if gtin in catalogue.by_gtin else gtin
            table.add_row(visit.shopper_id if not i else "", name, str(taken), str(billed), str(held), verdict)
        if not gtins:
            verdict = "[green]right" if visit.has_receipt else "[red]no receipt"
            table.add_row(visit.shopper_id, "(nothing)", "0", "0", "0", verdict)
        table.add_section()
    console.print(table)
    figures = Table(title="Figures", title_justify="left", show_header=False)
    for name, cell in zip(COLUMNS, _cells([score]), strict=True):
        figures.add_row(name, cell)
    parties = [v.members_exact for v in score.visits if v.members_exact is not None]
    if parties:
        figures.add_row("of parties: each member's list right", f"{sum(parties)}/{len(parties)}")
    who = score.identity
    figures.add_row("labels changed, and said so", f"{who.tracker_wrong}, {who.tracker_wrong_told}")
    figures.add_row("identity in doubt", f"{who.flagged}/{who.visits}")
    console.print(figures)


def figures_table(scores: Sequence[Score], title: str = "Figures") -> Table:
    """One row a recording and, for several, one for all."""
    table = Table(title=title, title_justify="left")
    table.add_column("recording")
    for column in COLUMNS:
        table.add_column(column, justify="right")
    for score in scores:
        table.add_row(score.recording_id, *_cells([score]))
    if len(scores) > 1:
        table.add_section()
        table.add_row("all", *_cells(scores))
    return table


def tracking_table(rows: Mapping[str, Mapping]) -> Table:
    """Figures of the floor tracker on detections, by `sim.sightings.suite.figures`; one row a scenario. 80 columns."""
    table = Table(
        title="Floor tracker on noisy detections, 0.5 m", title_justify="left", box=box.SIMPLE_HEAD, padding=0
    )
    columns = {
        "visits": "visits", "IDF1": "idf1", "MOTA": "mota", "swit-\nches": "switches", "tracker\nheld": "tracker_held",
        "held": "held", "wrong\ntold": "tracker_wrong_told", "left,\nflagged": "wrong_flagged_before",
        "visits\nflagged": "visits_flagged",
    }  # fmt: skip
    table.add_column("scenario", no_wrap=True)
    for column in columns:
        table.add_column(column, justify="right", no_wrap=True)
    for name, figures in rows.items():
        table.add_row(name, *(_figure(figures[key]) for key in columns.values()))
    *_, last = rows.values()
    made, tracked = (_figure(last[key]) for key in ("record_x_real_time", "track_x_real_time"))
    table.caption = f"of real time: recorded {made}, tracked {tracked}"
    return table


def _figure(value: float | int | None) -> str:
    return "-" if value is None else str(value) if isinstance(value, int) else f"{value:.3f}"


def _cells(scores: Sequence[Score]) -> list[str]:
    visits = [v for s in scores for v in s.visits]
    items = sum((s.items for s in scores), Counts())
    picks = sum((s.picks for s in scores), Counts())
    put_backs = sum((s.put_backs for s in scores), Counts())
    identity = sum((s.identity for s in scores), IdentityCounts())
    found = [s.detection_recall for s in scores if s.detection_recall is not None]

    def mean(values: Sequence[float]) -> str:
        return f"{sum(values) / len(values):.3f}" if values else "-"

    def share(counts: Counts) -> str:
        return f"{counts.f1:.3f}" if counts != Counts() else "-"

    return [
        f"{sum(v.exact for v in visits)}/{len(visits)}",
        str(sum(bool(v.held) for v in visits)),
        f"{items.precision:.3f} / {items.recall:.3f} / {items.f1:.3f}",
        share(picks),
        share(put_backs),
        mean([s.tracking.idf1 for s in scores]),
        mean([s.tracking.mota for s in scores]),
        mean([s.tracking.hota for s in scores]),
        f"{identity.held}/{identity.visits}",
        mean(found),
    ]
