# SPDX-License-Identifier: AGPL-3.0-or-later
"""Coupons, decisions and corrections beside the log, on a real database and a real log."""

import pytest
import yaml
from typer.testing import CliRunner

from pipeline.cart.aggregator import TOPICS, Aggregator
from pipeline.cart.corrections import ChargeLine, Refund, RemoveLine, correct
from pipeline.cart.desk import Desk
from pipeline.cart.desk_cli import app
from pipeline.errors import CorrectionError, CouponError
from pipeline.eventlog import open_log
from pipeline.messages import PersonWithoutPass, StaffDecision
from pipeline.state import Database
from tests.unit.cart.events import BREAD, COLA, T0, S, pick, visit
from tests.unit.cart.test_promotions import FIVER, TENTH, book

PRICES = book({**TENTH, "coupon": True}, {**FIVER, "coupon": True, "minimum_minor": 0}, {**TENTH, "id": "all"})
ANNA = visit(pick(1), pick(2, BREAD, sure=0.6))
BEN = visit(pick(4, person="t2", event_id="ben-1"), track="t2", shopper="ben", visit_id="v2", until_s=60)


@pytest.fixture
def shop(tmp_path):
    """Log, aggregator and desk on one state."""
    log = open_log(f"sqlite:///{tmp_path}/log.sqlite")
    database = Database(f"sqlite:///{tmp_path}/state.sqlite")
    aggregator = Aggregator(log, database, PRICES)
    now = [T0 + 10 * S]
    yield log, aggregator, Desk(database, PRICES, clock=lambda: now[0]), now
    aggregator.close()
    database.close()
    log.close()


def published(log):
    reader, found = log.read("test-reader", ["walkout.receipts"]), []
    while records := reader.poll(0).records:
        found += [r.event for r in records]
    reader.close()
    return found


def receipt_of(aggregator, visit_id):
    return max((r for r in aggregator.receipts() if r.visit_id == visit_id), key=lambda r: r.version)


def test_a_coupon_is_on_one_receipt_only(shop):
    log, aggregator, desk, _ = shop
    coupon_id = desk.issue("fiver", "anna")
    log.append([*ANNA[:3], *BEN[:3]])
    desk.present(coupon_id, "anna", "v1", "shop")
    desk.present(coupon_id, "anna", "v1", "shop")  # twice is once
    with pytest.raises(CouponError, match="is presented, with visit v1"):
        desk.present(coupon_id, "anna", "v2", "shop")
    with pytest.raises(CouponError, match="is presented"):
        desk.transfer(coupon_id, "anna", "ben")
    log.append([*ANNA[3:], *BEN[3:]])
    aggregator.catch_up(log.ends(TOPICS))
    receipt = receipt_of(aggregator, "v1")
    assert receipt.coupon_ids == (coupon_id,)
    assert receipt_of(aggregator, "v2").coupon_ids == ()
    with pytest.raises(CouponError, match="is spent, with visit v1"):
        desk.present(coupon_id, "anna", "v3", "shop")


def test_a_coupon_that_gave_nothing_is_free_again(shop):
    log, aggregator, desk, _ = shop
    coupon_id = desk.issue("fiver", "anna")
    desk.present(coupon_id, "anna", "v1", "shop")
    log.append(visit())
    aggregator.catch_up(log.ends(TOPICS))
    desk.transfer(coupon_id, "anna", "ben")
    desk.present(coupon_id, "ben", "v2", "shop")


def test_a_coupon_whose_line_a_correction_takes_off_is_free_again(shop):
    log, aggregator, desk, _ = shop
    coupon_id = desk.issue("fiver", "anna")
    log.append(ANNA[:3])
    desk.present(coupon_id, "anna", "v1", "shop")
    log.append(ANNA[3:])
    aggregator.catch_up(log.ends(TOPICS))
    first = receipt_of(aggregator, "v1")
    assert first.coupon_ids == (coupon_id,)
    lines = [RemoveLine(line_id=line.line_id) for line in first.lines if line.status == "billed"]
    second = desk.correct(first, lines, by="staff-7", reason="not theirs")
    assert second.coupon_ids == ()
    desk.present(coupon_id, "anna", "v2", "shop")


def test_who_came_in_without_a_pass_can_be_charged_afterwards(shop):
    log, aggregator, desk, _ = shop
    entered = PersonWithoutPass(
        event_id="p", store_id="shop", at_ns=T0, visit_id="v3", gate_id="gate", track_id="t3", behind_visit_id=None
    )
    took = pick(1, person="t3", event_id="p-1")
    closed = ANNA[-1].model_copy(update={"event_id": "p-close", "visit_id": "v3", "event_ids": ("p", "p-1")})
    log.append([entered, took, closed])
    aggregator.catch_up(log.ends(TOPICS))
    first = receipt_of(aggregator, "v3")
    assert (first.shopper_id, first.total_minor) == (None, 0)
    charge = [ChargeLine(line_id=line.line_id) for line in first.lines]
    second = desk.correct(first, charge, by="staff-7", reason="came to the desk", shopper_id="carla")
    assert (second.shopper_id, second.total_minor) == ("carla", 149 - 15)
    with pytest.raises(CorrectionError, match="is carla's, who may have paid: ben cannot be named"):
        desk.correct(second, [], by="staff-7", reason="no, ben", shopper_id="ben")


def test_a_coupon_given_away_is_the_other_ones(shop):
    _, _, desk, now = shop
    coupon_id = desk.issue("tenth", "anna", expires_ns=now[0] + 10 * S)
    desk.transfer(coupon_id, "anna", "ben")
    with pytest.raises(CouponError, match="not one of shopper anna's"):
        desk.present(coupon_id, "anna", "v1", "shop")
    now[0] += 11 * S
    with pytest.raises(CouponError, match="has expired"):
        desk.present(coupon_id, "ben", "v2", "shop")


@pytest.mark.parametrize("promotion_id", ["moon", "all"])
def test_coupons_are_for_coupon_promotions(shop, promotion_id):
    with pytest.raises(CouponError, match=promotion_id):
        shop[2].issue(promotion_id, "anna")


def test_what_staff_decide_before_the_exit_is_on_the_first_receipt(shop):
    log, aggregator, desk, _ = shop
    log.append(ANNA[:-1])
    decision = StaffDecision(
        event_id="d1", store_id="shop", at_ns=T0 + 20 * S, visit_id="v1", decision="bill", staff_id="s", gtin=BREAD
    )
    desk.decide(decision)
    desk.decide(decision)
    log.append(ANNA[-1:])
    aggregator.catch_up(log.ends(TOPICS))
    receipt = receipt_of(aggregator, "v1")
    assert [(x.gtin, x.status) for x in receipt.lines] == [(BREAD, "billed"), (COLA, "billed")]
    with pytest.raises(CorrectionError, match="has its receipt"):
        desk.decide(decision.model_copy(update={"event_id": "d2"}))


def test_a_correction_is_stored_once_and_published(shop):
    log, aggregator, desk, _ = shop
    log.append(ANNA)
    aggregator.catch_up(log.ends(TOPICS))
    first = receipt_of(aggregator, "v1")
    second = desk.correct(first, [Refund(line_id="1", amount_minor=20)], by="staff-7", reason="goodwill")
    with pytest.raises(CorrectionError, match="is at version 2: version 2 cannot follow"):
        desk.correct(first, [RemoveLine(line_id="1")], by="staff-8", reason="mistake")
    assert desk.newest(first.receipt_id) == second
    aggregator.catch_up(log.ends(TOPICS))
    for _ in range(50):
        if len(published(log)) == 2:
            break
        aggregator.step(timeout_s=0.1)
    assert published(log) == [first, second]
    with pytest.raises(CorrectionError, match="no receipt r-none"):
        desk.newest("r-none")


def test_the_commands_of_the_desk(tmp_path, shop):
    log, aggregator, _, _ = shop
    log.append(ANNA)
    aggregator.catch_up(log.ends(TOPICS))
    first = receipt_of(aggregator, "v1")
    catalogue = tmp_path / "catalogue.yaml"
    catalogue.write_text(yaml.safe_dump(PRICES.catalogue.model_dump(mode="json")), encoding="utf-8")
    promotions = {"currency": "EUR", "promotions": [{**FIVER, "coupon": True}]}
    (tmp_path / "promotions.yaml").write_text(yaml.safe_dump(promotions), encoding="utf-8")
    where = ["--state", f"sqlite:///{tmp_path}/state.sqlite", "--catalogue", str(catalogue)]

    def desk(*arguments):
        result = CliRunner(env={"COLUMNS": "160"}).invoke(app, [*arguments, *where])
        if result.exception:
            raise result.exception
        return result.output

    code = desk("issue", "fiver", "anna").strip()
    desk("transfer", code, "anna", "ben")
    desk("present", code, "ben", "v2", "shop")
    desk("decide", "v2", "age-confirmed", "--by", "s1", "--store-id", "shop", "--minimum-age", "18")
    shown = desk("correct", first.receipt_id, "--by", "s1", "--reason", "film", "--refund", "1=20", "--charge", "2")
    assert "version 2" in shown and "refund: 0.20 EUR for Cola" in " ".join(shown.split())
    with pytest.raises(CorrectionError, match="'1=x': expected LINE=VALUE"):
        desk("correct", first.receipt_id, "--by", "s1", "--reason", "film", "--refund", "1=x")
    with pytest.raises(CorrectionError, match="decision: Input should be 'age-confirmed'"):
        desk("decide", "v2", "shrug", "--by", "s1", "--store-id", "shop")


def test_a_receipt_of_another_state_is_not_corrected_here(shop):
    log, aggregator, desk, _ = shop
    log.append(ANNA)
    aggregator.catch_up(log.ends(TOPICS))
    stranger = receipt_of(aggregator, "v1").model_copy(update={"visit_id": "v9", "receipt_id": "r-9"})
    new = correct(stranger, [RemoveLine(line_id="1")], PRICES, by="s", reason="", at_ns=T0 + S)
    with pytest.raises(CorrectionError, match="was not settled here"):
        desk.store([new])
