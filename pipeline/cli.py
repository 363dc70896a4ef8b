# SPDX-License-Identifier: AGPL-3.0-or-later
"""The command `walkout`. The user's mistakes end in one line on standard error and exit code 2."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from models.cli import app as models_app
from pipeline.cart.cli import app as cart_app
from pipeline.cart.desk_cli import app as desk_app
from pipeline.cart.money import plain_text
from pipeline.cart.receipt_cli import app as receipt_app
from pipeline.errors import LayoutError, WalkoutError
from pipeline.evidence.cli import app as evidence_app
from pipeline.gate.cli import app as gate_app
from pipeline.operations.cli import catalogue_app, planogram_app
from pipeline.passes.cli import app as pass_app
from pipeline.payment.cli import app as pay_app
from pipeline.review.cli import app as review_app
from pipeline.review.replay_cli import replay
from pipeline.state.cli import app as state_app
from pipeline.track_cli import track
from pipeline.web.cli import app as web_app
from sim.cli import app as sim_app
from sim.demo_cli import demo
from sim.score_cli import app as score_app

app = typer.Typer(
    name="walkout",
    help="Shops without a checkout: cameras see who took what, and each visit is billed at the exit.",
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
)
layout_app = typer.Typer(help="Look at a store's layout before anything is mounted.", no_args_is_help=True)
app.add_typer(layout_app, name="layout")
app.add_typer(sim_app, name="sim")
app.add_typer(models_app, name="models")
app.add_typer(cart_app, name="cart")
app.add_typer(gate_app, name="gate")
app.add_typer(pass_app, name="pass")
app.add_typer(pay_app, name="pay")
app.add_typer(state_app, name="state")
app.add_typer(receipt_app, name="receipt")
app.add_typer(desk_app, name="desk")
app.add_typer(evidence_app, name="evidence")
app.add_typer(review_app, name="review")
app.add_typer(catalogue_app, name="catalogue")
app.add_typer(planogram_app, name="planogram")
app.add_typer(web_app, name="web")
app.command()(demo)
app.command()(track)
app.command()(replay)
app.add_typer(score_app, name="score")

Out = Annotated[Path, typer.Option("--out", "-o", help="Folder to write; made if it is not there.")]
Log = Annotated[
    str | None,
    typer.Option(
        "--log",
        envvar="WALKOUT_LOG_URL",
        help="Event log: sqlite:///FILE or kafka://HOST:PORT. Default: an embedded one.",
    ),
]
PersonWeights = Annotated[
    str | None,
    typer.Option("--person-weights", help="A name in `walkout models list`, a path, or any Ultralytics pose model."),
]
ProductWeights = Annotated[
    str | None,
    typer.Option("--product-weights", help="The same for products; 'none' where cameras cannot see products."),
]


@app.command()
def run(
    source: Annotated[Path, typer.Argument(metavar="REC_OR_STORE", help="A recording, or a store's folder.")],
    out: Out,
    log: Log = None,
    person_weights: PersonWeights = None,
    product_weights: ProductWeights = None,
    video: Annotated[
        bool | None, typer.Option(help="Write the annotated mosaic video; by default of recordings only.")
    ] = None,
    uncovered: Annotated[
        bool, typer.Option("--uncovered", help="Leave heads as they are in the video of a recording.")
    ] = False,
    evidence: Annotated[bool, typer.Option(help="Keep clips and stills of what was taken and put back.")] = True,
    progress: Annotated[bool, typer.Option(help="Show a progress bar.")] = True,
    bills: Annotated[
        bool, typer.Option("--bills/--no-bills", help="Not where a chain's cart, pay and review services make them.")
    ] = True,
    port: Annotated[int | None, typer.Option("--port", help="Serve /healthz, /readyz and /metrics here.")] = None,
) -> None:
    """Run the whole path on a recording or on a store's live cameras: receipts, events, tracks, pictures."""
    from pipeline import runtime

    summary = runtime.run(
        source,
        out,
        log_url=log,
        person_weights=person_weights,
        product_weights=product_weights,
        video=video,
        uncovered=uncovered,
        evidence=evidence,
        progress=progress,
        bills=bills,
        port=port,
    )
    console = Console()
    if bills:
        print_receipts(out, console)
    if summary.without_pass:
        console.print(f"[yellow]came in without a pass: {summary.without_pass}[/yellow]", highlight=False)
    console.print(
        f"{summary.camera_frames} camera-frames in {summary.wall_s:.1f} s: "
        f"{summary.camera_frames_per_s:.0f} a second, {summary.realtime_factor:.2f} of real time"
    )
    if summary.evidence:
        kept, seconds = summary.evidence, summary.stages_s.get("evidence", 0.0)
        console.print(
            f"evidence of {kept['events']} shelf events: {kept['items']} clips and stills, "
            f"{kept['bytes'] / 1e6:.1f} MB, {kept['missing']} missing, {seconds:.1f} s of the time",
            highlight=False,
        )
    for path in sorted(out.iterdir()):
        if path.suffix in {".mp4", ".png", ".json", ".jsonl", ".csv"}:
            console.print(f"  {path}", highlight=False, soft_wrap=True)


@layout_app.command("check")
def layout_check(
    path: Annotated[Path, typer.Argument(metavar="LAYOUT", help="A layout file, or a folder with layout.yaml.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print the figures for programs.")] = False,
) -> None:
    """Check a layout, and say for every shelf which cameras see it and how sharply."""
    from calibration.check import check_layout
    from calibration.layout import load_layout

    check = check_layout(load_layout(path / "layout.yaml" if path.is_dir() else path))
    if as_json:
        print(json.dumps(check.figures(), indent=1))
    else:
        console = Console()
        table = Table(title="Pixels per centimetre on every shelf face", title_justify="left")
        for column in ("gondola", "shelf", "best", "second", "cameras (px/cm in the median, share of the face)"):
            table.add_column(column)
        for face in check.faces:
            seen = ", ".join(f"{v.camera_id} {v.px_per_cm:.1f} ({v.seen_share:.0%})" for v in face.views)
            worst = (f"{face.best_px_per_cm:.1f}", f"{face.second_px_per_cm:.1f}")
            table.add_row(face.gondola_id, face.shelf_id, *worst, seen or "[red]no camera[/red]")
        console.print(table)
        console.print("best, second: what the best and the next camera have at the face's worst place", style="dim")
        shares = ", ".join(f"{check.floor.seen_share(n):.1%} by {n} or more" for n in (1, 2, 3))
        console.print(f"floor seen: {shares} cameras", highlight=False)
        for line in check.warnings:
            console.print(f"[yellow]warning:[/yellow] {line}", highlight=False)
    if check.errors:
        raise LayoutError(f"{path}: " + "; ".join(check.errors))


@layout_app.command("fit")
def layout_fit(
    clicked: Annotated[Path, typer.Argument(metavar="CLICKED", help="YAML of points clicked in the pictures.")],
    layout: Annotated[Path, typer.Option("--layout", help="Layout file whose cameras are replaced.")],
) -> None:
    """Find where cameras hang from points clicked in their pictures, and write them into a layout."""
    from calibration.from_points import fit_file, replace_cameras

    fit = fit_file(clicked)
    layout.write_text(replace_cameras(layout.read_text(encoding="utf-8"), fit.cameras), encoding="utf-8")
    console = Console()
    worst = sorted(fit.residual_px.items(), key=lambda item: -item[1])
    median = worst[len(worst) // 2][1]
    console.print(f"{layout}: {len(fit.cameras)} cameras, {len(worst)} clicks, {median:.2f} px off in the median")
    for (camera_id, point), off in worst[:5]:
        console.print(f"  {off:5.1f} px  {camera_id} {point}")


NOBODY = "nobody to charge"


def print_receipts(out: Path, console: Console) -> None:
    """The receipts of a run as a table."""
    receipts = json.loads((out / "receipts.json").read_text(encoding="utf-8"))["receipts"]
    table = Table(title="Receipts", title_justify="left")
    table.add_column("shopper")
    table.add_column("product")
    for column in ("units", "each", "total"):
        table.add_column(column, justify="right")
    table.add_column("")
    for receipt in receipts:
        for i, line in enumerate(receipt["lines"]):
            table.add_row(
                (receipt["shopper_id"] or NOBODY) if not i else "",
                line["name"],
                str(line["quantity"]),
                plain_text(line["unit_price_minor"], receipt["currency"]),
                plain_text(line["total_minor"], receipt["currency"]),
                "" if line["status"] == "billed" else f"[yellow]{line['status']}: {line['reason']}",
            )
        total = plain_text(receipt["total_minor"], receipt["currency"])
        who = "" if receipt["lines"] else receipt["shopper_id"] or NOBODY
        table.add_row(who, "[bold]to pay", "", "", f"[bold]{total}", "")
        table.add_section()
    console.print(table if receipts else "No receipts: nobody left the shop.")


def main() -> None:
    try:
        app()
    except WalkoutError as error:
        print(f"walkout: {error}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
