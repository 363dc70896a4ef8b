# SPDX-License-Identifier: AGPL-3.0-or-later
"""A shopper's receipts, as the database has them: the newest version of each, and all versions of one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import func, select

from pipeline.cart.tables import receipts
from pipeline.eventlog.codec import decode, encode
from pipeline.messages import ReceiptIssued
from pipeline.state import Database

MOST = 50


@dataclass(frozen=True)
class Page:
    """`older`: pass it as `before` to get the next page; None: there are no older ones."""

    receipts: tuple[ReceiptIssued, ...]
    older: int | None


class Records:
    """Nobody sees a receipt whose newest version is somebody else's, or nobody's."""

    def __init__(self, database: Database, store_id: str) -> None:
        self._database, self._store_id = database, store_id

    def page(self, shopper_id: str, before: int | None = None, limit: int = MOST) -> Page:
        """Newest version of each receipt, last visit first. `before`: as from `Page.older`."""
        newest = (
            select(receipts.c.receipt_id, func.max(receipts.c.version).label("version"))
            .where(receipts.c.shopper_id == shopper_id, receipts.c.store_id == self._store_id)
            .group_by(receipts.c.receipt_id)
            .subquery()
        )
        here = (receipts.c.receipt_id == newest.c.receipt_id) & (receipts.c.version == newest.c.version)
        query = select(receipts.c.left_at_ns, receipts.c.body).join(newest, here)
        if before is not None:
            query = query.where(receipts.c.left_at_ns < before)
        query = query.order_by(receipts.c.left_at_ns.desc(), receipts.c.receipt_id).limit(limit + 1)
        rows = self._database.run(lambda db: db.execute(query).all())
        older = rows[limit - 1].left_at_ns if len(rows) > limit else None
        return Page(tuple(decode(row.body) for row in rows[:limit]), older)

    def versions(self, receipt_id: str, shopper_id: str) -> Sequence[ReceiptIssued]:
        """All versions, oldest first; none when it is not this shopper's."""
        query = select(receipts.c.body).where(
            receipts.c.receipt_id == receipt_id, receipts.c.store_id == self._store_id
        )
        bodies = self._database.run(lambda db: db.execute(query.order_by(receipts.c.version)).scalars().all())
        found = [decode(body) for body in bodies]
        return found if found and found[-1].shopper_id == shopper_id else []

    def of_visit(self, visit_id: str, shopper_id: str) -> ReceiptIssued | None:
        """The newest version of a visit's receipt, if it is this shopper's."""
        query = select(receipts.c.body).where(receipts.c.visit_id == visit_id, receipts.c.store_id == self._store_id)
        query = query.order_by(receipts.c.version.desc()).limit(1)
        body = self._database.run(lambda db: db.execute(query).scalar())
        found = None if body is None else decode(body)
        return found if found is not None and found.shopper_id == shopper_id else None


def receipt_row(receipt: ReceiptIssued) -> dict:
    """A receipt as a row of the table `receipts`."""
    return {
        "event_id": receipt.event_id, "receipt_id": receipt.receipt_id, "version": receipt.version,
        "visit_id": receipt.visit_id, "store_id": receipt.store_id, "shopper_id": receipt.shopper_id,
        "left_at_ns": receipt.left_at_ns, "body": encode(receipt),
    }  # fmt: skip
