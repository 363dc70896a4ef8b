# SPDX-License-Identifier: AGPL-3.0-or-later
"""`walkout review ...`: the queue, one case, a decision, figures. Imports nothing heavy."""

from __future__ import annotations

import json
import uuid
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from pipeline.observe.options import Group, Host, Log, Port
from pipeline.review.audit_cli import app as audit_app
from pipeline.review.places import Where, desk_of, state_of

app = typer.Typer(help="Disputes and lines held for review, and what was decided about them.", no_args_is_help=True)
app.add_typer(audit_app, name="audit")

AsJson = Annotated[bool, typer.Option("--json", help="For programs.")]
Store = Annotated[str | None, typer.Option("--store-id", help="Only this store's.")]


@app.command()
def queue(
    where: Where,
    store: Store = None,
    limit: Annotated[int, typer.Option("--limit", help="At most so many.", min=1)] = 100,
    as_json: AsJson = False,
) -> None:
    """What is to be decided, oldest promise first."""
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    from pipeline.cart.money import plain_text
    from pipeline.review.plan import SAID

    with desk_of(where) as desk:
        found = desk.queue(store_id=store, limit=limit)
        waiting = desk.waiting(store)
    if as_json:
        print(json.dumps({"waiting": waiting, "cases": [asdict(case) for case in found]}, indent=1))
        return
    table = Table(title=f"{waiting} to decide", title_justify="left")
    table.add_column("case", no_wrap=True, min_width=24)  # whole at any width: the other commands want it
    for column in ("promised by", "store", "what", "line", "at stake", "on it"):
        table.add_column(column, justify="right" if column == "at stake" else "left", overflow="fold")
    for case in found:
        what = SAID[case.kind] + (" (second look)" if case.state == "second-look" else "")
        amount = plain_text(case.amount_minor, case.currency)
        row = (
            case.case_id,
            _moment(case.promise_ns),
            case.store_id,
            what,
            case.line_id or "all",
            amount,
            case.claimed_by or "",
        )
        table.add_row(*map(escape, row))
    Console().print(table if found else "Nothing to decide.")


@app.command()
def show(where: Where, case_id: str, as_json: AsJson = False) -> None:
    """One case: receipt, why each line is as it is, candidates, clips, history."""
    from rich.console import Console

    from pipeline.cart.receipt_text import print_receipt

    with desk_of(where) as desk:
        view = desk.view(case_id)
    if as_json:
        print(json.dumps(asdict(view), indent=1, default=_plain))
        return
    console = Console()
    case = view.case
    say = lambda text: console.print(text, highlight=False, markup=False)  # noqa: E731
    say(f"case {case.case_id} ({case.state}), promised by {_moment(case.promise_ns)}: {view.why}")
    if case.origin == "dispute" and case.text:
        say(f"the shopper wrote: {case.text}")
    print_receipt(view.receipt, console)
    for line in view.lines:
        say(f"{'>' if line.asked else ' '} line {line.line.line_id}, {line.line.name}: {line.why}")
        for event in line.events:
            say(f"    {event.why}")
            for clip in (*event.clips, *event.stills):
                say(f"    {clip.kind} {clip.camera_id}: {clip.clip_id} {clip.state} {clip.reason}".rstrip())
    for other in view.others:
        say(f"  could move to {other.receipt_id} of {other.shopper_id} ({100 * other.probability:.0f} %)")
    for missing in view.missing:
        say(f"  missing: {missing}")
    for happened in view.history:
        say(f"  {_moment(happened.at_ns)} {happened.by}: {happened.what}")


@app.command()
def dispute(
    where: Where,
    shopper: str,
    receipt: str,
    kind: Annotated[str, typer.Argument(help="not-taken, put-back, other-product, wrong-price or missing-item")],
    line: Annotated[str | None, typer.Option("--line", help="Which line; all of the receipt without it.")] = None,
    text: Annotated[str, typer.Option("--text", help="The shopper's own words.")] = "",
    gtin: Annotated[str | None, typer.Option("--gtin", help="What it was.")] = None,
    quantity: Annotated[int, typer.Option("--quantity", min=1)] = 1,
) -> None:
    """Open a shopper's dispute, as at a desk or on the telephone; prints the case."""
    with desk_of(where) as desk:
        print(desk.open_dispute(shopper, receipt, line, kind, text, gtin, quantity))


@app.command()
def resolve(
    where: Where,
    case_id: str,
    action: Annotated[str, typer.Argument(help="confirm, remove, product, quantity, move, refund, add or second-look")],
    by: Annotated[str, typer.Option("--by", help="Who decides.")],
    reason: Annotated[str, typer.Option("--reason", help="Why; it stands on the receipt.")] = "",
    line: Annotated[str | None, typer.Option("--line", help="Which line, of a case about a whole receipt.")] = None,
    gtin: Annotated[str | None, typer.Option("--gtin", help="With product and add.")] = None,
    quantity: Annotated[int | None, typer.Option("--quantity", help="With quantity, move and add.")] = None,
    amount: Annotated[int | None, typer.Option("--amount", help="With refund, in minor units.")] = None,
    to: Annotated[str | None, typer.Option("--to", help="With move: the other receipt.")] = None,
    shopper: Annotated[str | None, typer.Option("--shopper", help="With confirm: who pays, where nobody does.")] = None,
    version: Annotated[int | None, typer.Option("--version", help="Of the receipt that was looked at.")] = None,
    key: Annotated[str | None, typer.Option("--key", help="Names the request: again, it is done once.")] = None,
) -> None:
    """Decide a case."""
    with desk_of(where, working=True) as desk:
        outcome = desk.resolve(
            case_id, action, by, key or uuid.uuid4().hex, reason=reason, line_id=line, gtin=gtin, quantity=quantity,
            amount_minor=amount, to_receipt_id=to, shopper_id=shopper, version=version,
        )  # fmt: skip
        currency = desk.read(case_id).currency
    from pipeline.cart.money import plain_text

    done = "had been done" if outcome.repeated else "done"
    money = plain_text(outcome.difference_minor, currency)
    print(f"{outcome.action} {done}: receipt {outcome.receipt_id} is at version {outcome.version} ({money})")


@app.command()
def figures(
    where: Where,
    store: Store = None,
    days: Annotated[float | None, typer.Option("--days", help="Only of the last so many days.")] = None,
    as_json: AsJson = False,
) -> None:
    """Disputes by kind, upheld or not, time to resolution, share of visits held, by store, product and camera."""
    import time

    from pipeline.review.figures import figures as work_out
    from pipeline.review.figures_text import print_figures

    since_ns = 0 if days is None else time.time_ns() - round(days * 86_400e9)
    with state_of(where) as database:
        found = work_out(database, store_id=store, since_ns=since_ns)
    if as_json:
        print(json.dumps(asdict(found), indent=1))
    else:
        print_figures(found, _names(where))


@app.command()
def serve(
    log: Log,
    state: Annotated[
        str,
        typer.Option("--state", envvar="WALKOUT_STATE_URL", help="The state that the cart and the payment desk have."),
    ],
    catalogue: Annotated[Path, typer.Option("--catalogue", help="The stores' catalogue, price files beside it.")],
    port: Port = None,
    host: Host = "127.0.0.1",
    group: Group = "walkout-review",
) -> None:
    """Run one member of the review's group until SIGTERM: held lines become cases, messages get into the log.

    Settings are those of `settings.yaml` beside the catalogue.
    """
    from pipeline.observe.logs import log_as_json
    from pipeline.observe.service import Service
    from pipeline.review.service import serve as run

    log_as_json()
    with Service("walkout review", port=port, host=host) as service:
        run(service, log, state, catalogue, group=group)


def _names(where: str) -> dict[str, str]:
    """GTIN -> name, of a folder whose catalogue can be read."""
    from calibration.catalogue import load_catalogue
    from pipeline.errors import WalkoutError
    from pipeline.site import shop_folder

    if "://" in where:
        return {}
    try:
        catalogue = load_catalogue(shop_folder(Path(where)) / "catalogue.yaml")
    except WalkoutError:  # the figures are right without it
        return {}
    return {product.gtin: product.name for product in catalogue.products}


def _moment(at_ns: int) -> str:
    return datetime.fromtimestamp(at_ns / 1e9, UTC).strftime("%Y-%m-%d %H:%M UTC")


def _plain(value):
    return value.model_dump(mode="json") if hasattr(value, "model_dump") else str(value)
