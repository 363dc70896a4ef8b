# SPDX-License-Identifier: AGPL-3.0-or-later
"""Review on PostgreSQL: of many who want to decide the same case one does, and money follows as on SQLite."""

import pytest

from pipeline.errors import CaseError, StaleCaseError
from pipeline.review import audit
from pipeline.review.figures import figures
from tests.at_once import at_once
from tests.unit.cart.events import BREAD, COLA, WATER
from tests.unit.review.shop import ANNA, BEN, Shop


@pytest.fixture
def shop(tmp_path, state_url):
    shop = Shop(tmp_path, state_url)
    shop.tell(ANNA, BEN)
    yield shop
    shop.close()


def test_a_dispute_opened_twice_at_once_is_one(shop):
    outcomes = at_once(*(lambda: shop.dispute() for _ in range(4)))
    assert len(set(outcomes)) == 1 and len(shop.desk.disputes_of("anna")) == 1


def test_two_clicks_at_once_are_one_refund_and_two_reviewers_one_decision(shop):
    case_id, other = shop.dispute(), shop.dispute(BREAD)
    clicks = at_once(*(lambda: shop.desk.resolve(case_id, "refund", "rita", "k", amount_minor=50) for _ in range(4)))
    assert {o.version for o in clicks} == {2} and sum(not o.repeated for o in clicks) == 1
    both = at_once(*(lambda by=by: shop.desk.resolve(other, "remove", by, by) for by in ("rita", "sam", "tom")))
    refused = [o for o in both if isinstance(o, CaseError)]
    assert len(refused) == 2 and all("was decided by" in str(o) for o in refused)
    shop.settle()
    assert shop.receipt().total_minor == shop.paid() == 99
    shop.database.run(audit.verify)


def test_two_cases_of_one_receipt_at_once_follow_each_other(shop):
    cases = [shop.dispute(), shop.dispute(BREAD), shop.held()[0].case_id]
    outcomes = at_once(*(lambda c=c: shop.desk.resolve(c, "remove", "rita", "k") for c in cases))
    assert sorted(o.version for o in outcomes) == [2, 3, 4]
    shop.settle()
    assert shop.receipt().total_minor == shop.paid() == 0
    stale = shop.dispute(None)
    with pytest.raises(StaleCaseError):
        shop.desk.resolve(stale, "refund", "rita", "k", version=1)


def test_units_move_both_ways_at_once(shop):
    mine = shop.dispute()
    theirs = shop.desk.open_dispute("ben", shop.receipt("v2").receipt_id, shop.line(COLA, "v2"), "not-taken")
    a, b = shop.receipt().receipt_id, shop.receipt("v2").receipt_id
    at_once(
        lambda: shop.desk.resolve(mine, "move", "rita", "k", to_receipt_id=b),
        lambda: shop.desk.resolve(theirs, "move", "sam", "k", to_receipt_id=a),
    )
    shop.settle()
    assert (shop.receipt().version, shop.receipt("v2").version) == (3, 3)
    assert (shop.paid(), shop.paid("v2")) == (250, 149)


def test_claims_queue_view_and_figures(shop):
    outcomes = at_once(*(lambda by=by: shop.desk.claim(shop.held()[0].case_id, by) for by in ("rita", "sam", "tom")))
    assert sum(isinstance(o, CaseError) for o in outcomes) == 2
    (case,) = shop.held()
    view = shop.desk.view(case.case_id)
    assert view.lines[-1].line.gtin == WATER and [p.shopper_id for p in view.others] == ["ben"]
    shop.now_ns += 60_000_000_000
    shop.desk.resolve(case.case_id, "confirm", case.claimed_by, "k")
    shop.desk.resolve(shop.dispute(), "remove", "rita", "k")
    found = figures(shop.database)
    assert (found.all.visits, found.all.held_visits, found.kinds["not-taken"].upheld) == (2, 1, 1)
    assert (found.waits.p50_s, found.waits.p95_s) == (0.0, 60.0)
    assert found.stores["shop"].tally.paid_back_minor == {"EUR": 149}
