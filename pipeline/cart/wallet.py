# SPDX-License-Identifier: AGPL-3.0-or-later
"""A shopper's coupons: which there are, and passing one on with a code that whoever has it can redeem once."""

from __future__ import annotations

import hashlib
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from sqlalchemy import Connection, delete, insert, select

from pipeline.cart.desk import LETTERS, Desk
from pipeline.cart.desk_tables import coupon_gifts, coupons
from pipeline.cart.price_book import PriceBook
from pipeline.errors import CouponError
from pipeline.state import Database

_DAY_NS = 86_400_000_000_000
_GIFT_DAYS = 14
_CODE_LETTERS = 10
"""28 to the 10th codes: with a few tries a minute none is found by guessing."""
UNKNOWN_CODE = "This code is not good (any more): ask for a new one."
OWN_CODE = "This coupon is yours already: the code is for a friend."


@dataclass(frozen=True)
class Coupon:
    """`state`: free, presented (in a visit that has no receipt yet), spent, or expired. `offered`: there is a code with
    which somebody may take it over. `text`: what the promotion is called."""

    coupon_id: str
    promotion_id: str
    text: str
    state: Literal["free", "presented", "spent", "expired"]
    visit_id: str | None
    expires_ns: int | None
    offered: bool


class Wallet:
    """`clock`: ns since the Unix epoch."""

    def __init__(
        self, database: Database, desk: Desk, book: PriceBook, clock: Callable[[], int] = time.time_ns
    ) -> None:
        self._database, self._desk, self._book, self._clock = database, desk, book, clock

    def of(self, shopper_id: str) -> list[Coupon]:
        """Those that can be used first."""
        query = (
            select(coupons, coupon_gifts.c.expires_ns.label("gift_until_ns"))
            .outerjoin(coupon_gifts, coupon_gifts.c.coupon_id == coupons.c.coupon_id)
            .where(coupons.c.shopper_id == shopper_id)
        )
        rows = self._database.run(lambda db: db.execute(query).all())
        order = {"presented": 0, "free": 1, "expired": 2, "spent": 3}
        return sorted((self._coupon(row) for row in rows), key=lambda c: (order[c.state], c.text, c.coupon_id))

    def offer(self, coupon_id: str, shopper_id: str) -> str:
        """A code for a friend; an earlier one for the same coupon is good no more. `CouponError` says why not."""
        code = "".join(secrets.choice(LETTERS) for _ in range(_CODE_LETTERS))
        row = {"coupon_id": coupon_id, "code_digest": _digest(code), "from_shopper_id": shopper_id}

        def work(db: Connection) -> None:
            self._desk.require_free(db, coupon_id, shopper_id)
            db.execute(delete(coupon_gifts).where(coupon_gifts.c.coupon_id == coupon_id))
            db.execute(insert(coupon_gifts).values(**row, expires_ns=self._clock() + _GIFT_DAYS * _DAY_NS))

        self._database.run(work)
        return code

    def accept(self, code: str, shopper_id: str) -> str:
        """The coupon that this code gives is the shopper's from now on; its id. `CouponError`: the code is not good."""
        given = coupon_gifts.c.code_digest == _digest(code)

        def work(db: Connection) -> str:
            gift = db.execute(select(coupon_gifts).where(given).with_for_update()).one_or_none()
            if gift is None or gift.expires_ns <= self._clock():
                raise CouponError(UNKNOWN_CODE)
            if gift.from_shopper_id == shopper_id:
                raise CouponError(OWN_CODE)
            try:
                self._desk.give(db, gift.coupon_id, gift.from_shopper_id, shopper_id)
            except CouponError:  # used, passed on or expired meanwhile: its ids are nobody else's business
                raise CouponError(UNKNOWN_CODE) from None
            db.execute(delete(coupon_gifts).where(given))
            return gift.coupon_id

        return self._database.run(work)

    def _coupon(self, row) -> Coupon:
        promotion, now = self._book.promotion(row.promotion_id), self._clock()
        gone = row.expires_ns is not None and row.expires_ns <= now
        return Coupon(
            coupon_id=row.coupon_id,
            promotion_id=row.promotion_id,
            text=promotion.text if promotion else row.promotion_id,
            state="expired" if gone and row.state == "free" else row.state,
            visit_id=row.visit_id,
            expires_ns=row.expires_ns,
            offered=row.gift_until_ns is not None and row.gift_until_ns > now and row.state == "free",
        )


def _digest(code: str) -> str:
    """As people type it: small letters and spaces do not matter."""
    return hashlib.sha256("".join(code[:100].split()).replace("-", "").upper().encode()).hexdigest()
