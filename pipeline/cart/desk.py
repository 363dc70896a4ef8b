# SPDX-License-Identifier: AGPL-3.0-or-later
"""The staff's desk beside the log: coupons, decisions about open visits, corrections of receipts.

It writes to the state database, in which the cart's consumer group settles visits: what is noted for a visit before it
is settled is part of its bill, afterwards only a correction helps. A coupon is claimed for a visit in the transaction
that notes it, so it cannot be in two; settling spends it, or sets it free where it gave nothing. A correction is stored
as a receipt at once (of two of the same version the second is refused) and published by the group's next step.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Collection, Iterable, Sequence

from sqlalchemy import Connection, delete, insert, select, update

from calibration.catalogue import Catalogue
from pipeline.cart.corrections import Change, correct, move
from pipeline.cart.desk_tables import corrections, coupons, desk_events
from pipeline.cart.price_book import PriceBook
from pipeline.cart.receipts import digest
from pipeline.cart.records import receipt_row
from pipeline.cart.tables import exits, receipts
from pipeline.errors import CorrectionError, CouponError
from pipeline.eventlog.codec import decode, encode
from pipeline.messages import CouponPresented, Event, ReceiptIssued, StaffDecision
from pipeline.state import Database
from pipeline.state.bulk import is_in

LETTERS = "ABCDEFGHJKMNPQRSTVWXYZ23456789"
"""Without what is mistaken for something else when read aloud."""


class Desk:
    """`prices`: of the stores whose state this is; `clock`: ns since the Unix epoch."""

    def __init__(
        self, database: Database, prices: PriceBook | Catalogue, clock: Callable[[], int] = time.time_ns
    ) -> None:
        self._database, self._book, self._clock = database, PriceBook.of(prices), clock

    # --- coupons ---

    def issue(self, promotion_id: str, shopper_id: str, expires_ns: int | None = None) -> str:
        """A new coupon of a shopper's; its id. `CouponError`: the store has no such coupon promotion."""
        promotion = self._book.promotion(promotion_id)
        if promotion is None or not promotion.coupon:
            raise CouponError(f"promotion {promotion_id!r}: the store has no such promotion with coupon: true")
        coupon_id = "".join(secrets.choice(LETTERS) for _ in range(12))
        row = {"coupon_id": coupon_id, "promotion_id": promotion_id, "shopper_id": shopper_id, "expires_ns": expires_ns}
        self._database.run(lambda db: db.execute(insert(coupons).values(**row, state="free")))
        return coupon_id

    def transfer(self, coupon_id: str, from_shopper_id: str, to_shopper_id: str) -> None:
        """Give it to somebody else. `CouponError`: not theirs, spent, or in a visit at the moment."""

        self._database.run(lambda db: self.give(db, coupon_id, from_shopper_id, to_shopper_id))

    def give(self, db: Connection, coupon_id: str, from_shopper_id: str, to_shopper_id: str) -> None:
        """`transfer` as a part of somebody's transaction."""
        self.require_free(db, coupon_id, from_shopper_id)
        db.execute(_one(coupon_id).values(shopper_id=to_shopper_id, state="free", visit_id=None))

    def present(self, coupon_id: str, shopper_id: str, visit_id: str, store_id: str) -> None:
        """Put a coupon into an open visit. Again for the same visit changes nothing. `CouponError` says why not."""

        def work(db: Connection) -> None:
            row = db.execute(_read(coupon_id)).one_or_none()
            if row and (row.state, row.visit_id) == ("presented", visit_id):
                return
            promotion_id = self.require_free(db, coupon_id, shopper_id)
            _require_open(db, visit_id, CouponError)
            event = CouponPresented(
                event_id=digest(coupon_id, visit_id, "presented"), store_id=store_id, at_ns=self._clock(),
                visit_id=visit_id, coupon_id=coupon_id, promotion_id=promotion_id,
            )  # fmt: skip
            db.execute(_one(coupon_id).values(state="presented", visit_id=visit_id))
            db.execute(delete(desk_events).where(desk_events.c.event_id == event.event_id))
            _note(db, event)

        self._database.run(work)

    def require_free(self, db: Connection, coupon_id: str, shopper_id: str) -> str:
        """The promotion of a coupon that is free and this shopper's; `CouponError` otherwise."""
        row = db.execute(_read(coupon_id)).one_or_none()
        if row is None or row.shopper_id != shopper_id:  # one answer: codes cannot be guessed by trying
            raise CouponError(f"coupon {coupon_id[:40]!r} is not one of shopper {shopper_id}'s")
        if row.state == "presented" and _is_settled(db, row.visit_id):  # noted too late for its bill
            return row.promotion_id
        if row.state != "free":
            raise CouponError(f"coupon {coupon_id} is {row.state}, with visit {row.visit_id}")
        if row.expires_ns is not None and row.expires_ns <= self._clock():
            raise CouponError(f"coupon {coupon_id} has expired")
        return row.promotion_id

    # --- visits and receipts ---

    def decide(self, decision: StaffDecision) -> None:
        """Note a decision about an open visit. `CorrectionError`: it has its receipt."""

        def work(db: Connection) -> None:
            _require_open(db, decision.visit_id, CorrectionError)
            if not db.execute(
                select(desk_events.c.event_id).where(desk_events.c.event_id == decision.event_id)
            ).first():
                _note(db, decision)

        self._database.run(work)

    def newest(self, receipt_id: str) -> ReceiptIssued:
        """A receipt's newest version; `CorrectionError` when there is none."""
        receipt = self._database.run(lambda db: newest_in(db, receipt_id))
        if receipt is None:
            raise CorrectionError(f"no receipt {receipt_id}")
        return receipt

    def correct(
        self, receipt: ReceiptIssued, changes: Sequence[Change], *, by: str, reason: str, settle_notes: bool = False,
        shopper_id: str | None = None,
    ) -> ReceiptIssued:  # fmt: skip
        """Store the next version of `receipt`; arguments as of `corrections.correct`. `CorrectionError`: somebody else
        made it first, or it cannot be."""
        decided = {"by": by, "reason": reason, "settle_notes": settle_notes, "shopper_id": shopper_id}
        return self._database.run(lambda db: self.correct_in(db, receipt, changes, **decided))

    def correct_in(
        self, db: Connection, receipt: ReceiptIssued, changes: Sequence[Change], *, by: str, reason: str,
        settle_notes: bool = False, shopper_id: str | None = None,
    ) -> ReceiptIssued:  # fmt: skip
        """As `correct`, in the transaction of whoever has more to store with it."""
        new = correct(
            receipt, changes, self._book, by=by, reason=reason, at_ns=self._clock(), settle_notes=settle_notes,
            shopper_id=shopper_id,
        )  # fmt: skip
        self.store_in(db, [new])
        return new

    def move_in(
        self, db: Connection, giver: ReceiptIssued, taker: ReceiptIssued, line_id: str, quantity: int, *, by: str,
        reason: str,
    ) -> tuple[ReceiptIssued, ReceiptIssued]:  # fmt: skip
        """Store both receipts' next versions of `corrections.move`."""
        decided = {"by": by, "reason": reason, "at_ns": self._clock()}
        both = move(giver, taker, line_id, quantity, self._book, **decided)
        self.store_in(db, both)
        return both

    def store(self, versions: Sequence[ReceiptIssued]) -> None:
        """Store corrected versions, all or none (`move` makes two)."""
        self._database.run(lambda db: self.store_in(db, versions))

    def store_in(self, db: Connection, versions: Sequence[ReceiptIssued]) -> None:
        for new in sorted(versions, key=lambda r: r.visit_id):  # one order: two that want both do not lock each other
            partition = db.execute(
                select(exits.c.partition).where(exits.c.visit_id == new.visit_id).with_for_update()
            ).scalar_one_or_none()
            if partition is None:
                raise CorrectionError(f"receipt {new.receipt_id}: its visit {new.visit_id} was not settled here")
            before = newest_in(db, new.receipt_id)
            if before is None or new.version != before.version + 1:
                raise CorrectionError(
                    f"receipt {new.receipt_id} is at version {before.version if before else 0}: version "
                    f"{new.version} cannot follow; look at the newest one and correct that"
                )
            if unused := set(before.coupon_ids) - set(new.coupon_ids):  # what they were for is off the bill
                spent = (coupons.c.visit_id == new.visit_id) & (coupons.c.state == "spent")
                mine = spent & coupons.c.coupon_id.in_(sorted(unused))
                db.execute(update(coupons).where(mine).values(state="free", visit_id=None))
            db.execute(insert(receipts).values(**receipt_row(new)))
            row = {"event_id": new.event_id, "partition": partition, "body": encode(new)}
            db.execute(insert(corrections).values(**row))


def newest_in(db: Connection, receipt_id: str) -> ReceiptIssued | None:
    """A receipt's newest version, as this transaction sees it."""
    mine = select(receipts.c.body).where(receipts.c.receipt_id == receipt_id)
    body = db.execute(mine.order_by(receipts.c.version.desc()).limit(1)).scalars().first()
    return None if body is None else decode(body)


# --- for settling -----------------------------------------------------------------------------------------------------


def noted(db: Connection, visit_ids: Collection[str]) -> dict[str, list[Event]]:
    """Visit id -> what the desk noted for it."""
    found: dict[str, list[Event]] = {}
    query = select(desk_events.c.visit_id, desk_events.c.body).where(is_in(db, desk_events.c.visit_id, visit_ids))
    for visit_id, body in db.execute(query):
        found.setdefault(visit_id, []).append(decode(body))
    return found


def spend(db: Connection, made: Iterable[ReceiptIssued]) -> None:
    """Coupons on these receipts are spent; others that were presented to their visits are free again."""
    for receipt in made:
        presented = (coupons.c.visit_id == receipt.visit_id) & (coupons.c.state == "presented")
        if receipt.coupon_ids:
            used = coupons.c.coupon_id.in_(receipt.coupon_ids)
            db.execute(update(coupons).where(presented & used).values(state="spent"))
        db.execute(update(coupons).where(presented).values(state="free", visit_id=None))


def unpublished(db: Connection, partitions: Collection[int]) -> list[tuple[int, ReceiptIssued]]:
    """Corrections of these partitions that the caller now publishes."""
    rows = db.execute(
        select(corrections.c.event_id, corrections.c.partition, corrections.c.body)
        .where(corrections.c.partition.in_(sorted(partitions)))
        .with_for_update()
    ).all()
    if rows:
        db.execute(delete(corrections).where(corrections.c.event_id.in_([row.event_id for row in rows])))
    return [(row.partition, decode(row.body)) for row in rows]


def _read(coupon_id: str):
    return select(coupons).where(coupons.c.coupon_id == coupon_id).with_for_update()


def _one(coupon_id: str):
    return update(coupons).where(coupons.c.coupon_id == coupon_id)


def _note(db: Connection, event: Event) -> None:
    row = {"event_id": event.event_id, "visit_id": event.visit_id, "at_ns": event.at_ns, "body": encode(event)}
    db.execute(insert(desk_events).values(**row))


def _is_settled(db: Connection, visit_id: str) -> bool:
    """Waits for a settling that is under way."""
    state = db.execute(select(exits.c.state).where(exits.c.visit_id == visit_id).with_for_update()).scalar_one_or_none()
    return state == "billed"


def _require_open(db: Connection, visit_id: str, error: type[CorrectionError] | type[CouponError]) -> None:
    if _is_settled(db, visit_id):
        raise error(f"visit {visit_id} has its receipt: correct that instead")
