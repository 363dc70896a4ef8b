# SPDX-License-Identifier: AGPL-3.0-or-later
"""The reviewer's desk: disputes in, decisions out. What pages and commands call.

A decision is one transaction: the next version of the receipt (through the staff's desk, so that it is published, paid
back or charged like any correction), the case, the answer to the request's key, the message, the entry in the audit
trail. A crash leaves all of it or nothing; the same key again is answered from what was stored.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable

from pydantic import ValidationError
from sqlalchemy import Connection, func, insert, select

from pipeline.cart.desk import Desk, newest_in
from pipeline.cart.price_book import PriceBook
from pipeline.cart.receipts import digest
from pipeline.cart.tables import exits
from pipeline.errors import CaseError, CorrectionError, StaleCaseError, UnknownCaseError
from pipeline.messages import ReceiptIssued, ReceiptLine
from pipeline.observe.logs import get_logger
from pipeline.reasons import settled
from pipeline.review import audit, cases, material
from pipeline.review import tables as t
from pipeline.review.around import Around
from pipeline.review.case_view import CaseView
from pipeline.review.model import (
    DISPUTE_KINDS,
    HELD_LINE,
    LONGEST_TEXT,
    RESOLVED,
    SECOND_LOOK,
    Case,
    Outcome,
    Request,
)
from pipeline.review.path import tracks_file
from pipeline.review.plan import SAID, plan_of
from pipeline.review.rules import Facts, verdict
from pipeline.review.settings import ReviewSettings
from pipeline.review.view import view_of
from pipeline.state import Database

log = get_logger(__name__)
S = 1_000_000_000
DAY_NS = 24 * 3600 * S
_MOST_UNDECIDED = 50
"""Cases of one receipt that wait at the same time: more is somebody playing."""


class ReviewDesk:
    """Everything about cases of the stores whose state this is.

    Args:
        desk: the staff's desk on the same database.
        clock: ns since the Unix epoch.
        told_ns: of a recorded run: when it was made. Its receipts can be disputed from then on, not from the time that
            was recorded.
        around: what there is besides the state.
    """

    def __init__(
        self, database: Database, desk: Desk, prices: PriceBook, settings: ReviewSettings | None = None, *,
        clock: Callable[[], int] = time.time_ns, told_ns: int = 0, around: Around | None = None,
    ) -> None:  # fmt: skip
        self._database, self._desk, self._prices = database, desk, prices
        self.settings, self._clock, self._around = settings or ReviewSettings(), clock, around or Around()
        self._told_ns = told_ns

    # --- the shopper ---

    def open_dispute(
        self, shopper_id: str, receipt_id: str, line_id: str | None, kind: str, text: str = "", gtin: str | None = None,
        quantity: int = 1,
    ) -> str:  # fmt: skip
        """A shopper disputes a line of their receipt, or all of it (`line_id` None); the case's id. Again: the same
        case, whatever became of it.

        Args:
            kind: one of `DISPUTE_KINDS`.
            text: the shopper's own words, at most 2,000 characters.
            gtin, quantity: what it was, for other-product and missing-item.

        Raises `UnknownCaseError` (no such receipt of theirs, no such line) and `CaseError` (too late, no such kind).
        """
        _check(kind, text, quantity)
        return self._database.run(
            lambda db: self._open_dispute(db, shopper_id, receipt_id, line_id or None, kind, text, gtin, quantity)
        )

    def disputes_of(self, shopper_id: str, receipt_id: str | None = None) -> list[Case]:
        """A shopper's own disputes, newest first."""
        query = select(t.cases).where(t.cases.c.shopper_id == shopper_id, t.cases.c.origin == "dispute")
        if receipt_id is not None:
            query = query.where(t.cases.c.receipt_id == receipt_id)
        return self._list(query.order_by(t.cases.c.opened_ns.desc(), t.cases.c.case_id))

    def disputable_until_ns(self, receipt: ReceiptIssued) -> int:
        """Until when a receipt can be disputed."""
        return max(receipt.left_at_ns, self._told_ns) + round(self.settings.dispute_days * DAY_NS)

    # --- the reviewer ---

    def queue(
        self, *, store_id: str | None = None, origin: str | None = None, kind: str | None = None, limit: int = 100,
        after: tuple[int, str] | None = None,
    ) -> list[Case]:  # fmt: skip
        """What is to be decided, oldest promise first. `after`: (`promise_ns`, `case_id`) of the last one seen."""
        query = select(t.cases).where(t.cases.c.state.in_(cases.UNDECIDED))
        for column, value in ((t.cases.c.store_id, store_id), (t.cases.c.origin, origin), (t.cases.c.kind, kind)):
            if value is not None:
                query = query.where(column == value)
        if after is not None:
            promise_ns, case_id = after
            same = (t.cases.c.promise_ns == promise_ns) & (t.cases.c.case_id > case_id)
            query = query.where((t.cases.c.promise_ns > promise_ns) | same)
        return self._list(query.order_by(t.cases.c.promise_ns, t.cases.c.case_id).limit(limit))

    def waiting(self, store_id: str | None = None) -> int:
        """How many cases are to be decided."""
        query = select(func.count()).select_from(t.cases).where(t.cases.c.state.in_(cases.UNDECIDED))
        if store_id is not None:
            query = query.where(t.cases.c.store_id == store_id)
        return self._database.run(lambda db: db.execute(query).scalar_one())

    def resolved(self, *, store_id: str | None = None, limit: int = 100) -> list[Case]:
        """What was decided, newest first."""
        query = select(t.cases).where(t.cases.c.state == RESOLVED)
        if store_id is not None:
            query = query.where(t.cases.c.store_id == store_id)
        return self._list(query.order_by(t.cases.c.decided_ns.desc(), t.cases.c.case_id).limit(limit))

    def read(self, case_id: str) -> Case:
        """One case without what is around it. `UnknownCaseError`: there is none."""
        return self._database.run(lambda db: cases.read(db, case_id))

    def view(self, case_id: str) -> CaseView:
        """One case with all that there is to look at. `UnknownCaseError`: there is none."""
        tracks = tracks_file(self._around.run, *self._around.folders)
        return view_of(self._database, case_id, self._prices, self._around.evidence, tracks)

    def cases_of(self, receipt_id: str) -> list[Case]:
        """All cases of a receipt, oldest first."""
        return self._database.run(lambda db: cases.of_receipt(db, receipt_id))

    def claim(self, case_id: str, by: str) -> Case:
        """`by` is on it for the lease's time; again prolongs it. `CaseError`: somebody else is, or it is decided."""
        lease_ns = round(self.settings.lease_minutes * 60 * S)
        return self._database.run(
            lambda db: cases.claim(db, cases.read(db, case_id, lock=True), by, self._clock(), lease_ns)
        )

    def release(self, case_id: str, by: str) -> Case:
        """`by` is not on it any more."""
        return self._database.run(
            lambda db: cases.release(db, cases.read(db, case_id, lock=True), by, self._clock())
        )  # fmt: skip

    def resolve(self, case_id: str, action: str, by: str, key: str, **given) -> Outcome:
        """Decide a case, once: `key` names the request, and the same key again gives the same answer.

        Args:
            action: one of `ACTIONS`.
            given: the other fields of `Request`.

        Raises `StaleCaseError` when the receipt has moved on since `version`; `CaseError` when it was decided, somebody
        else is on it, the second look is somebody else's, or the request lacks something; `CorrectionError` when the
        receipt cannot be corrected so. Nothing is changed then.
        """
        try:
            request = Request(action=action, **{name: value for name, value in given.items() if value is not None})
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            raise CaseError(f"{'.'.join(map(str, first['loc']))}: {first['msg']}") from None
        if not key or len(key) > 200:
            raise CaseError("a request needs a key of 1 to 200 characters that names it")
        return self._database.run(lambda db: self._resolve(db, case_id, request, by, key))

    # --- everybody ---

    def follow(self, db: Connection, receipt_ids: Iterable[str]) -> None:
        """Open what receipts hold as cases, and close what they do not hold any more."""
        known = [receipt for receipt_id in receipt_ids if (receipt := newest_in(db, receipt_id)) is not None]
        _lock_visits(db, [receipt.visit_id for receipt in known])
        for before in known:
            receipt = newest_in(db, before.receipt_id)
            for case in cases.follow(db, receipt, self.settings, self._clock()):
                self._try_rules(db, case, newest_in(db, receipt.receipt_id))

    # --- inside ---

    def _list(self, query) -> list[Case]:
        return self._database.run(lambda db: [Case.of(row) for row in db.execute(query)])

    def _open_dispute(
        self, db: Connection, shopper_id: str, receipt_id: str, line_id: str | None, kind: str, text: str,
        gtin: str | None, quantity: int,
    ) -> str:  # fmt: skip
        receipt = newest_in(db, receipt_id)
        if receipt is None or receipt.shopper_id != shopper_id:  # one answer: receipts cannot be found out by trying
            raise UnknownCaseError(f"no receipt {receipt_id[:80]!r} of shopper {shopper_id}'s")
        of = (gtin or text.strip()) if kind == "missing-item" else ""
        case_id = digest("dispute", receipt_id, line_id or "", kind, of)
        if db.execute(select(t.cases.c.case_id).where(t.cases.c.case_id == case_id)).first():
            return case_id
        _lock_visits(db, [receipt.visit_id])
        receipt, now_ns = newest_in(db, receipt_id), self._clock()
        if now_ns > self.disputable_until_ns(receipt):
            raise CaseError(
                f"receipt {receipt_id} could be disputed for {self.settings.dispute_days:g} days after the visit; "
                "that time is over"
            )
        line = _line_of(receipt, line_id)
        if gtin is not None and self._prices.product(gtin) is None:
            raise CaseError(f"product {gtin[:40]!r} is not in the catalogue")
        if len(cases.of_receipt(db, receipt_id, cases.UNDECIDED)) >= _MOST_UNDECIDED:
            raise CaseError(f"receipt {receipt_id}: {_MOST_UNDECIDED} questions about it wait for an answer already")
        case = cases.new_case(
            db, receipt, line, case_id=case_id, origin="dispute", kind=kind, text=text.strip(), now_ns=now_ns,
            settings=self.settings, amount_minor=self._at_stake(receipt, line, kind, gtin, quantity),
            claimed_gtin=gtin, claimed_quantity=quantity,
        )  # fmt: skip
        if cases.open_case(db, case):
            self._try_rules(db, case, receipt)
        return case_id

    def _at_stake(
        self, receipt: ReceiptIssued, line: ReceiptLine | None, kind: str, gtin: str | None, quantity: int
    ) -> int:
        if kind != "missing-item":
            return line.total_minor if line else receipt.total_minor
        price = self._prices.price(gtin, receipt.store_id, receipt.left_at_ns) if gtin else None
        return quantity * (price or 0)

    def _try_rules(self, db: Connection, case: Case, receipt: ReceiptIssued) -> None:
        line = next((x for x in receipt.lines if x.line_id == case.line_id), None)
        if line is None:
            return
        rules = self.settings.rules
        since_ns = case.opened_ns - round(rules.small_days * DAY_NS)
        mine = (t.cases.c.shopper_id == case.shopper_id) & (t.cases.c.case_id != case.case_id)
        upheld = select(func.count()).select_from(t.cases).where(
            mine, t.cases.c.upheld.is_(True), t.cases.c.opened_ns >= since_ns
        )  # fmt: skip
        likely = material.load(db, case.visit_id).took_probability(line)
        facts = Facts(line, db.execute(upheld).scalar_one(), likely)
        if (found := verdict(case, facts, rules)) is not None:
            name = f"rule:{found.rule}"
            try:
                with db.begin_nested():
                    self._decide(db, case, receipt, found.request, name, name, found.rule)
            except (CaseError, CorrectionError) as error:
                log.warning("rule not applied, a person decides", case_id=case.case_id, rule=name, reason=str(error))

    def _resolve(self, db: Connection, case_id: str, request: Request, by: str, key: str) -> Outcome:
        self._lock_receipts(db, cases.read(db, case_id), request)
        case = cases.read(db, case_id, lock=True)
        asked = audit.canonical(request.model_dump(mode="json", exclude_none=True))
        here = (t.resolutions.c.case_id == case_id) & (t.resolutions.c.key == key)
        done = db.execute(select(t.resolutions).where(here)).one_or_none()
        if done is not None:
            if done.request != asked:
                raise CaseError(f"case {case_id}: key {key} was another request ({done.action}): use a new one")
            return Outcome(
                case_id, done.action, done.actor, done.at_ns, done.receipt_id, done.version, done.difference_minor,
                done.other_receipt_id, done.other_version, repeated=True,
            )  # fmt: skip
        now_ns = self._clock()
        if request.again and case.state == RESOLVED:
            case = cases.reopen(db, case, by, now_ns)
        cases.undecided(case)
        if (holder := case.on_it(now_ns)) not in (None, by):
            raise CaseError(f"case {case_id}: {holder} is on it")
        receipt = cases.receipt_now(db, case)
        if request.version not in (None, receipt.version):
            raise StaleCaseError(
                f"receipt {receipt.receipt_id} is at version {receipt.version}, you looked at {request.version}: "
                "look again; nothing was changed"
            )
        if case.state == SECOND_LOOK:
            if by == case.second_look_by:
                raise CaseError(f"case {case_id}: you asked for the second look, so somebody else must decide")
            if request.action == "second-look":
                raise CaseError(f"case {case_id}: this is the second look: decide")
        if request.action == "second-look":
            cases.second_look(db, case, by, now_ns, request.reason)
            outcome = Outcome(case_id, request.action, by, now_ns, receipt.receipt_id, receipt.version, 0)
            self._note(db, outcome, key, asked)
            return outcome
        return self._decide(db, case, receipt, request, by, key)

    def _lock_receipts(self, db: Connection, case: Case, request: Request) -> None:
        """The case's, and the one that units are moved to."""
        other = newest_in(db, request.to_receipt_id) if request.to_receipt_id else None
        _lock_visits(db, [case.visit_id, *([other.visit_id] if other else [])])

    def _decide(
        self, db: Connection, case: Case, receipt: ReceiptIssued, request: Request, by: str, key: str,
        rule: str | None = None,
    ) -> Outcome:  # fmt: skip
        plan, other = plan_of(case, receipt, request), None
        reason = settled(SAID[case.kind], request.reason.strip())
        new = receipt
        if plan.move:
            taker = newest_in(db, plan.move.to_receipt_id)
            if taker is None or taker.shopper_id is None:
                raise CaseError(f"nothing is moved to {plan.move.to_receipt_id}: no receipt with a payer")
            new, other = self._desk.move_in(
                db, receipt, taker, plan.move.line_id, plan.move.quantity, by=by, reason=reason
            )
        elif not plan.empty:
            new = self._desk.correct_in(
                db, receipt, plan.changes, by=by, reason=reason, settle_notes=plan.settle_notes,
                shopper_id=plan.shopper_id,
            )  # fmt: skip
        if case.kind == HELD_LINE and any(x.line_id == case.line_id and x.status == "held" for x in new.lines):
            raise CaseError(
                f"case {case.case_id}: line {case.line_id} would still be held after it: "
                "confirm, change, move or remove all of it"
            )
        now_ns = self._clock()
        line = next((x for x in receipt.lines if x.line_id == (case.line_id or request.line_id)), None)
        evidence = line.event_ids if line else [i for x in (*receipt.lines, *receipt.notes) for i in x.event_ids]
        outcome = Outcome(
            case.case_id, request.action, by, now_ns, new.receipt_id, new.version,
            new.total_minor - receipt.total_minor, getattr(other, "receipt_id", None), getattr(other, "version", None),
        )  # fmt: skip
        cases.close(
            db, case, new, request.action, by=by, at_ns=now_ns, difference_minor=outcome.difference_minor,
            reason=request.reason, upheld=_upheld(case, request, outcome), rule=rule, evidence=set(evidence),
            other=other,
        )  # fmt: skip
        self._note(db, outcome, key, audit.canonical(request.model_dump(mode="json", exclude_none=True)))
        if new is not receipt:
            cases.follow(db, new, self.settings, now_ns, by=by)
        return outcome

    def _note(self, db: Connection, outcome: Outcome, key: str, asked: str) -> None:
        values = {k: v for k, v in vars(outcome).items() if k not in ("by", "repeated")}
        db.execute(insert(t.resolutions).values(**values, key=key, actor=outcome.by, request=asked))


def _upheld(case: Case, request: Request, outcome: Outcome) -> bool | None:
    """Whether the shopper was right. Where it was decided before: whether both decisions together changed anything."""
    if case.origin == "held":
        return None
    if case.decided_ns is not None:
        return case.difference_minor + outcome.difference_minor != 0
    return request.action != "confirm"


def _lock_visits(db: Connection, visit_ids: Iterable[str]) -> None:
    """Nobody else corrects the receipts of these visits until this transaction has ended. Always first, before cases
    and the audit trail: who locks in one order does not lock each other out."""
    for visit_id in sorted(set(visit_ids)):
        db.execute(select(exits.c.visit_id).where(exits.c.visit_id == visit_id).with_for_update())


def _check(kind: str, text: str, quantity: int) -> None:
    if kind not in DISPUTE_KINDS:
        raise CaseError(f"a dispute is one of {', '.join(DISPUTE_KINDS)}, not {str(kind)[:40]!r}")
    if len(text) > LONGEST_TEXT or "\x00" in text:
        raise CaseError(f"the text of a dispute has at most {LONGEST_TEXT} characters and no NUL; got {len(text)}")
    if not 1 <= quantity <= 1000:
        raise CaseError(f"expected 1 to 1000 units, got {quantity}")


def _line_of(receipt: ReceiptIssued, line_id: str | None) -> ReceiptLine | None:
    if line_id is None:
        return None
    for line in receipt.lines:
        if line.line_id == line_id:
            if line.status == "let-go":
                raise CaseError(f"line {line_id} of receipt {receipt.receipt_id} is not charged: nothing to dispute")
            return line
    known = ", ".join(line.line_id for line in receipt.lines) or "none"
    raise UnknownCaseError(f"receipt {receipt.receipt_id} has no line {line_id[:40]!r}; it has {known}")
