# SPDX-License-Identifier: AGPL-3.0-or-later
"""A shopper's coupons and receipts, on a real database."""

import pytest

from pipeline.cart.aggregator import TOPICS, Aggregator
from pipeline.cart.corrections import RemoveLine
from pipeline.cart.desk import Desk
from pipeline.cart.records import Records
from pipeline.cart.wallet import Wallet
from pipeline.errors import CouponError
from pipeline.eventlog import open_log
from pipeline.state import Database
from tests.unit.cart.events import BREAD, T0, S, pick, visit
from tests.unit.cart.test_promotions import FIVER, TENTH, book

PRICES = book({**TENTH, "coupon": True}, {**FIVER, "coupon": True, "minimum_minor": 0})


@pytest.fixture
def shop(tmp_path):
    database = Database(f"sqlite:///{tmp_path}/state.sqlite")
    now = [T0 + 10 * S]
    desk = Desk(database, PRICES, clock=lambda: now[0])
    yield database, desk, Wallet(database, desk, PRICES, clock=lambda: now[0]), now
    database.close()


def states(wallet, shopper):
    return [(c.promotion_id, c.state, c.offered) for c in wallet.of(shopper)]


def test_a_friend_takes_a_coupon_over_with_its_code_once(shop):
    _, desk, wallet, _ = shop
    coupon_id = desk.issue("fiver", "anna")
    code = wallet.offer(coupon_id, "anna")
    assert states(wallet, "anna") == [("fiver", "free", True)]
    with pytest.raises(CouponError, match="is yours already"):
        wallet.accept(code, "anna")
    assert wallet.accept(f" {code[:5].lower()} {code[5:]}", "ben") == coupon_id
    assert states(wallet, "anna") == [] and states(wallet, "ben") == [("fiver", "free", False)]
    with pytest.raises(CouponError, match="not good"):
        wallet.accept(code, "carla")


def test_a_code_is_good_for_what_is_still_there_to_be_given(shop):
    _, desk, wallet, now = shop
    coupon_id = desk.issue("fiver", "anna", expires_ns=now[0] + 60 * 86_400 * S)
    first = wallet.offer(coupon_id, "anna")
    second = wallet.offer(coupon_id, "anna")
    with pytest.raises(CouponError, match="not good"):
        wallet.accept(first, "ben")
    desk.present(coupon_id, "anna", "v1", "shop")
    with pytest.raises(CouponError, match="not good"):
        wallet.accept(second, "ben")
    with pytest.raises(CouponError, match="presented"):
        wallet.offer(coupon_id, "anna")
    assert states(wallet, "anna") == [("fiver", "presented", False)]
    with pytest.raises(CouponError, match="not one of"):
        wallet.offer(coupon_id, "ben")


def test_codes_and_coupons_run_out(shop):
    _, desk, wallet, now = shop
    coupon_id = desk.issue("fiver", "anna", expires_ns=now[0] + 30 * 86_400 * S)
    code = wallet.offer(coupon_id, "anna")
    now[0] += 15 * 86_400 * S
    with pytest.raises(CouponError, match="not good"):
        wallet.accept(code, "ben")
    now[0] += 16 * 86_400 * S
    assert states(wallet, "anna") == [("fiver", "expired", False)]


@pytest.mark.parametrize("code", ["", "x" * 5000, "nothing", "'; drop table coupons"])
def test_other_codes_give_nothing(shop, code):
    with pytest.raises(CouponError, match="not good"):
        shop[2].accept(code, "ben")


def test_receipts_are_their_payers_and_nobody_elses(tmp_path):
    log, database = open_log(f"sqlite:///{tmp_path}/log.sqlite"), Database(f"sqlite:///{tmp_path}/state.sqlite")
    aggregator, desk, records = Aggregator(log, database, PRICES), Desk(database, PRICES), Records(database, "shop")
    for k in range(5):
        log.append(
            visit(pick(1 + k, event_id=f"a{k}"), pick(2, BREAD, event_id=f"b{k}"), visit_id=f"v{k}", until_s=50 + k)
        )
    log.append(visit(pick(4, person="t2", event_id="ben"), track="t2", shopper="ben", visit_id="w"))
    aggregator.catch_up(log.ends(TOPICS))
    first = records.page("anna", limit=3)
    assert [r.visit_id for r in first.receipts] == ["v4", "v3", "v2"] and first.older is not None
    second = records.page("anna", first.older, limit=3)
    assert [r.visit_id for r in second.receipts] == ["v1", "v0"] and second.older is None
    bens = records.page("ben").receipts[0]
    assert records.versions(bens.receipt_id, "anna") == [] and records.of_visit("w", "anna") is None
    assert records.of_visit("w", "ben") == bens and records.of_visit("v9", "ben") is None
    newest = first.receipts[0]
    desk.correct(newest, [RemoveLine(line_id="1")], by="s1", reason="looked")
    assert [r.version for r in records.versions(newest.receipt_id, "anna")] == [1, 2]
    assert [r.version for r in records.page("anna").receipts] == [2, 1, 1, 1, 1]
    assert Records(database, "elsewhere").page("anna").receipts == ()
    aggregator.close()
    database.close()
    log.close()
