# SPDX-License-Identifier: AGPL-3.0-or-later
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import delete, update

from pipeline.errors import StateError
from pipeline.payment import ledger
from pipeline.payment.ledger import Entry, Posting, bill_entries, move
from pipeline.payment.tables import entries, postings
from tests.unit.payment.shop import Shop, receipt

TAXES = st.lists(st.tuples(st.sampled_from(["standard", "reduced"]), st.integers(0, 10**9), st.integers(0, 10**9)))


@given(TAXES, TAXES)
def test_a_bill_s_entries_add_up_to_zero_and_undo_each_other(before, after):
    there, back = bill_entries(before, after), bill_entries(after, before)
    assert sum(e.amount_minor for e in there) == 0
    assert {e.account: -e.amount_minor for e in there} == {e.account: e.amount_minor for e in back}
    receivable = sum(e.amount_minor for e in there if e.account == "receivable")
    assert receivable == sum(n + t for _, n, t in after) - sum(n + t for _, n, t in before)


def test_a_posting_that_does_not_balance_cannot_be_made():
    with pytest.raises(ValueError, match="add up to 1 EUR"):
        Posting("k", "", "v1", None, None, "EUR", (Entry("receivable", 101), Entry("refunds", -100)))


def test_a_posting_counts_once(shop: Shop):
    posting = Posting("k", "", "v1", None, "anna", "EUR", move(100, "receivable", "refunds"))
    with shop.database.transaction() as db:
        assert [ledger.post(db, posting, 1), ledger.post(db, posting, 2)] == [True, False]
    assert shop.balances() == {("receivable", "EUR"): 100, ("refunds", "EUR"): -100}


@pytest.mark.parametrize("table", [postings, entries], ids=lambda t: t.name)
@pytest.mark.parametrize("change", ["update", "delete"])
def test_the_database_refuses_to_change_what_was_posted(shop: Shop, table, change):
    shop.tell(receipt(200))
    column = "text" if table is postings else "account"
    statement = update(table).values({column: "x"}) if change == "update" else delete(table)
    with pytest.raises(StateError, match="append-only"), shop.database.transaction() as db:
        db.execute(statement)
    assert shop.balance("provider-clearing") == 200
