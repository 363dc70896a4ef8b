# SPDX-License-Identifier: AGPL-3.0-or-later
"""The desk's rows: visits and receipts going in, calls written down before they are made, results written down after.

Each function works inside the transaction it is given and can be called again: what is there already is found by its
key. Ledger postings are made in the same transaction as the row that they tell of.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Collection
from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy import Connection, insert, select, update

from pipeline.messages import PaymentUpdated, ReceiptIssued
from pipeline.payment import ledger
from pipeline.payment.plan import Next, Operation, Rest, Standing, charges_of, plan
from pipeline.payment.port import Approved, Call, Declined, Money, Outcome, Payer, Unknown
from pipeline.payment.settings import PaymentSettings
from pipeline.payment.tables import bills, methods, operations, payments
from pipeline.state.member import Outgoing

IN_FLIGHT_S = 30.0
"""For how long a call that one desk has begun is left alone by the others."""
UNBOUND = -1
"""Partition of a payment that a gate has begun, until the visit's opening has been read from the log."""
S = 1_000_000_000
_OPERATION = [operations.c[name] for name in Operation.__dataclass_fields__]


@dataclass(frozen=True)
class Due:
    """A call that has been written down and is to be made now. `age_s`: since it was; `repeated`: not the first try."""

    visit_id: str
    call: Call
    age_s: float
    repeated: bool


class Books:
    """The rows under one store's settings. `clock`: ns."""

    def __init__(self, settings: PaymentSettings, clock: Callable[[], int]) -> None:
        self.settings, self.clock = settings, clock

    # --- going in ---

    def open_visit(
        self, db: Connection, visit_id: str, store_id: str, partition: int, shopper_id: str | None,
        hold: Money | None = None, billed: bool = False,
    ) -> bool:  # fmt: skip
        """Begin a visit's payment with the hold that the settings (or the gate: `hold`) want, or with its bill.

        False: it is known already, or there is nothing to begin with.
        """
        row = _locked(db, visit_id)
        if row is not None:
            if row.partition != partition != UNBOUND:  # the gate had it written down before it was in the log
                _set(db, visit_id, partition=partition)
            return False
        if hold is None and self.settings.hold_minor and self.settings.currency:
            hold = Money(self.settings.hold_minor, self.settings.currency)
        wanted = hold is not None and shopper_id is not None and hold.amount_minor > 0
        if not wanted and not billed:
            return False
        db.execute(
            insert(payments).values(
                visit_id=visit_id, store_id=store_id, partition=partition, shopper_id=shopper_id, version=0,
                due_minor=0, hold_minor=hold.amount_minor if wanted else 0,
                hold_currency=hold.currency if wanted else None, state="working", reason="", open_minor=0, attempts=0,
                gave_up=False, ended=False, rounds=0, next_at_ns=self.clock(),
            )
        )  # fmt: skip
        return True

    def take_receipt(self, db: Connection, receipt: ReceiptIssued, partition: int) -> bool:
        """Note a receipt version; False: it was there. It is worked on at once, or when the one before has settled."""
        here = (bills.c.receipt_id == receipt.receipt_id) & (bills.c.version == receipt.version)
        if db.execute(select(bills.c.version).where(here)).first():
            return False
        taxes = [[t.tax_class, t.net_minor, t.tax_minor] for t in receipt.taxes]
        db.execute(
            insert(bills).values(
                receipt_id=receipt.receipt_id, version=receipt.version, visit_id=receipt.visit_id,
                currency=receipt.currency, total_minor=receipt.total_minor, taxes=json.dumps(taxes), applied=False,
                shopper_id=receipt.shopper_id,
            )
        )  # fmt: skip
        # An opening that has not been read yet may want a hold; the bill makes it, so that the order does not matter.
        hold = None if receipt.total_minor else Money(0, receipt.currency)
        self.open_visit(db, receipt.visit_id, receipt.store_id, partition, receipt.shopper_id, hold, billed=True)
        row = _locked(db, receipt.visit_id)
        if row.state != "working":
            _set(db, receipt.visit_id, state="working", next_at_ns=self.clock())
        elif row.attempts:  # declined and waiting: the new version is asked for at once
            _set(db, receipt.visit_id, next_at_ns=min(self.clock(), row.next_at_ns))
        return True

    def retry(self, db: Connection, visit_id: str) -> int:
        """Ask for an open balance again; what is owed, 0 when nothing is."""
        row = _locked(db, visit_id)
        if row is None or row.state != "open":
            return 0
        self._reopen(db, row)
        _set(
            db, visit_id, state="working", attempts=0, gave_up=False, rounds=row.rounds + 1, next_at_ns=self.clock(),
            open_minor=0,
        )  # fmt: skip
        return row.open_minor

    def retry_shopper(self, db: Connection, shopper_id: str) -> int:
        """Ask for all open balances of a shopper."""
        mine = (payments.c.shopper_id == shopper_id) & (payments.c.state == "open")
        return sum(self.retry(db, v) for v in db.execute(select(payments.c.visit_id).where(mine)).scalars().all())

    # --- what to do ---

    def due(self, db: Connection, partitions: Collection[int], limit: int) -> list[str]:
        """Visits of these partitions that the desk must look at now."""
        now = (payments.c.next_at_ns <= self.clock()) & payments.c.partition.in_({UNBOUND, *partitions})
        query = select(payments.c.visit_id, payments.c.state, payments.c.partition).where(now)
        rows = db.execute(query.order_by(payments.c.next_at_ns, payments.c.visit_id).limit(limit)).all()
        for visit_id, state, partition in rows:
            if partition == UNBOUND:  # the gate let nobody in after all, or its events are late: anybody's
                _set(db, visit_id, partition=min(partitions))
            if state == "held":
                _set(db, visit_id, ended=True, reason="no receipt came in time")
        return [row.visit_id for row in rows]

    def recover(self, db: Connection, partitions: Collection[int]) -> int:
        """After a start: every call that was written down and has no result is made again now."""
        cut_off = payments.c.visit_id.in_(select(operations.c.visit_id).where(operations.c.state == "intended"))
        ours = cut_off & payments.c.partition.in_(partitions)
        return db.execute(update(payments).where(ours).values(next_at_ns=self.clock())).rowcount

    def advance(self, db: Connection, visit_id: str, said: list[Outgoing]) -> Due | None:
        """Write down the next call of a visit's payment, or that it is at rest; what is to be published: to `said`."""
        while True:
            row, ops = _locked(db, visit_id), operations_of(db, visit_id)
            step = plan(self._standing(row), ops)
            if isinstance(step, Rest):
                if self._apply_next_bill(db, row):
                    continue
                self._rest(db, row, ops, step, said)
                return None
            if step.operation.kind == "authorize" and row.shopper_id is None:
                _set(db, visit_id, gave_up=True, reason="nobody to charge")
                continue
            return self._write_down(db, row, step)

    def conclude(self, db: Connection, due: Due, outcome: Outcome) -> None:
        """Write down what became of a call, with its postings; nothing when somebody else has done so."""
        now, row = self.clock(), _locked(db, due.visit_id)
        pending = (operations.c.key == due.call.key) & (operations.c.state == "intended")
        op = db.execute(select(*_OPERATION).where(pending)).mappings().first()
        if op is None:
            return
        if isinstance(outcome, Unknown):
            first, longest = self.settings.ask_again_s
            pause_s = min(first * 2 ** min(op["calls"], 30), longest)
            db.execute(update(operations).where(pending).values(calls=op["calls"] + 1, reason=outcome.reason))
            _set(db, due.visit_id, next_at_ns=now + round(pause_s * S), reason=outcome.reason)
            return
        if isinstance(outcome, Approved):
            result: dict[str, Any] = {"state": "approved", "reference": outcome.reference}
            _set(db, due.visit_id, next_at_ns=now, reason="")
        else:
            result = {"state": "declined", "code": outcome.code, "reason": outcome.reason}
            self._declined(db, row, op, outcome, now)
        db.execute(update(operations).where(pending).values(done_ns=now, **result))
        self._post_result(db, row, op, isinstance(outcome, Approved))

    # --- inside ---

    def _standing(self, row) -> Standing:
        return Standing(
            visit_id=row.visit_id, receipt_id=row.receipt_id, version=row.version, currency=row.currency,
            due_minor=row.due_minor, hold_minor=row.hold_minor, hold_currency=row.hold_currency, gave_up=row.gave_up,
            waits=row.attempts > 0 and row.next_at_ns is not None and row.next_at_ns > self.clock(), ended=row.ended,
            blocked=row.state == "blocked",
        )  # fmt: skip

    def _write_down(self, db: Connection, row, step: Next) -> Due:
        op, now = step.operation, self.clock()
        if not step.repeated:
            op = Operation(**{**asdict(op), "intended_ns": now})
            db.execute(insert(operations).values(visit_id=row.visit_id, **asdict(op)))
            if op.kind == "refund":
                moved = ledger.move(op.amount_minor, ledger.RECEIVABLE, ledger.REFUNDS)
                self._post(db, row, f"{op.key}/intended", "refund asked for", op.currency, moved)
        _set(db, row.visit_id, state="working", next_at_ns=now + round(IN_FLIGHT_S * S))
        call = Call(op.kind, op.key, Money(op.amount_minor, op.currency), payer_of(db, row.shopper_id), op.about)
        return Due(row.visit_id, call, (now - op.intended_ns) / S, step.repeated)

    def _declined(self, db: Connection, row, op, outcome: Declined, now: int) -> None:
        reason = f"{outcome.code}: {outcome.reason}"
        if not op["version"] or op["kind"] == "cancel":  # the hold at entry, or one that is gone anyway
            _set(db, row.visit_id, next_at_ns=now, reason=reason)
            return
        pauses = self.settings.retry_after_s
        gave_up = (outcome.final and op["kind"] != "capture") or row.attempts >= len(pauses)
        pause_s = 0 if gave_up or op["kind"] == "capture" else pauses[row.attempts]
        _set(
            db, row.visit_id, attempts=row.attempts + 1, gave_up=gave_up, reason=reason,
            next_at_ns=now + round(pause_s * S),
        )  # fmt: skip

    def _post_result(self, db: Connection, row, op, approved: bool) -> None:
        amount, currency = op["amount_minor"], op["currency"]
        if op["kind"] == "capture" and approved:
            moved, text = ledger.move(amount, ledger.CLEARING, ledger.RECEIVABLE), "captured"
        elif op["kind"] == "refund":
            credit = ledger.CLEARING if approved else ledger.RECEIVABLE
            moved, text = ledger.move(amount, ledger.REFUNDS, credit), "refunded" if approved else "refund refused"
        else:
            return
        self._post(db, row, op["key"], text, currency, moved)

    def _apply_next_bill(self, db: Connection, row) -> bool:
        """Go on to the oldest receipt version that has not been worked on; False: there is none."""
        waiting = (bills.c.visit_id == row.visit_id) & ~bills.c.applied
        bill = db.execute(select(bills).where(waiting).order_by(bills.c.version).limit(1)).first()
        if bill is None:
            return False
        here = (bills.c.receipt_id == bill.receipt_id) & (bills.c.version == bill.version)
        db.execute(update(bills).where(here).values(applied=True))
        if bill.version <= row.version:
            return True  # came after the one that replaces it
        if row.version and bill.currency != row.currency:
            text = f"receipt version {bill.version} is in {bill.currency}, version {row.version} in {row.currency}"
            _set(db, row.visit_id, state="blocked", reason=text)
            return True
        older = (bills.c.receipt_id == bill.receipt_id) & (bills.c.version == row.version)
        before = json.loads(db.execute(select(bills.c.taxes).where(older)).scalar() or "[]")
        self._reopen(db, row)
        _set(
            db, row.visit_id, receipt_id=bill.receipt_id, version=bill.version, currency=bill.currency,
            due_minor=bill.total_minor, shopper_id=bill.shopper_id or row.shopper_id, state="working", attempts=0,
            gave_up=False, open_minor=0, rounds=row.rounds + 1, next_at_ns=self.clock(), reason="",
        )  # fmt: skip
        entries = ledger.bill_entries(before, json.loads(bill.taxes))
        key = f"{bill.receipt_id}/v{bill.version}/bill"
        self._post(db, _locked(db, row.visit_id), key, f"receipt version {bill.version}", bill.currency, entries)
        return True

    def _reopen(self, db: Connection, row) -> None:
        if row.open_minor:
            moved = ledger.move(row.open_minor, ledger.RECEIVABLE, ledger.OPEN)
            self._post(db, row, f"{row.visit_id}/{row.rounds}/asked-again", "asked for again", row.currency, moved)

    def _rest(self, db: Connection, row, ops, step: Rest, said: list[Outgoing]) -> None:
        if step.state == "working":  # declined, to be tried again later: `next_at_ns` says when
            return
        state, open_minor = step.state, step.owed_minor if step.state == "open" else 0
        next_at_ns = self.clock() + round(self.settings.hold_days * 86400 * S) if state == "held" else None
        _set(db, row.visit_id, state=state, open_minor=open_minor, rounds=row.rounds + 1, next_at_ns=next_at_ns)
        if open_minor:
            moved = ledger.move(open_minor, ledger.OPEN, ledger.RECEIVABLE)
            self._post(db, row, f"{row.visit_id}/{row.rounds}/open", "open balance", row.currency, moved)
        taken = sum(c.left_minor for c in charges_of(ops).values())
        event = PaymentUpdated(
            event_id=_digest(row.visit_id, "payment", str(row.rounds)), store_id=row.store_id, at_ns=self.clock(),
            visit_id=row.visit_id, receipt_id=row.receipt_id, version=row.version, shopper_id=row.shopper_id,
            currency=row.currency or row.hold_currency, status=state, due_minor=row.due_minor, paid_minor=taken,
            open_minor=open_minor, reason=row.reason,
        )  # fmt: skip
        said.append((row.partition, event))

    def _post(self, db: Connection, row, key: str, text: str, currency: str, moved) -> None:
        posting = ledger.Posting(key, text, row.visit_id, row.receipt_id, row.shopper_id, currency, moved)
        ledger.post(db, posting, self.clock())


def operations_of(db: Connection, visit_id: str) -> list[Operation]:
    query = select(*_OPERATION).where(operations.c.visit_id == visit_id).order_by(operations.c.number)
    return [Operation(**row) for row in db.execute(query).mappings()]


def payer_of(db: Connection, shopper_id: str | None) -> Payer:
    row = db.execute(select(methods).where(methods.c.shopper_id == shopper_id)).first()
    return Payer(shopper_id or "", row.customer if row else None, row.method if row else None)


def _locked(db: Connection, visit_id: str):
    return db.execute(select(payments).where(payments.c.visit_id == visit_id).with_for_update()).first()


def _set(db: Connection, visit_id: str, **values) -> None:
    db.execute(update(payments).where(payments.c.visit_id == visit_id).values(**values))


def _digest(*parts: str) -> str:
    return hashlib.sha256("\x1f".join(parts).encode()).hexdigest()[:24]
