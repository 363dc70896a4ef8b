# SPDX-License-Identifier: AGPL-3.0-or-later
"""`walkout replay`: a whole recording, or one visit of a run, on today's build; and `walkout score --cases`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer


def replay(
    source: Annotated[
        Path, typer.Argument(metavar="[REC_OR_RUN]", help="A recording with --against, a run's folder with --visit.")
    ] = Path(),
    against: Annotated[Path | None, typer.Option("--against", help="An earlier run of the same recording.")] = None,
    visit: Annotated[str | None, typer.Option("--visit", help="Only this visit of a run.")] = None,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Keep the new run here.")] = None,
    recording: Annotated[
        Path | None, typer.Option("--recording", help="Where the run's recording is, if it has moved.")
    ] = None,
    keep: Annotated[bool, typer.Option("--keep", help="With --visit: add it to the regression cases.")] = False,
    by: Annotated[str, typer.Option("--by", help="Who asks, for the audit trail.")] = "walkout",
    person_weights: Annotated[str | None, typer.Option("--person-weights", help="With --against: as for run.")] = None,
    product_weights: Annotated[
        str | None, typer.Option("--product-weights", help="With --against: as for run.")
    ] = None,
) -> None:
    """Run a recording, or one visit of a run, again on today's build and show what differs; exit code 1 when something
    does."""
    from rich.console import Console

    from pipeline.errors import RecordingError

    if (against is None) == (visit is None):
        raise RecordingError("expected `walkout replay REC --against RUN` or `walkout replay RUN --visit ID`")
    if against is not None:
        from pipeline import runtime

        difference = runtime.replay(
            source, against, out_dir=out, person_weights=person_weights, product_weights=product_weights
        )
        Console().print(difference.text(), highlight=False, markup=False)
        differs = bool(difference)
    else:
        differs = _visit(source, visit, out, recording, keep, by)
    if differs:
        raise typer.Exit(1)


def _visit(run: Path, visit: str, out: Path | None, recording: Path | None, keep: bool, by: str) -> bool:
    from rich.console import Console

    from pipeline.review.side_by_side import print_replay
    from pipeline.site import open_site

    console = Console()
    with open_site(run, recording=recording) as site:
        found = site.again.replay_visit(visit, by, out, progress=console.is_terminal)
        print_replay(found, console)
        if keep:
            console.print(f"kept: {site.again.keep_visit(visit, by)}", highlight=False)
    return not found.same


def score_cases(
    into: Annotated[Path, typer.Argument(metavar="DIR", help="Folder of kept cases, e.g. RUN/cases.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print the figures for programs.")] = False,
) -> None:
    """Run all kept cases on today's build and say which are right; exit code 1 when one is wrong or cannot be run."""
    from rich.console import Console
    from rich.progress import track

    from pipeline.review.kept import load_cases, score_case, summary_of

    cases, scores = load_cases(into), []
    progress = Console(stderr=True)
    for case in track(cases, "cases", console=progress, transient=True, disable=not progress.is_terminal):
        scores.append(score_case(case))
        if not as_json:
            s = scores[-1]
            parts = [f"{what} {', '.join(f'{n} {name}' for name, n in units.items())}" for what, units in
                     (("missing", s.missing), ("too many", s.extra), ("held", s.held)) if units]  # fmt: skip
            print(f"{s.verdict:6} {s.name}  {'; '.join([*parts, *filter(None, [s.reason])])}".rstrip(), flush=True)
    found = summary_of(scores)
    if as_json:
        print(json.dumps(found, indent=1))
    else:
        print(
            ", ".join(f"{found[v]} {v}" for v in ("right", "held", "wrong", "failed")) + f" of {found['cases']} cases"
        )
    if found["wrong"] or found["failed"]:
        raise typer.Exit(1)
