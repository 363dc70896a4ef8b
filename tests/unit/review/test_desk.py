# SPDX-License-Identifier: AGPL-3.0-or-later
"""Disputes and decisions, with the money that follows from them."""

import pytest

from pipeline.cart.corrections import ChargeLine
from pipeline.errors import CaseError, CorrectionError, StaleCaseError, UnknownCaseError
from pipeline.messages import DisputeOpened, DisputeResolved, PersonWithoutPass
from pipeline.review import audit
from tests.unit.cart.events import BREAD, COLA, T0, WATER, S, pick, put_back, visit

DAY = 24 * 3600 * S


def kinds(shop, case_id):
    with shop.database.transaction() as db:
        assert audit.verify(db)
        return [(e.kind, e.by) for e in audit.history(db, case_id=case_id)]


def test_what_is_held_becomes_a_case_by_itself(shop):
    (case,) = shop.held()
    receipt = shop.receipt()
    assert (case.kind, case.line_id, case.gtin, case.amount_minor) == ("held-line", shop.line(WATER), WATER, 55)
    assert case.text == next(line.reason for line in receipt.lines if line.gtin == WATER)
    assert (case.shopper_id, case.currency, case.opened_version) == ("anna", "EUR", 1)
    assert case.promise_ns == case.opened_ns + 48 * 3600 * S
    shop.settle()
    assert shop.held() == [case]
    assert kinds(shop, case.case_id) == [("case-opened", "walkout")]
    assert [type(m) for m in shop.told()] == [DisputeOpened]


def test_a_held_line_that_is_confirmed_is_charged(shop):
    (case,) = shop.held()
    outcome = shop.desk.resolve(case.case_id, "confirm", "rita", "k1", reason="seen on cam1")
    assert (outcome.version, outcome.difference_minor) == (2, 55)
    shop.settle()
    receipt = shop.receipt()
    assert not receipt.held_for_review and receipt.total_minor == shop.paid() == 149 + 101 + 55
    assert (receipt.correction.by, receipt.correction.reason) == ("rita", "the line was held for review: seen on cam1")
    assert shop.desk.queue() == []
    (decided,) = shop.desk.resolved()
    assert (decided.outcome, decided.upheld, decided.decided_by) == ("confirm", None, "rita")
    opened, resolved = shop.told()
    assert isinstance(resolved, DisputeResolved) and resolved.case_id == opened.case_id
    assert (resolved.version, resolved.outcome, resolved.difference_minor) == (2, "confirm", 55)
    assert kinds(shop, case.case_id) == [("case-opened", "walkout"), ("case-resolved", "rita")]


def test_a_dispute_that_is_upheld_is_paid_back(shop):
    case_id = shop.dispute(text="  I never touched it ")
    assert shop.dispute(text="again") == case_id
    case = shop.desk.read(case_id)
    assert (case.text, case.amount_minor, case.origin) == ("I never touched it", 149, "dispute")
    assert case.promise_ns == case.opened_ns + 24 * 3600 * S
    assert [c.case_id for c in shop.desk.queue()] == [case_id, shop.held()[0].case_id]  # oldest promise first
    shop.desk.resolve(case_id, "remove", "rita", "k1")
    shop.settle()
    assert shop.receipt().total_minor == shop.paid() == 101
    assert shop.receipt().correction.reason == "the shopper says it was not taken"
    assert shop.desk.read(case_id).upheld is True
    assert shop.dispute(BREAD) != case_id
    mine = shop.desk.disputes_of("anna")
    assert {c.case_id for c in mine} == {case_id, shop.dispute(BREAD)}
    assert shop.desk.disputes_of("ben") == []


def test_a_dispute_that_is_refused_changes_no_receipt(shop):
    case_id = shop.dispute()
    outcome = shop.desk.resolve(case_id, "confirm", "rita", "k1")
    assert (outcome.version, outcome.difference_minor) == (1, 0)
    shop.settle()
    assert shop.receipt().version == 1 and shop.paid() == 250
    assert shop.desk.read(case_id).upheld is False


@pytest.mark.parametrize(
    ("action", "given", "total"),
    [
        ("product", {"gtin": WATER}, 55 + 101),
        ("quantity", {"quantity": 3}, 3 * 149 + 101),
        ("refund", {"amount_minor": 40}, 149 + 101 - 40),
        ("refund", {}, 101),
        ("add", {"gtin": WATER, "quantity": 2}, 250 + 110),
        ("remove", {}, 101),
    ],
)
def test_each_decision_is_paid(shop, action, given, total):
    case_id = shop.dispute(kind="missing-item" if action == "add" else "not-taken")
    shop.desk.resolve(case_id, action, "rita", "k1", **given)
    shop.settle()
    assert shop.receipt().total_minor == shop.paid() == total
    assert shop.payment()["state"] == "paid" and "receivable" not in shop.books()


def test_units_move_to_the_other_shopper(shop):
    case_id = shop.dispute()
    outcome = shop.desk.resolve(case_id, "move", "rita", "k1", to_receipt_id=shop.receipt("v2").receipt_id)
    assert (outcome.other_receipt_id, outcome.other_version) == (shop.receipt("v2").receipt_id, 2)
    shop.settle()
    assert shop.receipt().total_minor == shop.paid() == 101
    assert shop.receipt("v2").total_minor == shop.paid("v2") == 298


def test_a_whole_receipt(shop):
    case_id = shop.dispute(None, "put-back")
    with pytest.raises(CaseError, match="name one"):
        shop.desk.resolve(case_id, "product", "rita", "k0", gtin=WATER)
    shop.desk.resolve(case_id, "refund", "rita", "k1", amount_minor=200)
    shop.settle()
    assert shop.receipt().total_minor == shop.paid() == 50
    again = shop.dispute(None, "not-taken")
    shop.desk.resolve(again, "remove", "rita", "k1")
    shop.settle()
    assert shop.receipt().total_minor == shop.paid() == 0 and shop.held() == []


def test_notes_are_one_case(make_shop):
    shop = make_shop()
    odd = visit(
        pick(1, person="t3", event_id="c1"), put_back(2, WATER, person="t3", event_id="c2"), track="t3",
        shopper="carla", visit_id="v3",
    )  # fmt: skip
    shop.tell(odd)
    (case,) = shop.held("v3")
    assert (case.kind, case.line_id) == ("held-notes", None) and "nobody was seen to take it" in case.text
    with pytest.raises(CaseError, match="name one"):
        shop.desk.resolve(case.case_id, "remove", "rita", "k0")
    shop.desk.resolve(case.case_id, "confirm", "rita", "k1")
    assert not shop.receipt("v3").held_for_review and shop.held("v3") == []


def test_who_came_in_without_a_pass_is_charged_when_named(shop):
    entered = PersonWithoutPass(
        event_id="p", store_id="shop", at_ns=T0, visit_id="v3", gate_id="gate", track_id="t3", behind_visit_id=None
    )
    closed = visit()[-1].model_copy(update={"event_id": "p-close", "visit_id": "v3", "event_ids": ("p", "p-1")})
    shop.tell([entered, pick(1, person="t3", event_id="p-1"), closed])
    (case,) = shop.held("v3")
    assert case.shopper_id is None
    with pytest.raises(CaseError, match="has no payer: name one"):
        shop.desk.resolve(case.case_id, "confirm", "rita", "k0")
    shop.desk.resolve(case.case_id, "confirm", "rita", "k1", shopper_id="carla")
    shop.settle()
    assert (shop.receipt("v3").shopper_id, shop.paid("v3")) == ("carla", 149)


def test_a_double_click_is_one_refund(shop):
    case_id = shop.dispute()
    first = shop.desk.resolve(case_id, "refund", "rita", "click", amount_minor=50)
    again = shop.desk.resolve(case_id, "refund", "rita", "click", amount_minor=50)
    assert again.repeated and (again.version, again.difference_minor) == (first.version, -50)
    with pytest.raises(CaseError, match="was another request"):
        shop.desk.resolve(case_id, "refund", "rita", "click", amount_minor=60)
    with pytest.raises(CaseError, match="was decided by rita: refund"):
        shop.desk.resolve(case_id, "refund", "rita", "another click", amount_minor=50)
    shop.settle()
    assert shop.receipt().version == 2 and shop.paid() == 200
    assert [c["amount_minor"] for c in shop.payment()["calls"] if c["kind"] == "refund"] == [50]


def test_only_ones_own_receipt_and_lines_that_are_there(shop):
    receipt_id = shop.receipt().receipt_id
    for shopper, receipt in (("ben", receipt_id), ("anna", "r-none")):
        with pytest.raises(UnknownCaseError, match=f"no receipt '{receipt}' of shopper {shopper}'s"):
            shop.desk.open_dispute(shopper, receipt, None, "not-taken")
    with pytest.raises(UnknownCaseError, match="has no line '9'; it has 1, 2, 3"):
        shop.desk.open_dispute("anna", receipt_id, "9", "not-taken")
    with pytest.raises(CaseError, match="a dispute is one of not-taken"):
        shop.desk.open_dispute("anna", receipt_id, "1", "boring")
    with pytest.raises(CaseError, match="at most 2000"):
        shop.desk.open_dispute("anna", receipt_id, "1", "not-taken", text="x" * 2001)
    with pytest.raises(CaseError, match="not in the catalogue"):
        shop.desk.open_dispute("anna", receipt_id, None, "missing-item", gtin="123")
    assert [c.origin for c in shop.desk.queue()] == ["held"]


def test_not_after_the_period(shop):
    case_id = shop.dispute()
    shop.now_ns = shop.receipt().left_at_ns + 60 * DAY + 1
    with pytest.raises(CaseError, match="for 60 days after the visit; that time is over"):
        shop.dispute(BREAD)
    assert shop.dispute() == case_id, "what was said in time stays said"


def test_a_receipt_that_moved_on_meanwhile(shop):
    case_id, seen = shop.dispute(), shop.receipt()
    shop.desk.claim(case_id, "rita")
    shop.staff.correct(seen, [ChargeLine(line_id=shop.line(WATER))], by="s7", reason="looked")
    with pytest.raises(StaleCaseError, match="is at version 2, you looked at 1"):
        shop.desk.resolve(case_id, "remove", "rita", "k1", version=seen.version)
    case = shop.desk.read(case_id)
    assert (case.state, case.claimed_by) == ("open", "rita")
    assert shop.receipt().version == 2
    assert shop.desk.resolve(case_id, "remove", "rita", "k1", version=2).version == 3
    shop.settle()
    assert shop.receipt().total_minor == shop.paid() == 101 + 55


def test_what_staff_correct_without_the_case_closes_it(shop):
    (case,) = shop.held()
    shop.staff.correct(shop.receipt(), [ChargeLine(line_id=case.line_id)], by="s7", reason="looked")
    shop.settle()
    closed = shop.desk.read(case.case_id)
    assert (closed.state, closed.outcome, closed.decided_by) == ("resolved", "elsewhere", "s7")


def test_a_decision_closes_what_was_held_about_the_same_line(shop):
    case_id = shop.dispute(WATER)
    shop.desk.resolve(case_id, "remove", "rita", "k1")
    assert shop.desk.queue() == []
    assert {c.outcome for c in shop.desk.resolved()} == {"remove", "elsewhere"}
    shop.settle()
    assert len(shop.told()) == 4


def test_one_reviewer_at_a_time(shop):
    case_id = shop.dispute()
    shop.desk.claim(case_id, "rita")
    with pytest.raises(CaseError, match="rita is on it"):
        shop.desk.claim(case_id, "sam")
    with pytest.raises(CaseError, match="rita is on it"):
        shop.desk.resolve(case_id, "remove", "sam", "k1")
    assert shop.desk.release(case_id, "sam").claimed_by == "rita"
    shop.desk.release(case_id, "rita")
    shop.desk.claim(case_id, "sam")
    shop.now_ns += 5 * 60 * S
    shop.desk.claim(case_id, "sam")  # prolonged
    shop.now_ns += 9 * 60 * S
    assert shop.desk.read(case_id).on_it(shop.now_ns) == "sam"
    shop.now_ns += 2 * 60 * S
    assert shop.desk.claim(case_id, "rita").claimed_by == "rita"
    assert [k for k, _ in kinds(shop, case_id)] == [
        "case-opened", "case-claimed", "case-released", "case-claimed", "case-claimed"
    ]  # fmt: skip


def test_a_second_look_is_somebody_elses(shop):
    case_id = shop.dispute()
    shop.desk.resolve(case_id, "second-look", "rita", "k1", reason="hard to see")
    assert shop.desk.resolve(case_id, "second-look", "rita", "k1", reason="hard to see").repeated
    assert [c.state for c in shop.desk.queue() if c.case_id == case_id] == ["second-look"]
    with pytest.raises(CaseError, match="you asked for the second look"):
        shop.desk.resolve(case_id, "remove", "rita", "k2")
    with pytest.raises(CaseError, match="this is the second look"):
        shop.desk.resolve(case_id, "second-look", "sam", "k2")
    assert shop.desk.resolve(case_id, "remove", "sam", "k2").version == 2


def test_what_cannot_be_done_leaves_the_case_open(shop):
    case_id = shop.dispute()
    for action, given, error, text in (
        ("refund", {"amount_minor": 150}, CaseError, "150 back, but 149"),
        ("product", {}, CaseError, "product needs gtin"),
        ("product", {"gtin": COLA}, CaseError, "already"),
        ("product", {"gtin": "123"}, CorrectionError, "cannot be charged"),
        ("quantity", {"quantity": 1}, CaseError, "already"),
        ("quantity", {"quantity": 0}, CaseError, "greater than or equal to 1"),
        ("move", {"to_receipt_id": "r-9"}, CaseError, "no receipt with a payer"),
        ("move", {"to_receipt_id": shop.receipt().receipt_id}, CorrectionError, "not two receipts"),
        ("remove", {"line_id": shop.line(BREAD)}, CaseError, "is about line"),
        ("shrug", {}, CaseError, "action"),
    ):
        with pytest.raises(error, match=text):
            shop.desk.resolve(case_id, action, "rita", "k1", **given)
    (held,) = shop.held()
    with pytest.raises(CaseError, match="would still be held after it"):
        shop.desk.resolve(held.case_id, "add", "rita", "k1", gtin=COLA)
    with pytest.raises(CaseError, match="needs a key"):
        shop.desk.resolve(case_id, "remove", "rita", "")
    with pytest.raises(UnknownCaseError, match="no case nothing"):
        shop.desk.resolve("nothing", "remove", "rita", "k1")
    assert shop.desk.read(case_id).state == "open" and shop.receipt().version == 1


def test_the_queue_in_pages(shop):
    ids = [shop.dispute(), shop.dispute(BREAD), shop.dispute(None), shop.held()[0].case_id]
    seen, after = [], None
    while page := shop.desk.queue(limit=2, after=after):
        seen += [c.case_id for c in page]
        after = (page[-1].promise_ns, page[-1].case_id)
    assert sorted(seen) == sorted(ids) and seen[-1] == ids[-1] and shop.desk.waiting() == 4
    assert shop.desk.queue(store_id="elsewhere") == [] and len(shop.desk.queue(origin="held")) == 1
    assert len(shop.desk.queue(kind="not-taken")) == 3 and COLA in {c.gtin for c in shop.desk.queue()}
