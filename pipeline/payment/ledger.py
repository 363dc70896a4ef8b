# SPDX-License-Identifier: AGPL-3.0-or-later
"""The ledger: double entry, append-only, each posting once.

Debits are positive, credits negative, and the entries of a posting add up to zero in every currency. Accounts:

====================  =========================================================================
receivable            billed and not yet paid
open-balance          billed, asked for in vain, owed by the shopper until paid (negative: owed to)
provider-clearing     captured by the provider and not yet paid out to the store, less refunds
refunds               refunds that have been asked for and not yet confirmed
revenue:CLASS         net sales of a tax class
tax:CLASS             tax owed to the state for that class
====================  =========================================================================
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, func, insert, select

from pipeline.payment.tables import entries, postings

RECEIVABLE, OPEN, CLEARING, REFUNDS = "receivable", "open-balance", "provider-clearing", "refunds"


@dataclass(frozen=True)
class Entry:
    account: str
    amount_minor: int


@dataclass(frozen=True)
class Posting:
    """One thing that happened. `key` names it: posted twice, it counts once."""

    key: str
    text: str
    visit_id: str
    receipt_id: str | None
    shopper_id: str | None
    currency: str
    entries: tuple[Entry, ...]

    def __post_init__(self) -> None:
        total = sum(e.amount_minor for e in self.entries)
        if total:
            raise ValueError(f"posting {self.key} does not balance: its entries add up to {total} {self.currency}")


def move(amount_minor: int, debit: str, credit: str) -> tuple[Entry, ...]:
    """An amount from one account to another; nothing for 0."""
    return (Entry(debit, amount_minor), Entry(credit, -amount_minor)) if amount_minor else ()


def bill_entries(before: Iterable[tuple[str, int, int]], after: Iterable[tuple[str, int, int]]) -> tuple[Entry, ...]:
    """Entries of a receipt that changes from `before` to `after`: (tax class, net, tax) of each class."""
    accounts: dict[str, int] = {}
    for sign, lines in ((1, before), (-1, after)):
        for tax_class, net, tax in lines:
            for account, amount in ((f"revenue:{tax_class}", net), (f"tax:{tax_class}", tax)):
                accounts[account] = accounts.get(account, 0) + sign * amount
    accounts[RECEIVABLE] = -sum(accounts.values())
    return tuple(Entry(account, amount) for account, amount in sorted(accounts.items()) if amount)


def post(db: Connection, posting: Posting, at_ns: int) -> bool:
    """Write a posting; False when its key has been posted before, or when it moves nothing."""
    if not posting.entries:
        return False
    if db.execute(select(postings.c.number).where(postings.c.key == posting.key)).first():
        return False
    db.execute(
        insert(postings).values(
            key=posting.key, at_ns=at_ns, visit_id=posting.visit_id, receipt_id=posting.receipt_id, text=posting.text
        )
    )
    shared = {"posting_key": posting.key, "shopper_id": posting.shopper_id, "currency": posting.currency}
    lines = enumerate(posting.entries)
    db.execute(
        insert(entries), [{**shared, "line": i, "account": e.account, "amount_minor": e.amount_minor} for i, e in lines]
    )
    return True


def balances(db: Connection) -> dict[tuple[str, str], int]:
    """(account, currency) -> balance in minor units, of all accounts with entries."""
    query = select(entries.c.account, entries.c.currency, func.sum(entries.c.amount_minor))
    rows = db.execute(query.group_by(entries.c.account, entries.c.currency).order_by(entries.c.account)).all()
    return {(account, currency): int(amount) for account, currency, amount in rows}


def unbalanced(db: Connection) -> list[tuple[str, str, int]]:
    """(posting, currency, sum) of postings that do not add up to zero; there are none unless somebody went round us."""
    total = func.sum(entries.c.amount_minor)
    query = select(entries.c.posting_key, entries.c.currency, total)
    rows = db.execute(query.group_by(entries.c.posting_key, entries.c.currency).having(total != 0)).all()
    return [(key, currency, int(amount)) for key, currency, amount in rows]


def history(db: Connection, visit_ids: Sequence[str] | None = None) -> list[dict]:
    """All entries in the order of posting."""
    query = select(
        postings.c.number, postings.c.key, postings.c.at_ns, postings.c.visit_id, postings.c.receipt_id,
        postings.c.text, entries.c.account, entries.c.shopper_id, entries.c.currency, entries.c.amount_minor,
    ).join(entries, entries.c.posting_key == postings.c.key)  # fmt: skip
    if visit_ids is not None:
        query = query.where(postings.c.visit_id.in_(visit_ids))
    return [dict(row) for row in db.execute(query.order_by(postings.c.number, entries.c.line)).mappings()]
