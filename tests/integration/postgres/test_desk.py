# SPDX-License-Identifier: AGPL-3.0-or-later
"""The staff's desk on PostgreSQL: of many who want the same, one gets it."""

import pytest

from pipeline.cart.aggregator import TOPICS, Aggregator
from pipeline.cart.corrections import Refund
from pipeline.cart.desk import Desk
from pipeline.errors import CorrectionError, CouponError
from pipeline.eventlog import open_log
from pipeline.state import Database
from tests.at_once import at_once
from tests.unit.cart.test_desk import ANNA, BEN, PRICES


@pytest.fixture
def shop(tmp_path, state_url):
    log, database = open_log(f"sqlite:///{tmp_path}/log.sqlite"), Database(state_url)
    aggregator = Aggregator(log, database, PRICES)
    yield log, aggregator, Desk(database, PRICES)
    aggregator.close()
    database.close()
    log.close()


def test_a_coupon_wanted_by_two_visits_at_once_is_in_one(shop):
    log, aggregator, desk = shop
    codes = [desk.issue("fiver", "anna") for _ in range(5)]
    for code in codes:
        outcomes = at_once(
            *(lambda v=v, code=code: desk.present(code, "anna", v, "shop") for v in ("v1", "v2", "v3", "v4"))
        )
        assert sum(not isinstance(o, CouponError) for o in outcomes) == 1
    log.append([*ANNA, *BEN])
    aggregator.catch_up(log.ends(TOPICS))
    spent = [code for receipt in aggregator.receipts() for code in receipt.coupon_ids]
    assert len(spent) == len(set(spent))


def test_two_corrections_of_one_version_at_once_make_one(shop):
    log, aggregator, desk = shop
    log.append(ANNA)
    aggregator.catch_up(log.ends(TOPICS))
    (first,) = aggregator.receipts()
    refunds = [[Refund(line_id="1", amount_minor=n)] for n in (10, 20, 30)]
    outcomes = at_once(*(lambda c=c: desk.correct(first, c, by="s", reason="r") for c in refunds))
    assert sum("cannot follow" in str(o) for o in outcomes if isinstance(o, CorrectionError)) == 2
    assert [r.version for r in aggregator.receipts()] == [1, 2]
