# SPDX-License-Identifier: AGPL-3.0-or-later
"""`walkout desk ...`: coupons, decisions about open visits, corrections of receipts. Imports nothing heavy."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(help="The staff's desk: coupons, decisions, corrections of receipts.", no_args_is_help=True)

State = Annotated[
    str,
    typer.Option(
        "--state",
        envvar="WALKOUT_STATE_URL",
        help="postgresql://USER:PASSWORD@HOST/DATABASE or sqlite:///FILE, as the cart's.",
    ),
]
Catalogue = Annotated[Path, typer.Option("--catalogue", help="The stores' catalogue, with the price files beside it.")]
Lines = Annotated[list[str] | None, typer.Option(help="A line's number; may be given again.")]
Pairs = Annotated[list[str] | None, typer.Option(metavar="LINE=VALUE", help="May be given again.")]


@app.command()
def issue(promotion: str, shopper: str, state: State, catalogue: Catalogue) -> None:
    """Make a coupon for a promotion with `coupon: true`, and print its code."""
    with _desk(state, catalogue) as desk:
        print(desk.issue(promotion, shopper))


@app.command()
def transfer(coupon: str, giver: str, taker: str, state: State, catalogue: Catalogue) -> None:
    """Give a shopper's coupon to another one."""
    with _desk(state, catalogue) as desk:
        desk.transfer(coupon, giver, taker)


@app.command()
def present(coupon: str, shopper: str, visit: str, store: str, state: State, catalogue: Catalogue) -> None:
    """Put a coupon into an open visit in a store."""
    with _desk(state, catalogue) as desk:
        desk.present(coupon, shopper, visit, store)


@app.command()
def decide(
    visit: str,
    decision: Annotated[str, typer.Argument(help="age-confirmed, age-refused, bill, drop or payer-named")],
    state: State,
    catalogue: Catalogue,
    by: Annotated[str, typer.Option("--by", help="Who decides.")],
    store: Annotated[str, typer.Option("--store-id", help="The store's id.")],
    gtin: Annotated[str | None, typer.Option("--gtin", help="Only units of this product.")] = None,
    minimum_age: Annotated[int | None, typer.Option("--minimum-age", help="At least so old.")] = None,
    shopper: Annotated[str | None, typer.Option("--shopper", help="Who pays, with payer-named.")] = None,
) -> None:
    """Note a decision about a visit that has no receipt yet."""
    import time
    import uuid

    from pydantic import ValidationError

    from pipeline.errors import CorrectionError
    from pipeline.messages import StaffDecision

    try:
        event = StaffDecision(
            event_id=uuid.uuid4().hex, store_id=store, at_ns=time.time_ns(), visit_id=visit, decision=decision,
            staff_id=by, gtin=gtin, minimum_age=minimum_age, shopper_id=shopper,
        )  # fmt: skip
    except ValidationError as error:
        first = error.errors()[0]
        raise CorrectionError(f"{first['loc'][0]}: {first['msg']}") from None
    with _desk(state, catalogue) as desk:
        desk.decide(event)


@app.command()
def correct(
    receipt: str,
    state: State,
    catalogue: Catalogue,
    by: Annotated[str, typer.Option("--by", help="Who decides.")],
    reason: Annotated[str, typer.Option("--reason", help="Why; it stands on the receipt.")],
    remove: Lines = None,
    charge: Lines = None,
    quantity: Pairs = None,
    product: Pairs = None,
    refund: Pairs = None,
    shopper: Annotated[str | None, typer.Option("--shopper", help="Who pays, for a visit that had no payer.")] = None,
    notes_settled: Annotated[bool, typer.Option("--notes-settled", help="Its notes have been looked at.")] = False,
) -> None:
    """Make the next version of a receipt. `--refund LINE=MINOR_UNITS`, `--quantity LINE=N`, `--product LINE=GTIN`."""
    from rich.console import Console

    from pipeline.cart.corrections import ChargeLine, Refund, RemoveLine, SetProduct, SetQuantity
    from pipeline.cart.receipt_text import print_receipt

    changes = [
        *(RemoveLine(line_id=line) for line in remove or ()),
        *(ChargeLine(line_id=line) for line in charge or ()),
        *(_change(SetQuantity, "quantity", pair) for pair in quantity or ()),
        *(_change(SetProduct, "gtin", pair) for pair in product or ()),
        *(_change(Refund, "amount_minor", pair) for pair in refund or ()),
    ]
    with _desk(state, catalogue) as desk:
        new = desk.correct(
            desk.newest(receipt), changes, by=by, reason=reason, settle_notes=notes_settled, shopper_id=shopper
        )
    print_receipt(new, Console())


def _change(kind, field: str, pair: str):
    from pydantic import ValidationError

    from pipeline.errors import CorrectionError

    line_id, _, value = pair.partition("=")
    try:
        return kind(**{"line_id": line_id, field: value})
    except ValidationError as error:
        raise CorrectionError(f"{pair!r}: expected LINE=VALUE: {error.errors()[0]['msg']}") from None


@contextmanager
def _desk(state: str, catalogue: Path) -> Iterator:
    from calibration.catalogue import load_catalogue
    from pipeline.cart.desk import Desk
    from pipeline.cart.price_book import PriceBook
    from pipeline.state import Database

    prices = PriceBook.load(catalogue.parent, load_catalogue(catalogue))
    database = Database(state)
    try:
        yield Desk(database, prices)
    finally:
        database.close()
