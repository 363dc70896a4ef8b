# SPDX-License-Identifier: AGPL-3.0-or-later
"""The rows of cases: opening, claiming, closing, following receipts. Each function works inside the transaction it is
given, may be called again, and leaves an entry in the audit trail and a message for the log."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import replace

from sqlalchemy import Connection, insert, select, update

from pipeline.cart.desk import newest_in
from pipeline.cart.receipts import digest
from pipeline.cart.tables import events, exits
from pipeline.errors import CaseError, UnknownCaseError
from pipeline.eventlog.codec import decode, encode
from pipeline.messages import DisputeOpened, DisputeResolved, Event, ReceiptIssued, ReceiptLine, ShelfEvent
from pipeline.review import audit
from pipeline.review.model import ELSEWHERE, HELD_LINE, HELD_NOTES, OPEN, RESOLVED, SECOND_LOOK, Case
from pipeline.review.settings import ReviewSettings
from pipeline.review.tables import cases, messages
from pipeline.state.bulk import insert_missing, is_in

S = 1_000_000_000
HOUR_NS = 3600 * S
UNDECIDED = (OPEN, SECOND_LOOK)


def read(db: Connection, case_id: str, *, lock: bool = False) -> Case:
    """`UnknownCaseError` when there is none. `lock`: others wait until this transaction has ended."""
    query = select(cases).where(cases.c.case_id == case_id)
    row = db.execute(query.with_for_update() if lock else query).one_or_none()
    if row is None:
        raise UnknownCaseError(f"no case {case_id}")
    return Case.of(row)


def of_receipt(db: Connection, receipt_id: str, states: Sequence[str] = (*UNDECIDED, RESOLVED)) -> list[Case]:
    """Cases of a receipt, oldest first."""
    query = select(cases).where(cases.c.receipt_id == receipt_id, cases.c.state.in_(states))
    return [Case.of(row) for row in db.execute(query.order_by(cases.c.opened_ns, cases.c.case_id))]


def open_case(db: Connection, case: Case) -> bool:
    """Store a new case; False: it is there already."""
    values = {**vars(case), "cameras": json.dumps(case.cameras)}
    new = db.execute(insert_missing(db, cases).values(**values)).rowcount == 1
    if new:
        _say(
            db,
            case.visit_id,
            DisputeOpened(
                event_id=digest(case.case_id, "opened"), store_id=case.store_id, at_ns=case.opened_ns,
                case_id=case.case_id, receipt_id=case.receipt_id, version=case.opened_version, visit_id=case.visit_id,
                shopper_id=case.shopper_id, origin=case.origin, kind=case.kind, line_id=case.line_id,
                gtin=case.claimed_gtin, promised_by_ns=case.promise_ns,
            ),
        )  # fmt: skip
        by = (case.shopper_id or "nobody") if case.origin == "dispute" else "walkout"
        _audit(
            db, "case-opened", by, case, case.opened_ns, of=case.kind, version=case.opened_version, line=case.line_id
        )
    return new


def new_case(
    db: Connection, receipt: ReceiptIssued, line: ReceiptLine | None, *, case_id: str, origin: str, kind: str,
    text: str, now_ns: int, settings: ReviewSettings, amount_minor: int, claimed_gtin: str | None = None,
    claimed_quantity: int = 1,
) -> Case:  # fmt: skip
    """A case as it is when it is opened."""
    hours = settings.promise_hours if origin == "dispute" else settings.held_promise_hours
    event_ids = line.event_ids if line else tuple(i for n in receipt.notes for i in n.event_ids)
    return Case(
        case_id=case_id, store_id=receipt.store_id, visit_id=receipt.visit_id, receipt_id=receipt.receipt_id,
        line_id=line.line_id if line else None, shopper_id=receipt.shopper_id, origin=origin, kind=kind,
        gtin=line.gtin if line else None, claimed_gtin=claimed_gtin, claimed_quantity=claimed_quantity, text=text,
        amount_minor=amount_minor, currency=receipt.currency, cameras=_cameras(db, event_ids),
        opened_version=receipt.version, opened_ns=now_ns, promise_ns=now_ns + round(hours * HOUR_NS), state=OPEN,
        claimed_by=None, claimed_until_ns=None, second_look_by=None, outcome=None, upheld=None, rule=None,
        decided_by=None, decided_ns=None, reason="", difference_minor=0, decided_version=None,
    )  # fmt: skip


def follow(
    db: Connection, receipt: ReceiptIssued, settings: ReviewSettings, now_ns: int, *, by: str | None = None
) -> list[Case]:
    """Make the cases fit the newest version of a receipt: what it holds has a case; cases of the shop's about what it
    does not hold any more were settled elsewhere. The cases that are new."""
    opened = []
    held = {line.line_id: line for line in receipt.lines if line.status == "held"}
    for line in held.values():
        case = new_case(
            db, receipt, line, case_id=digest("held", receipt.receipt_id, line.line_id), origin="held", kind=HELD_LINE,
            text=line.reason, now_ns=now_ns, settings=settings, amount_minor=line.total_minor,
        )  # fmt: skip
        if open_case(db, case):
            opened.append(case)
    if receipt.notes:
        case = new_case(
            db, receipt, None, case_id=digest("held", receipt.receipt_id, "notes"), origin="held", kind=HELD_NOTES,
            text="\n".join(note.reason for note in receipt.notes), now_ns=now_ns, settings=settings, amount_minor=0,
        )  # fmt: skip
        if open_case(db, case):
            opened.append(case)
    if receipt.version > 1:
        decider = by or (receipt.correction.by if receipt.correction else "walkout")
        for case in of_receipt(db, receipt.receipt_id, UNDECIDED):
            if case.origin == "held" and (case.line_id not in held if case.line_id else not receipt.notes):
                close(db, case, receipt, ELSEWHERE, by=decider, at_ns=now_ns, difference_minor=0)
    return opened


def claim(db: Connection, case: Case, by: str, now_ns: int, lease_ns: int) -> Case:
    """`case` must be locked."""
    undecided(case)
    if (holder := case.on_it(now_ns)) not in (None, by):
        raise CaseError(f"case {case.case_id}: {holder} is on it")
    if holder != by:
        _audit(db, "case-claimed", by, case, now_ns)
    _set(db, case.case_id, claimed_by=by, claimed_until_ns=now_ns + lease_ns)
    return replace(case, claimed_by=by, claimed_until_ns=now_ns + lease_ns)


def release(db: Connection, case: Case, by: str, now_ns: int) -> Case:
    """Let others have it; nothing happens when `by` is not on it. `case` must be locked."""
    if case.on_it(now_ns) == by:
        _set(db, case.case_id, claimed_by=None, claimed_until_ns=None)
        _audit(db, "case-released", by, case, now_ns)
        return replace(case, claimed_by=None, claimed_until_ns=None)
    return case


def second_look(db: Connection, case: Case, by: str, at_ns: int, reason: str) -> None:
    """Somebody else must decide. `case` must be locked."""
    _set(
        db, case.case_id, state=SECOND_LOOK, second_look_by=by, claimed_by=None, claimed_until_ns=None, reason=reason
    )  # fmt: skip
    _audit(db, "case-second-look", by, case, at_ns)


def reopen(db: Connection, case: Case, by: str, at_ns: int) -> Case:
    """A decided case is to be decided again; what was decided stays until then. `case` must be locked."""
    _set(db, case.case_id, state=OPEN, second_look_by=None)
    _audit(db, "case-reopened", by, case, at_ns, outcome=case.outcome)
    return replace(case, state=OPEN, second_look_by=None)


def close(
    db: Connection, case: Case, receipt: ReceiptIssued, outcome: str, *, by: str, at_ns: int, difference_minor: int,
    reason: str = "", upheld: bool | None = None, rule: str | None = None, evidence: Iterable[str] = (),
    other: ReceiptIssued | None = None,
) -> None:  # fmt: skip
    """It is decided; `receipt` is how it stands now, `evidence` the ids of the events that were there to look at.
    `difference_minor`: of this decision; the case adds them up, where it is decided again."""
    again = () if case.decided_ns is None else (str(at_ns),)
    _set(
        db, case.case_id, state=RESOLVED, outcome=outcome, upheld=upheld, rule=rule, decided_by=by, decided_ns=at_ns,
        reason=reason, difference_minor=case.difference_minor + difference_minor, decided_version=receipt.version,
        claimed_by=None, claimed_until_ns=None,
    )  # fmt: skip
    _say(
        db,
        case.visit_id,
        DisputeResolved(
            event_id=digest(case.case_id, "resolved", *again), store_id=case.store_id, at_ns=at_ns,
            case_id=case.case_id, receipt_id=case.receipt_id, version=receipt.version, visit_id=case.visit_id,
            shopper_id=case.shopper_id, origin=case.origin, outcome=outcome, upheld=upheld, by=by,
            difference_minor=difference_minor,
        ),
    )  # fmt: skip
    moved = {"other_receipt_id": other.receipt_id, "other_version": other.version} if other else {}
    _audit(
        db, "case-resolved", by, case, at_ns, outcome=outcome, version=receipt.version, line=case.line_id,
        difference_minor=difference_minor, currency=case.currency, upheld=upheld, rule=rule, evidence=sorted(evidence),
        **moved,
    )  # fmt: skip


def receipt_now(db: Connection, case: Case) -> ReceiptIssued:
    receipt = newest_in(db, case.receipt_id)
    if receipt is None:
        raise CaseError(f"case {case.case_id}: its receipt {case.receipt_id} is not here any more")
    return receipt


def undecided(case: Case) -> None:
    """`CaseError` says how it was decided."""
    if case.state == RESOLVED:
        raise CaseError(f"case {case.case_id} was decided by {case.decided_by}: {case.outcome}")


def _set(db: Connection, case_id: str, **values) -> None:
    db.execute(update(cases).where(cases.c.case_id == case_id).values(**values))


def _audit(db: Connection, kind: str, by: str, case: Case, at_ns: int, **about) -> None:
    found = {"case_id": case.case_id, "visit_id": case.visit_id, "receipt_id": case.receipt_id, **about}
    audit.append(db, kind, by, {k: v for k, v in found.items() if v is not None}, store_id=case.store_id, at_ns=at_ns)


def _say(db: Connection, visit_id: str, event: Event) -> None:
    """To be published by whoever has the visit's partition."""
    partition = db.execute(select(exits.c.partition).where(exits.c.visit_id == visit_id)).scalar_one_or_none()
    if partition is None:
        raise CaseError(f"visit {visit_id} was not settled here")
    db.execute(insert(messages).values(event_id=event.event_id, partition=partition, body=encode(event)))


def _cameras(db: Connection, event_ids: Iterable[str]) -> tuple[str, ...]:
    """The cameras that saw any of these events."""
    wanted = is_in(db, events.c.event_id, list(event_ids)), events.c.type == "shelf-event"
    found = [decode(body) for body in db.execute(select(events.c.body).where(*wanted)).scalars()]
    return tuple(sorted({ref.camera_id for e in found if isinstance(e, ShelfEvent) for ref in e.evidence}))
