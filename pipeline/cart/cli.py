# SPDX-License-Identifier: AGPL-3.0-or-later
"""`walkout cart ...`. The command's module imports nothing heavy: a service should start in well under a second."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pipeline.observe.options import Group, Host, Log, Port

app = typer.Typer(help="From events to receipts.", no_args_is_help=True)


@app.callback()
def cart() -> None:
    """From events to receipts."""


@app.command()
def serve(
    log: Log,
    state: Annotated[
        str,
        typer.Option(
            "--state", envvar="WALKOUT_STATE_URL", help="postgresql://USER:PASSWORD@HOST/DATABASE or sqlite:///FILE."
        ),
    ],
    catalogue: Annotated[Path, typer.Option("--catalogue", help="catalogue.yaml; prices.yaml beside it counts too.")],
    settings: Annotated[
        Path | None,
        typer.Option(
            "--settings", help="settings.yaml, by default beside the catalogue; its `billing` says what is held."
        ),
    ] = None,
    port: Port = None,
    host: Host = "127.0.0.1",
    group: Group = "walkout-cart",
    patience_s: Annotated[
        float, typer.Option("--patience-s", help="How long an exit waits for events that it names.")
    ] = 60.0,
    max_records: Annotated[
        int, typer.Option("--max-records", min=1, help="Records in one transaction at most.")
    ] = 2000,
) -> None:
    """Run one member of the cart's consumer group until SIGTERM: events in, receipts out, each visit billed once.

    Start as many as there are partitions at most; they share the stores and take over from each other.
    """
    from calibration.catalogue import load_catalogue
    from pipeline.cart.price_book import PriceBook
    from pipeline.cart.service import serve as run
    from pipeline.observe.logs import log_as_json
    from pipeline.observe.service import Service

    rules, beside = None, catalogue.parent / "settings.yaml"
    if settings is not None or beside.exists():
        from calibration.layout import parse_model
        from pipeline.settings import StoreSettings

        rules = parse_model(StoreSettings, settings or beside).billing
    log_as_json()
    prices = PriceBook.load(catalogue.parent, load_catalogue(catalogue))
    with Service("walkout cart", port=port, host=host) as service:
        run(service, log, state, prices, rules, group=group, patience_s=patience_s, max_records=max_records)
