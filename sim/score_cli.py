# SPDX-License-Identifier: AGPL-3.0-or-later
"""`walkout score REC RUN`, `walkout score tracks TRUTH TRACKS` and `walkout score --cases DIR`."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table
from typer.core import TyperGroup

from pipeline.review.replay_cli import score_cases
from sim.demo_cli import score
from sim.options import needs


class _RunByDefault(TyperGroup):
    """`walkout score REC RUN` is short for `walkout score run REC RUN`, `--cases DIR` for `cases DIR`."""

    def parse_args(self, ctx, args):
        if "--cases" in args:
            args = ["cases", *(a for a in args if a != "--cases")]
        if args and args[0] not in self.commands and args[0] not in ("--help", "--install-completion"):
            args = ["run", *args]
        return super().parse_args(ctx, args)


app = typer.Typer(
    cls=_RunByDefault,
    no_args_is_help=True,
    help="Compare a run with the truth of its recording (walkout score REC RUN), tracks with true tracks, or today's "
    "build with what people have agreed on (walkout score --cases DIR).",
)
app.command("run")(score)
app.command("cases")(score_cases)


@app.command()
def tracks(
    truth: Annotated[Path, typer.Argument(metavar="TRUTH.csv", help="True places: frame,person,x_m,y_m.")],
    found: Annotated[Path, typer.Argument(metavar="TRACKS.csv", help="What a tracker wrote, in the same form.")],
    gate_m: Annotated[list[float] | None, typer.Option("--gate", help="Metres; may be given more than once.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the figures for programs.")] = False,
) -> None:
    """MOTA, MOTP, IDF1 and HOTA of tracks on the floor, by TrackEval; and whether their covariances are honest."""
    needs("trackeval", "score")
    from sim.track_files import read_covariances, read_tracks
    from sim.tracking_score import score_tracks
    from sim.uncertainty import uncertainty

    true, ours = read_tracks(truth), read_tracks(found)
    scores = [score_tracks(true, ours, gate) for gate in (gate_m or [1.0])]
    spread = read_covariances(found)
    sure = [uncertainty(true, ours, spread, s.gate_m) if spread else None for s in scores]
    if as_json:
        given = [asdict(s) | {"uncertainty": u and asdict(u)} for s, u in zip(scores, sure, strict=True)]
        print(json.dumps(given if len(given) > 1 else given[0], indent=1))
        return
    table = Table(title=f"{found} against {truth}", title_justify="left")
    for column in ("gate m", "MOTA", "MOTP m", "IDF1", "HOTA", "switches", "misses", "false positives"):
        table.add_column(column, justify="right")
    for s in scores:
        counts = (s.switches, s.misses, s.false_positives)
        table.add_row(
            f"{s.gate_m:g}", f"{s.mota:.3f}", f"{s.motp_m:.3f}", f"{s.idf1:.3f}", f"{s.hota:.3f}", *map(str, counts)
        )
    Console().print(table)
    for s, u in zip(scores, sure, strict=True):
        if u is not None and u.pairs:
            print(
                f"{s.gate_m:g} m: NEES {u.nees:.2f} (2 is honest), median {u.nees_median:.2f} (1.39); "
                f"{u.within_50:.0%} of the errors in the 50 % ellipse, {u.within_95:.0%} in the 95 % one"
            )
