# SPDX-License-Identifier: AGPL-3.0-or-later
"""`walkout review ...`: the queue, one case, a decision, figures, the audit trail. Imports nothing heavy."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from pipeline.review.desk import ReviewDesk
    from pipeline.state import Database

app = typer.Typer(help="Disputes and lines held for review, and what was decided about them.", no_args_is_help=True)
audit_app = typer.Typer(help="The audit trail: who decided, showed or erased what.", no_args_is_help=True)
app.add_typer(audit_app, name="audit")

Where = Annotated[
    str,
    typer.Argument(metavar="RUN_OR_STATE", help="A run's or a store's folder, or the state: postgresql://... or sqlite:///FILE."),
]  # fmt: skip
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

    with _desk(where) as desk:
        found = desk.queue(store_id=store, limit=limit)
        waiting = desk.waiting(store)
    if as_json:
        print(json.dumps({"waiting": waiting, "cases": [asdict(case) for case in found]}, indent=1))
        return
    table = Table(title=f"{waiting} to decide", title_justify="left")
    for column in ("case", "promised by", "store", "what", "line", "at stake", "on it"):
        table.add_column(column, justify="right" if column == "at stake" else "left")
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

    with _desk(where) as desk:
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
    with _desk(where) as desk:
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
    with _desk(where, working=True) as desk:
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
    with _state(where) as database:
        found = work_out(database, store_id=store, since_ns=since_ns)
    if as_json:
        print(json.dumps(asdict(found), indent=1))
    else:
        print_figures(found, _names(where))


@app.command()
def serve(
    log: Annotated[
        str, typer.Option("--log", envvar="WALKOUT_LOG_URL", help="Event log: kafka://HOST:PORT or sqlite:///FILE.")
    ],
    state: Annotated[
        str,
        typer.Option("--state", envvar="WALKOUT_STATE_URL", help="The state that the cart and the payment desk have."),
    ],
    catalogue: Annotated[Path, typer.Option("--catalogue", help="The stores' catalogue, price files beside it.")],
    port: Annotated[int | None, typer.Option("--port", help="Serve /healthz, /readyz and /metrics here.")] = None,
    host: Annotated[str, typer.Option("--host", help="Address to serve them on.")] = "127.0.0.1",
    group: Annotated[str, typer.Option("--group", help="Consumer group; members of one share the stores.")] = (
        "walkout-review"
    ),
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


@audit_app.command()
def verify(
    where: Annotated[str | None, typer.Argument(metavar="[RUN_OR_STATE]", help="See `walkout review queue`.")] = None,
    export: Annotated[Path | None, typer.Option("--export", help="Look at an export instead of at a state.")] = None,
    heads: Annotated[Path | None, typer.Option("--heads", help="What an earlier verify printed with --json.")] = None,
    as_json: AsJson = False,
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
            with _state(where) as database:
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


@audit_app.command("export")
def export_(
    where: Where, out: Annotated[Path | None, typer.Option("--out", "-o", help="File; standard output.")] = None
) -> None:
    """Write all entries as JSON lines, which `walkout review audit verify --export` can check without the state."""
    from pipeline.review import audit
    from pipeline.run_files import write_whole

    with _state(where) as database, database.transaction() as db:
        lines = audit.export(db)
        if out is None:
            for line in lines:
                print(line)
        else:
            write_whole(out, "".join(f"{line}\n" for line in lines).encode())


@contextmanager
def _desk(where: str, *, working: bool = False) -> Iterator[ReviewDesk]:
    """The desk of a folder or a state. `working`: of a run, also see corrections published and paid before the end."""
    if "://" in where:
        from pipeline.errors import StateError

        raise StateError(f"{where}: prices and film are with a store: name its folder, and the state in its settings")
    from pipeline.web.site import open_site

    with open_site(Path(where)) as site:
        yield site.review
        if working and site.run is not None:
            _until_published(site.database)


def _until_published(database: Database, timeout_s: float = 15.0) -> None:
    """The site's own thread does the work; nothing is lost when there is no time: the next one that opens it does."""
    import time

    from sqlalchemy import func, select

    from pipeline.cart.desk_tables import corrections
    from pipeline.payment.tables import payments
    from pipeline.review.tables import messages

    def left(db) -> int:
        unpublished = [
            db.execute(select(func.count()).select_from(table)).scalar_one() for table in (corrections, messages)
        ]
        working = select(func.count()).select_from(payments).where(payments.c.state == "working")
        return sum(unpublished) + db.execute(working).scalar_one()

    until_s, quiet = time.monotonic() + timeout_s, 0
    while time.monotonic() < until_s and quiet < 3:
        quiet = 0 if database.run(left) else quiet + 1
        time.sleep(0.4)


@contextmanager
def _state(where: str) -> Iterator[Database]:
    from pipeline.errors import StateError
    from pipeline.gate.entry_settings import load_entry_settings
    from pipeline.journal import STATE_FILE
    from pipeline.state import Database

    url = where
    if "://" not in where:
        folder = Path(where)
        file = folder / STATE_FILE
        if file.is_file():
            url = f"sqlite:///{file}"
        elif (folder / "layout.yaml").is_file() and (found := load_entry_settings(folder).state_url):
            url = found
        else:
            raise StateError(f"{where}: expected a run's folder (with {STATE_FILE}), a store's, or the URL of a state")
    database = Database(url)
    try:
        yield database
    finally:
        database.close()


def _names(where: str) -> dict[str, str]:
    """GTIN -> name, of a folder whose catalogue can be read."""
    from calibration.catalogue import load_catalogue
    from pipeline.errors import WalkoutError
    from pipeline.web.site import shop_folder

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
