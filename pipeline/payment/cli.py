# SPDX-License-Identifier: AGPL-3.0-or-later
"""`walkout pay ...`. Imports nothing heavy: a service should start in well under a second."""

from __future__ import annotations

import json
import os
from contextlib import closing
from pathlib import Path
from typing import Annotated

import typer

from pipeline.observe.options import Group, Host, Log, Port

app = typer.Typer(help="Payments: the desk that takes them, what is owed, and the ledger.", no_args_is_help=True)

State = Annotated[
    str,
    typer.Option(
        "--state",
        envvar="WALKOUT_STATE_URL",
        help="postgresql://USER:PASSWORD@HOST/DATABASE or sqlite:///FILE, as the desk's.",
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="For programs.")]
Shopper = Annotated[str | None, typer.Option("--shopper", help="Only this shopper's.")]


@app.command()
def serve(
    log: Log,
    state: State,
    settings: Annotated[
        Path | None, typer.Option("--settings", help="YAML with the fields of PaymentSettings.")
    ] = None,
    provider: Annotated[
        str | None, typer.Option("--provider", help="test:FILE, test+http://HOST:PORT or stripe; before the settings'.")
    ] = None,
    port: Port = None,
    host: Host = "127.0.0.1",
    group: Group = "walkout-payment",
) -> None:
    """Run one member of the payment group until SIGTERM: receipts in, exactly one payment for each."""
    from pipeline.observe.logs import log_as_json
    from pipeline.observe.service import Service
    from pipeline.payment.providers import file_beside, open_provider
    from pipeline.payment.service import serve as run
    from pipeline.payment.settings import load_payment_settings

    chosen = load_payment_settings(settings)
    if provider is not None:
        chosen = chosen.model_copy(update={"provider": provider})
    with closing(open_provider(chosen.provider, file_beside(state))) as taker:
        log_as_json()
        with Service("walkout pay", port=port, host=host) as service:
            run(service, log, state, taker, chosen, group=group)


@app.command()
def provider(
    state: Annotated[Path, typer.Option("--state", help="The provider's own file; made if it is not there.")],
    port: Annotated[int, typer.Option("--port", help="Where it listens.")],
    host: Annotated[str, typer.Option("--host")] = "127.0.0.1",
    webhooks: Annotated[str | None, typer.Option("--webhooks", help="URL that gets its webhooks.")] = None,
    hang_s: Annotated[float, typer.Option("--hang-s", help="How long a time-out on demand lasts.")] = 30.0,
    rule: Annotated[
        list[str] | None, typer.Option("--rule", help='What goes wrong, e.g. \'{"outcome": "decline:stolen_card"}\'.')
    ] = None,
) -> None:
    """Run the test provider as a process of its own: it plays no money, and forgets nothing when others crash."""
    from pydantic import ValidationError

    from pipeline.errors import PaymentError
    from pipeline.payment.bank import Bank
    from pipeline.payment.bank_rules import Rule
    from pipeline.payment.providers import SECRET
    from pipeline.payment.service import serve_provider

    try:
        rules = [Rule.from_json(text) for text in rule or ()]
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(map(str, first["loc"])) or "rule"
        raise PaymentError(f"--rule: {where}: {first['msg']}") from None
    bank = Bank(state)
    for one in rules:
        bank.add_rule(one)
    bank.close()
    serve_provider(state, host, port, webhooks, os.environ.get(SECRET, "test-webhook-secret"), hang_s)


@app.command()
def balance(state: State, shopper: Shopper = None, as_json: AsJson = False) -> None:
    """What shoppers owe (open balances), and where payments stand."""
    from pipeline.cart.money import money_text as amount
    from pipeline.payment import accounts

    with _database(state) as database:
        owed = accounts.open_balances(database, shopper)
        counts = accounts.states(database) if shopper is None else {}
    if as_json:
        rows = [{"shopper_id": s, "currency": c, "open_minor": minor} for (s, c), minor in owed.items()]
        print(json.dumps({"open": rows, "payments": dict(sorted(counts.items()))}))
        return
    for (who, currency), minor in owed.items():
        print(f"{who or 'nobody (no payer)'}: {amount(minor, currency)}")
    if not owed:
        print("nothing is owed")
    if counts:
        print("payments: " + ", ".join(f"{n} {name}" for name, n in sorted(counts.items())))


@app.command("list")
def list_(state: State, shopper: Shopper = None, as_json: AsJson = False) -> None:
    """Every payment with the calls that were made for it."""
    from pipeline.cart.money import money_text as amount
    from pipeline.payment import accounts

    with _database(state) as database:
        found = accounts.list_payments(database, shopper_id=shopper)
    if as_json:
        print(json.dumps(found))
        return
    for p in found:
        due = amount(p["due_minor"], p["currency"]) if p["currency"] else "no receipt"
        print(f"{p['visit_id']}  {p['shopper_id'] or '-'}  {due}  {p['state']}  {p['reason']}".rstrip())
        for call in p["calls"]:
            what = f"{call['kind']} {amount(call['amount_minor'], call['currency'])} {call['state']}"
            print(f"    {what} {call['code'] or ''}".rstrip())


@app.command()
def ledger(
    state: State,
    entries: Annotated[bool, typer.Option("--entries", help="Every entry instead of the balances.")] = False,
    as_json: AsJson = False,
) -> None:
    """Balances of all accounts, debit positive; exit code 1 if a posting does not balance."""
    from pipeline.cart.money import money_text as amount
    from pipeline.payment import ledger as books

    with _database(state) as database:
        rows, wrong, sums = database.run(
            lambda db: (books.history(db) if entries else [], books.unbalanced(db), books.balances(db))
        )
    if as_json:
        listed = [{"account": a, "currency": c, "amount_minor": minor} for (a, c), minor in sums.items()]
        print(json.dumps({"balances": listed, "unbalanced": wrong, "entries": rows}))
    elif entries:
        for row in rows:
            print(
                f"{row['number']:6} {row['visit_id']}  {row['account']:<24} "
                f"{amount(row['amount_minor'], row['currency']):>16}  {row['text']}"
            )
    else:
        for (account, currency), minor in sums.items():
            print(f"{account:<28} {amount(minor, currency):>16}")
    for key, currency, minor in wrong:
        print(f"posting {key} does not balance: {amount(minor, currency)}")
    if wrong:
        raise typer.Exit(1)


@app.command()
def retry(
    state: State,
    shopper: Shopper = None,
    receipt: Annotated[str | None, typer.Option("--receipt", help="Only this receipt.")] = None,
) -> None:
    """Have the desk ask for open balances again: all, a shopper's, or a receipt's."""
    from pipeline.payment import accounts

    with _database(state) as database:
        asked = accounts.ask_again(database, shopper_id=shopper, receipt_id=receipt)
    print(f"{len(asked)} open balances are asked for again" if asked else "nothing is owed")


@app.command()
def method(
    shopper: Annotated[str, typer.Argument(metavar="SHOPPER")],
    state: State,
    method: Annotated[str, typer.Option("--method", help="The provider's name of the means of payment, e.g. pm_...")],
    customer: Annotated[str | None, typer.Option("--customer", help="Its name of the customer, e.g. cus_...")] = None,
) -> None:
    """Note how a shopper pays, by the provider's own references; never a card number."""
    from pipeline.errors import PaymentError
    from pipeline.payment import accounts

    if any(text and sum(c.isdigit() for c in text) >= 12 and not text.startswith(("pm_", "cus_", "card_", "src_"))
           for text in (method, customer)):  # fmt: skip
        raise PaymentError("--method: this looks like a card number; give the provider's reference of it")
    with _database(state) as database:
        accounts.set_method(database, shopper, customer, method)


def _database(url: str):
    from pipeline.state import Database

    return closing(Database(url, wait_s=5))
