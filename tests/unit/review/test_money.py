# SPDX-License-Identifier: AGPL-3.0-or-later
"""Whatever reviewers decide in whatever order: once the desks have stepped, each shopper has paid the total of their
receipt, the ledger balances, and the audit trail holds."""

import shutil
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from pipeline.errors import CaseError, CorrectionError
from pipeline.review import audit
from pipeline.review.model import ACTIONS, DISPUTE_KINDS
from tests.unit.cart.events import BREAD, COLA, WATER, pick, put_back, visit
from tests.unit.cart.test_promotions import book
from tests.unit.review.shop import ANNA, BEN, Shop

THREE = {"id": "3for2", "text": "3 for 2", "kind": "n-for-m", "buy": 3, "pay": 2, "gtins": [COLA]}
CARLA = visit(
    *(pick(k, person="t3", event_id=f"c{k}") for k in (1, 2, 3)), put_back(4, WATER, person="t3", event_id="c4"),
    pick(5, {BREAD: 0.5, COLA: 0.4}, person="t3", event_id="c5"), track="t3", shopper="carla", visit_id="v3",
)  # fmt: skip
"""Three colas for two, a note, and something that may be bread."""
VISITS = {"v1": "anna", "v2": "ben", "v3": "carla"}
GTINS = st.sampled_from([COLA, BREAD, WATER])

OPEN = st.fixed_dictionaries(
    {"visit": st.sampled_from(sorted(VISITS)), "line": st.none() | st.integers(1, 4),
     "kind": st.sampled_from(DISPUTE_KINDS), "gtin": GTINS, "quantity": st.integers(1, 3)}
)  # fmt: skip
DECIDE = st.fixed_dictionaries(
    {"number": st.integers(0, 9), "action": st.sampled_from(ACTIONS), "gtin": GTINS, "quantity": st.integers(1, 4),
     "amount": st.none() | st.integers(1, 400), "line": st.none() | st.integers(1, 4),
     "to": st.sampled_from(sorted(VISITS)), "by": st.sampled_from(["rita", "sam"]), "clicks": st.integers(1, 2)}
)  # fmt: skip
STEPS = st.lists(st.one_of(OPEN, DECIDE, DECIDE, st.just("settle")), min_size=3, max_size=9)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("shop")
    shop = Shop(folder, prices=book(THREE))
    shop.tell(ANNA, BEN, CARLA)
    shop.close()
    return folder


def do(shop: Shop, step: dict, number: int) -> None:
    if "kind" in step:
        visit_id = step["visit"]
        line = str(step["line"]) if step["line"] else None
        shop.desk.open_dispute(
            VISITS[visit_id], shop.receipt(visit_id).receipt_id, line, step["kind"], "", step["gtin"], step["quantity"]
        )
        return
    waiting = shop.desk.queue()
    if waiting:
        case = waiting[step["number"] % len(waiting)]
        given = {"gtin": step["gtin"], "quantity": step["quantity"], "amount_minor": step["amount"]}
        given |= {"to_receipt_id": shop.receipt(step["to"]).receipt_id}
        given |= {"line_id": str(step["line"]) if step["line"] and case.line_id is None else None}
        for _ in range(step["clicks"]):
            shop.desk.resolve(case.case_id, step["action"], step["by"], f"k{number}", **given)


def state(shop: Shop):
    return [r.event_id for r in shop.aggregator.receipts()], [(c.case_id, c.state) for c in shop.desk.queue()]


@given(STEPS)
@settings(
    max_examples=10, deadline=None, suppress_health_check=list(HealthCheck),
    phases=[Phase.explicit, Phase.reuse, Phase.generate],  # shrinking takes longer than reading the steps
)  # fmt: skip
def test_paid_is_what_the_receipt_says(finished, steps):
    folder = Path(tempfile.mkdtemp(prefix="walkout-review-"))
    shutil.copytree(finished, folder, dirs_exist_ok=True)
    shop = Shop(folder, prices=book(THREE))
    try:
        for number, step in enumerate(steps):
            if step == "settle":
                shop.settle()
                continue
            before = state(shop)
            try:
                do(shop, step, number)
            except (CaseError, CorrectionError):
                assert state(shop) == before, "what is refused changes nothing"
        shop.settle()
        shop.settle()  # units that were moved: the other receipt's cases, too
        totals = {v: shop.receipt(v).total_minor for v in VISITS}
        assert {v: shop.paid(v) for v in VISITS} == totals
        books = shop.books()
        assert "receivable" not in books and "refunds" not in books
        assert books.get("provider-clearing", 0) == sum(totals.values())
        assert -sum(a for name, a in books.items() if name.startswith(("revenue", "tax"))) == sum(totals.values())
        receipts = shop.aggregator.receipts()
        for visit_id in VISITS:
            versions = [r.version for r in receipts if r.visit_id == visit_id]
            assert versions == list(range(1, len(versions) + 1))
        held = {
            (r.receipt_id, x.line_id) for v in VISITS for r in [shop.receipt(v)] for x in r.lines if x.status == "held"
        }
        asked = {(c.receipt_id, c.line_id) for c in shop.desk.queue(origin="held") if c.line_id}
        assert asked == held, "every held line waits for somebody, and nothing else does"
        shop.database.run(audit.verify)
        told = shop.told()
        opened = [m.case_id for m in told if m.type == "dispute-opened"]
        resolved = [m.case_id for m in told if m.type == "dispute-resolved"]
        assert len(opened) == len(set(opened)) and len(resolved) == len(set(resolved))
        assert set(resolved) == {c.case_id for c in shop.desk.resolved()}
    finally:
        shop.close()
        shutil.rmtree(folder, ignore_errors=True)
