# SPDX-License-Identifier: AGPL-3.0-or-later
"""A decision can be taken again: a new one, beside the old."""

from __future__ import annotations

import pytest

from pipeline.errors import CaseError
from pipeline.review import audit
from tests.unit.cart.events import COLA
from tests.unit.review.shop import ANNA, Shop


@pytest.fixture
def shop(tmp_path):
    shop = Shop(tmp_path)
    shop.tell(ANNA)
    yield shop
    shop.close()


def test_a_removed_line_is_charged_after_all_and_both_decisions_stay_in_the_books(shop) -> None:
    case_id, before = shop.dispute(), shop.receipt().total_minor
    shop.desk.resolve(case_id, "remove", "sam", "key-1")
    with pytest.raises(CaseError, match="was decided by sam: remove"):
        shop.desk.resolve(case_id, "add", "kim", "key-2", gtin=COLA)
    for _ in range(2):  # sent twice
        outcome = shop.desk.resolve(case_id, "add", "kim", "key-3", gtin=COLA, again=True)
    shop.settle()
    assert outcome.repeated and outcome.version == 3
    assert shop.receipt().total_minor == before and shop.receipt().version == 3
    case = shop.desk.read(case_id)
    assert (case.state, case.outcome, case.decided_by) == ("resolved", "add", "kim")
    assert (case.difference_minor, case.upheld) == (0, False), "nothing differs in the end"
    kinds = [e.kind for e in shop.database.run(lambda db: audit.history(db, case_id=case_id))]
    assert kinds == ["case-opened", "case-resolved", "case-reopened", "case-resolved"]
    shop.database.run(audit.verify)


def test_a_new_decision_that_cannot_be_leaves_the_old_one(shop) -> None:
    case_id = shop.dispute()
    shop.desk.resolve(case_id, "remove", "sam", "key-1")
    with pytest.raises(CaseError, match="has no line"):
        shop.desk.resolve(case_id, "refund", "kim", "key-2", again=True)
    assert shop.desk.read(case_id).state == "resolved"
    assert shop.desk.read(case_id).outcome == "remove"
