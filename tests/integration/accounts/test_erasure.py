# SPDX-License-Identifier: AGPL-3.0-or-later
"""Forgetting a shopper on a real run: the amounts stay, the person is in no row that can be changed."""

import json

import pytest
from sqlalchemy import inspect, text

from pipeline.accounts.demo import demo_accounts
from pipeline.errors import AccountError
from pipeline.gate.tables import gate_tokens
from pipeline.payment.accounts import set_method
from pipeline.review import audit
from pipeline.site import open_site
from pipeline.web.people import shoppers_of
from tests.web_site import make_run

PERMANENT = {"ledger_entries", "audit_trail"}
"""Append-only by the database itself."""


@pytest.fixture
def site(tmp_path):
    with open_site(make_run(tmp_path)) as site:
        demo_accounts(site.accounts, shoppers_of(site))
        yield site


def rows(site) -> dict[str, list[str]]:
    """Table -> its rows as text."""
    with site.database.transaction() as db:
        tables = inspect(db).get_table_names()
        return {name: [repr(row) for row in db.execute(text(f"SELECT * FROM {name}"))] for name in tables}


def totals(site) -> list:
    with site.database.transaction() as db:
        return db.execute(text("SELECT receipt_id, version, body FROM receipts ORDER BY number")).all()


def test_the_amounts_stay_and_the_person_goes(site):
    receipt = site.desk.newest(receipt_of(site, "anna"))
    site.review.open_dispute("anna", receipt.receipt_id, None, "missing-item", "I am Anna Karenina", gtin=None)
    set_method(site.database, "anna", "cus_1", "pm_1")
    with site.database.transaction() as db:
        token = {"store_id": "tiny", "token_digest": "x", "kind": "card", "holder_id": "anna", "until_ns": None}
        db.execute(gate_tokens.insert().values(**token))
    session = site.accounts.sessions.start(site.accounts.users.by_shopper("anna").user_id, "code")
    before = [(r[0], r[1], json.loads(r[2])["total_minor"]) for r in totals(site)]

    found = site.erase_shopper("anna", by="anna")

    assert (found.visits, found.receipts, found.cases, found.account) == (1, 1, 1, True)
    assert [(r[0], r[1], json.loads(r[2])["total_minor"]) for r in totals(site)] == before
    assert site.desk.newest(receipt.receipt_id).shopper_id.startswith("erased-")
    assert site.accounts.sessions.find(session) is None and site.accounts.users.by_shopper("anna") is None
    left = {name for name, found in rows(site).items() if any("anna" in row.lower() for row in found)}
    assert left == PERMANENT
    assert "Karenina" not in str(rows(site))
    with site.database.transaction() as db:
        entries = [e for e in audit.history(db) if e.kind == "shopper-erased"]
        audit.verify(db)
    assert len(entries) == 1 and entries[0].about["receipts"] == 1 and entries[0].by.startswith("erased-")


def test_the_other_shopper_is_untouched(site):
    before = {name: [row for row in found if "ben" in row] for name, found in rows(site).items()}
    site.erase_shopper("anna", by="admin")
    assert {name: [row for row in found if "ben" in row] for name, found in rows(site).items()} == before


def test_again_finds_nothing(site):
    site.erase_shopper("anna", by="admin")
    found = site.erase_shopper("anna", by="admin")
    assert (found.visits, found.receipts, found.account) == (0, 0, False)


def test_what_is_owed_is_settled_first(site):
    with site.database.transaction() as db:
        db.execute(text("UPDATE payments SET state = 'open', open_minor = 101 WHERE shopper_id = 'anna'"))
    with pytest.raises(AccountError, match=r"open balance \(101 EUR in minor units\)"):
        site.erase_shopper("anna", by="anna")
    assert site.accounts.users.by_shopper("anna")


def test_not_while_they_are_in_the_shop(site):
    with site.database.transaction() as db:
        db.execute(text("DELETE FROM exits WHERE visit_id = (SELECT visit_id FROM receipts WHERE shopper_id = 'anna')"))
    with pytest.raises(AccountError, match="a visit is going on"):
        site.erase_shopper("anna", by="anna")


def test_somebody_who_also_works_here_stays_as_that(site):
    user = site.accounts.users.by_shopper("anna")
    with site.database.transaction() as db:
        db.execute(text("UPDATE account_users SET staff_name = 'anna.k' WHERE shopper_id = 'anna'"))
    site.accounts.staff.set_roles(user.user_id, ["reviewer"], by="test")
    site.erase_shopper("anna", by="anna")
    left = site.accounts.users.by_id(user.user_id)
    assert left.roles == {"reviewer"} and left.shopper_id is None and left.address is None


def receipt_of(site, shopper_id):
    with site.database.transaction() as db:
        found = text("SELECT receipt_id FROM receipts WHERE shopper_id = :who")
        return db.execute(found, {"who": shopper_id}).scalar()
