# SPDX-License-Identifier: AGPL-3.0-or-later
"""The staff's desk on PostgreSQL: of many who want the same, one gets it."""

import threading

import pytest

from pipeline.cart.aggregator import TOPICS, Aggregator
from pipeline.cart.corrections import Refund
from pipeline.cart.desk import Desk
from pipeline.errors import CorrectionError, CouponError
from pipeline.eventlog import open_log
from pipeline.state import Database
from tests.unit.cart.test_desk import ANNA, BEN, PRICES


@pytest.fixture
def shop(tmp_path, state_url):
    log, database = open_log(f"sqlite:///{tmp_path}/log.sqlite"), Database(state_url)
    aggregator = Aggregator(log, database, PRICES)
    yield log, aggregator, Desk(database, PRICES)
    aggregator.close()
    database.close()
    log.close()


def at_once(*calls):
    """Run them side by side; what each raised, or None."""
    outcomes, start = [None] * len(calls), threading.Barrier(len(calls))

    def call(number):
        start.wait()
        try:
            calls[number]()
        except (CouponError, CorrectionError) as error:
            outcomes[number] = error

    threads = [threading.Thread(target=call, args=(n,)) for n in range(len(calls))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return outcomes


def test_a_coupon_wanted_by_two_visits_at_once_is_in_one(shop):
    log, aggregator, desk = shop
    codes = [desk.issue("fiver", "anna") for _ in range(5)]
    for code in codes:
        outcomes = at_once(
            *(lambda v=v, code=code: desk.present(code, "anna", v, "shop") for v in ("v1", "v2", "v3", "v4"))
        )
        assert sum(o is None for o in outcomes) == 1
        assert all(isinstance(o, CouponError) for o in outcomes if o is not None)
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
    assert sum(o is None for o in outcomes) == 1
    assert all("cannot follow" in str(o) for o in outcomes if o is not None)
    assert [r.version for r in aggregator.receipts()] == [1, 2]
