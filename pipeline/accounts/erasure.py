# SPDX-License-Identifier: AGPL-3.0-or-later
"""Forgetting a shopper: the books keep their amounts, the person is gone from them.

Wherever a row that can be changed names the shopper, it names a new random id afterwards, which is written down
nowhere else; what they wrote, their coupons, cards, means of payment, sessions and account are deleted, and the
evidence of their visits is erased. What cannot be changed keeps the old id and nothing beside it: lines of the ledger
and of the audit trail, and the event log until its retention ends. For shoppers who signed up here that id is random
itself.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from sqlalchemy import Connection, Table, delete, select, update

from pipeline.accounts.tables import codes, identities, roles, sessions, users
from pipeline.cart.desk_tables import corrections, coupon_gifts, coupons, desk_events
from pipeline.cart.tables import events, exits, receipts
from pipeline.errors import AccountError
from pipeline.eventlog.codec import decode, encode
from pipeline.gate.tables import gate_entries, gate_tokens
from pipeline.messages import Event
from pipeline.payment.accounts import open_balances
from pipeline.payment.tables import bills, methods, payments
from pipeline.review import audit
from pipeline.review.tables import cases, messages
from pipeline.state import Database
from pipeline.state.bulk import is_in

if TYPE_CHECKING:
    from pipeline.evidence import EvidenceStore


@dataclass(frozen=True)
class Erased:
    """How much was changed or deleted."""

    visits: int
    receipts: int
    evidence: int
    cases: int
    coupons: int
    account: bool


def erase_shopper(
    database: Database, evidence: EvidenceStore, shopper_id: str, *, by: str, store_id: str, clock: Callable[[], int]
) -> Erased:
    """Forget a shopper, once and for all; an entry goes to the audit trail.

    `by`: who wants it: the shopper's own user id, or a member of staff. Again: nothing is found any more.
    `AccountError`: they are in the shop, or money is still owed, by them or to them.
    """
    require_at_rest(database, shopper_id)
    visits = database.run(lambda db: _visits(db, shopper_id))
    other = f"erased-{secrets.token_hex(8)}"
    signed = other if by == shopper_id else by
    # First what lies outside of the database: whoever is cut off here finds the visits again.
    items = sum(evidence.erase_visit(visit_id, signed, "the shopper was forgotten") for visit_id in visits)

    def work(db: Connection) -> Erased:
        found = Erased(
            len(visits), _receipts(db, shopper_id, other), items, _cases(db, shopper_id, other),
            _coupons(db, shopper_id), _account(db, shopper_id),
        )  # fmt: skip
        _bodies(db, events, visits, shopper_id, other)
        _bodies(db, desk_events, visits, shopper_id, other)
        for table in (corrections, messages):
            _bodies(db, table, None, shopper_id, other)
        for column in (payments.c.shopper_id, bills.c.shopper_id, gate_entries.c.shopper_id):
            db.execute(update(column.table).where(column == shopper_id).values(shopper_id=other))
        db.execute(delete(methods).where(methods.c.shopper_id == shopper_id))
        db.execute(delete(gate_tokens).where(gate_tokens.c.holder_id == shopper_id))
        about = {"shopper": other, **asdict(found)}
        audit.append(db, "shopper-erased", signed, about, store_id=store_id, at_ns=clock())
        return found

    return database.run(work)


def require_at_rest(database: Database, shopper_id: str) -> None:
    """`AccountError` says what has to end first."""
    if database.run(lambda db: _is_inside(db, shopper_id)):
        raise AccountError("a visit is going on: expected to be asked again when its receipt is there")
    owed = {currency: minor for (_, currency), minor in open_balances(database, shopper_id).items() if minor}
    if owed:
        amounts = ", ".join(f"{minor} {currency}" for currency, minor in owed.items())
        raise AccountError(f"there is an open balance ({amounts} in minor units): it has to be settled first")


def _is_inside(db: Connection, shopper_id: str) -> bool:
    inside = (gate_entries.c.shopper_id == shopper_id) & gate_entries.c.closed_ns.is_(None)
    if db.execute(select(gate_entries.c.entry_id).where(inside & gate_entries.c.taken_ns.is_not(None))).first():
        return True
    left = select(exits.c.visit_id)
    going_on = (events.c.type == "visit-opened") & events.c.visit_id.not_in(left)
    bodies = db.execute(select(events.c.body).where(going_on)).scalars()
    return any(decode(body).shopper_id == shopper_id for body in bodies)


def _visits(db: Connection, shopper_id: str) -> list[str]:
    """Also those whose receipts went to somebody else since, or to nobody."""
    found: set[str | None] = set()
    for column, visit in (
        (receipts.c.shopper_id, receipts.c.visit_id),
        (payments.c.shopper_id, payments.c.visit_id),
        (gate_entries.c.shopper_id, gate_entries.c.entry_id),
    ):
        found |= set(db.execute(select(visit).where(column == shopper_id)).scalars())
    return sorted(visit for visit in found if visit)


def _receipts(db: Connection, shopper_id: str, other: str) -> int:
    rows = db.execute(select(receipts.c.number, receipts.c.body).where(receipts.c.shopper_id == shopper_id)).all()
    for row in rows:
        body = encode(decode(row.body).model_copy(update={"shopper_id": other}))
        mine = receipts.c.number == row.number
        db.execute(update(receipts).where(mine).values(shopper_id=other, body=body))
    return len(rows)


def _bodies(db: Connection, table: Table, visits: list[str] | None, shopper_id: str, other: str) -> None:
    """Events of these visits, or all of a table that is never long, that name the shopper."""
    query = select(table.c.event_id, table.c.body)
    if visits is not None:
        query = query.where(is_in(db, table.c.visit_id, visits))
    for row in db.execute(query).all():
        event: Event = decode(row.body)
        if getattr(event, "shopper_id", None) == shopper_id:
            body = encode(event.model_copy(update={"shopper_id": other}))
            db.execute(update(table).where(table.c.event_id == row.event_id).values(body=body))


def _cases(db: Connection, shopper_id: str, other: str) -> int:
    """Their own words go. A case that is not decided stays: the receipt may still be wrong."""
    mine = cases.c.shopper_id == shopper_id
    said = cases.c.origin == "dispute"
    db.execute(update(cases).where(mine & said).values(text=""))
    return db.execute(update(cases).where(mine).values(shopper_id=other)).rowcount


def _coupons(db: Connection, shopper_id: str) -> int:
    db.execute(delete(coupon_gifts).where(coupon_gifts.c.from_shopper_id == shopper_id))
    return db.execute(delete(coupons).where(coupons.c.shopper_id == shopper_id)).rowcount


def _account(db: Connection, shopper_id: str) -> bool:
    """Somebody who also works here stays as that, without the shopper."""
    user = db.execute(select(users).where(users.c.shopper_id == shopper_id)).one_or_none()
    if user is None:
        return False
    if user.address:
        db.execute(delete(codes).where(codes.c.address == user.address))
    mine = roles.c.user_id == user.user_id
    if user.staff_name is not None:
        db.execute(delete(roles).where(mine & (roles.c.role == "shopper")))
        db.execute(update(users).where(users.c.user_id == user.user_id).values(shopper_id=None, address=None))
        return True
    for table in (sessions, identities, roles, users):
        db.execute(delete(table).where(table.c.user_id == user.user_id))
    return True
