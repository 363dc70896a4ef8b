# SPDX-License-Identifier: AGPL-3.0-or-later
"""Questions about payments, for the command line, pages and tests, and what people may change by hand."""

from __future__ import annotations

import time
from collections import Counter
from typing import Any

from sqlalchemy import delete, func, insert, or_, select, update

from pipeline.payment.books import Books
from pipeline.payment.port import Notice
from pipeline.payment.settings import PaymentSettings
from pipeline.payment.tables import methods, notices, operations, payments
from pipeline.state import Database

_SHOWN = (
    "visit_id", "store_id", "shopper_id", "receipt_id", "version", "currency", "due_minor", "state", "open_minor",
    "reason",
)  # fmt: skip


def list_payments(
    database: Database, *, shopper_id: str | None = None, states: tuple[str, ...] = ()
) -> list[dict[str, Any]]:
    """Payments by visit, each with `calls`: what was asked of the provider and what came of it.

    Nothing in it depends on when things were done or how often a call was repeated, so two runs of the same receipts
    can be compared.
    """
    query = select(*(payments.c[name] for name in _SHOWN)).order_by(payments.c.visit_id)
    if shopper_id is not None:
        query = query.where(payments.c.shopper_id == shopper_id)
    if states:
        query = query.where(payments.c.state.in_(states))
    made = select(operations).order_by(operations.c.visit_id, operations.c.number)
    if shopper_id is not None or states:
        made = made.where(operations.c.visit_id.in_(select(query.subquery().c.visit_id)))

    def read(db) -> list[dict[str, Any]]:
        found = {row["visit_id"]: {**row, "calls": []} for row in db.execute(query).mappings()}
        for op in db.execute(made).mappings():
            if op["visit_id"] in found:
                found[op["visit_id"]]["calls"].append(
                    {name: op[name] for name in ("key", "kind", "amount_minor", "currency", "state", "code")}
                )
        return list(found.values())

    return database.run(read)


def open_balances(database: Database, shopper_id: str | None = None) -> dict[tuple[str | None, str], int]:
    """(shopper, currency) -> owed in minor units; negative: owed to the shopper."""
    total = func.sum(payments.c.open_minor)
    query = select(payments.c.shopper_id, payments.c.currency, total).where(payments.c.state == "open")
    if shopper_id is not None:
        query = query.where(payments.c.shopper_id == shopper_id)
    query = query.group_by(payments.c.shopper_id, payments.c.currency).order_by(payments.c.shopper_id)
    rows = database.run(lambda db: db.execute(query).all())
    return {(shopper, currency): int(amount) for shopper, currency, amount in rows}


def states(database: Database) -> Counter[str]:
    """How many payments are in each state."""
    query = select(payments.c.state, func.count()).group_by(payments.c.state)
    return Counter(dict(database.run(lambda db: [tuple(row) for row in db.execute(query)])))


def ask_again(
    database: Database, *, shopper_id: str | None = None, receipt_id: str | None = None
) -> list[tuple[str, int]]:
    """Have the desk ask for open balances again, all of them or these; (visit, minor units owed) of each."""
    books = Books(PaymentSettings(), time.time_ns)
    query = select(payments.c.visit_id).where(payments.c.state == "open").order_by(payments.c.visit_id)
    if shopper_id is not None:
        query = query.where(payments.c.shopper_id == shopper_id)
    if receipt_id is not None:
        query = query.where(payments.c.receipt_id == receipt_id)
    return database.run(lambda db: [(v, books.retry(db, v)) for v in db.execute(query).scalars().all()])


def take_notice(database: Database, provider: str, notice: Notice) -> bool:
    """A webhook came: the call that it is about, if nobody has answered it yet, is asked about at once. False: it came
    before. It changes nothing by itself, so coming twice, late or before the answer does no harm."""
    about = [operations.c.key == notice.key] if notice.key else []
    about += [operations.c.about == notice.reference] if notice.reference else []

    def write(db) -> bool:
        here = (notices.c.provider == provider) & (notices.c.notice_id == notice.notice_id)
        if db.execute(select(notices.c.kind).where(here)).first():
            return False
        db.execute(
            insert(notices).values(
                provider=provider, notice_id=notice.notice_id, kind=notice.kind, at_ns=time.time_ns()
            )
        )
        if about:
            asked = select(operations.c.visit_id).where(
                or_(*about), operations.c.state == "intended", operations.c.calls > 0
            )
            waiting = payments.c.visit_id.in_(asked) & payments.c.next_at_ns.is_not(None)
            db.execute(update(payments).where(waiting).values(next_at_ns=0))
        return True

    return database.run(write)


def set_method(database: Database, shopper_id: str, customer: str | None, method: str | None) -> None:
    """The provider's references of a shopper's means of payment, made by its own forms; never card numbers."""

    def write(db) -> None:
        db.execute(delete(methods).where(methods.c.shopper_id == shopper_id))
        db.execute(insert(methods).values(shopper_id=shopper_id, customer=customer, method=method))

    database.run(write)
