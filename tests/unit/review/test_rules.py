# SPDX-License-Identifier: AGPL-3.0-or-later
"""Cases that settle themselves: which do, which do not, and that it is said wherever somebody looks."""

import pytest

from calibration.catalogue import Catalogue
from pipeline.cart.desk import Desk
from pipeline.cart.paper import html_of
from pipeline.cart.price_book import PriceBook
from pipeline.review import audit
from pipeline.review.desk import ReviewDesk
from pipeline.review.settings import ReviewSettings
from tests.unit.cart.events import BREAD, COLA, WATER, S, pick, visit


def test_off_unless_a_store_says_so(shop):
    case_id = shop.dispute()
    assert shop.desk.read(case_id).state == "open" and len(shop.desk.queue()) == 2


@pytest.mark.parametrize(
    ("kind", "action", "total"),
    [("not-taken", "remove", 149), ("put-back", "remove", 149), ("wrong-price", "refund", 149),
     ("other-product", "refund", 149)],
)  # fmt: skip
def test_small_amounts_are_settled_at_once(make_shop, kind, action, total):
    shop = make_shop(rules={"small_minor": 101})
    case_id = shop.dispute(BREAD, kind)
    case = shop.desk.read(case_id)
    assert (case.state, case.outcome, case.rule, case.upheld) == ("resolved", action, "small-amount", True)
    assert case.decided_by == "rule:small-amount" and "a small amount" in case.reason
    shop.settle()
    receipt = shop.receipt()
    assert receipt.total_minor == shop.paid() == total
    assert receipt.correction.by == "rule:small-amount" and "settled at once" in receipt.correction.reason
    assert "settled at once" in html_of(receipt)
    with shop.database.transaction() as db:
        entries = audit.history(db, case_id=case_id)
    assert [(e.kind, e.by) for e in entries] == [("case-opened", "anna"), ("case-resolved", "rule:small-amount")]
    assert entries[-1].about["rule"] == "small-amount"
    assert shop.desk.open_dispute("anna", receipt.receipt_id, case.line_id, kind) == case_id
    assert shop.desk.read(shop.dispute(COLA)).state == "open", "149 is not small here"


def test_who_has_disputed_much_lately_waits_for_a_person(make_shop):
    shop = make_shop(rules={"small_minor": 200, "small_at_most": 1, "small_days": 30})
    assert shop.desk.read(shop.dispute(BREAD)).state == "resolved"
    second = shop.dispute(COLA)
    assert shop.desk.read(second).state == "open"
    shop.now_ns += 31 * 24 * 3600 * S
    assert shop.desk.read(shop.dispute(COLA, "put-back")).state == "resolved", "the first one is long ago"


def test_what_the_cameras_doubted_is_believed(make_shop):
    shop = make_shop(rules={"unlikely_below": 0.8})
    unsure = visit(
        pick(1, {COLA: 0.75}, person={"t3": 0.8}, event_id="c1"), pick(2, BREAD, person="t3", event_id="c2"),
        track="t3", shopper="carla", visit_id="v3",
    )  # fmt: skip
    shop.tell(unsure)
    receipt = shop.receipt("v3")
    lines = {line.gtin: line.line_id for line in receipt.lines}
    doubted = shop.desk.open_dispute("carla", receipt.receipt_id, lines[COLA], "not-taken")
    assert shop.desk.read(doubted).rule == "unlikely" and "not sure either (57 %)" in shop.desk.read(doubted).reason
    sure = shop.desk.open_dispute("carla", receipt.receipt_id, lines[BREAD], "not-taken")
    assert shop.desk.read(sure).state == "open"
    shop.settle()
    assert shop.paid("v3") == 101


def test_held_lines_that_are_not_worth_a_look_are_let_go(make_shop):
    shop = make_shop(rules={"let_go_minor": 55})
    (case,) = shop.desk.resolved()
    assert (case.gtin, case.outcome, case.rule, case.upheld) == (WATER, "remove", "let-go", None)
    assert shop.desk.queue() == []
    shop.settle()
    assert shop.receipt().total_minor == shop.paid() == 250 and not shop.receipt().held_for_review
    assert [m.type for m in shop.told()] == ["dispute-opened", "dispute-resolved"]


def test_a_rule_that_cannot_be_applied_leaves_it_to_a_person(shop):
    known = shop.prices.catalogue.model_dump()
    of_today = Catalogue.model_validate(
        {**known, "tax_classes": {"standard": 200}, "products": [p for p in known["products"] if p["gtin"] != BREAD]}
    )
    prices = PriceBook.of(of_today)  # what the receipt has is not in it any more
    settings = ReviewSettings(rules={"small_minor": 200})
    desk = ReviewDesk(shop.database, Desk(shop.database, prices), prices, settings, clock=lambda: shop.now_ns)
    case_id = desk.open_dispute("anna", shop.receipt().receipt_id, shop.line(COLA), "not-taken")
    assert desk.read(case_id).state == "open" and shop.receipt().version == 1
