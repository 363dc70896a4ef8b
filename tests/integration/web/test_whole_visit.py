# SPDX-License-Identifier: AGPL-3.0-or-later
"""One visit through all hands: signing in, pass, cart, receipt, dispute, decision, money back, and being forgotten."""

import time

from sqlalchemy import text

from pipeline.payment.accounts import list_payments
from pipeline.review import audit
from tests.scripted_shop import BREAD, COLA
from tests.waiting import until
from tests.web_visits import ScriptedVisit


def refunds(served, visit_id):
    found = [p for p in list_payments(served.site.database) if p["visit_id"] == visit_id]
    return [(c["amount_minor"], c["state"]) for p in found for c in p["calls"] if c["kind"] == "refund"]


def test_from_the_pass_to_the_refund(person, served):
    phone, desk = person(None, phone=True), person(None)
    for page in (phone, desk):
        page.set_default_timeout(40_000)

    # Somebody new signs in and has a pass.
    phone.goto("/")
    phone.get_by_label("Mail address").fill("dora@example.org")
    phone.get_by_role("button", name="Send me a code").click()
    phone.get_by_label("Code", exact=True).fill(phone.locator("[data-code]").inner_text())
    phone.get_by_role("button", name="Sign in").click()
    phone.wait_for_url("**/shop/pass")
    dora = served.site.accounts.users.by_address("dora@example.org")

    # They take bread and cola, and leave.
    visit = ScriptedVisit(served.site, dora.shopper_id)
    phone.goto("/shop/cart")
    visit.pick(COLA)
    visit.pick(BREAD)
    phone.get_by_text("Cola").first.wait_for()
    visit.leave()
    phone.wait_for_url("**/shop/receipts/**")
    assert phone.locator(".head-sum .sum").inner_text() == "€2.50"
    receipt = phone.url.partition("?")[0]

    # "I didn't take this."
    phone.get_by_role("link", name="Something wrong with Cola?").click()
    phone.get_by_label("I didn't take this").check()
    phone.get_by_role("button", name="Send").click()
    phone.get_by_text("you see the answer here").wait_for()

    # The reviewer finds it in the queue and takes it off, by keyboard.
    desk.goto("/review")
    desk.get_by_role("link", name="Staff sign in").click()
    desk.get_by_label("Name").fill("reviewer")
    desk.get_by_label("Password").fill(served.passwords["reviewer"])
    desk.keyboard.press("Enter")
    desk.wait_for_url("**/review")
    (case,) = served.site.review.disputes_of(dora.shopper_id)
    desk.locator(f"a[href='/review/cases/{case.case_id}']").first.click()
    desk.wait_for_url(f"**/review/cases/{case.case_id}")
    desk.keyboard.press("r")
    desk.keyboard.press("Enter")
    desk.wait_for_url("**?done=**")

    # The money goes back, once, and the shopper sees it.
    until(lambda: refunds(served, visit.visit_id) == [(149, "approved")], "the refund")
    phone.goto(receipt)
    assert "Paid back to you: €1.49" in phone.locator(".corrected").inner_text()
    assert phone.locator(".head-sum .sum").inner_text() == "€1.01"
    time.sleep(1.5)
    assert refunds(served, visit.visit_id) == [(149, "approved")]

    # Who did what is in the trail; then the shopper is forgotten.
    with served.site.database.transaction() as db:
        audit.verify(db)
        told = [(entry.kind, entry.by) for entry in audit.history(db, case_id=case.case_id)]
    assert told[0][1] == dora.shopper_id and told[-1][1] == "reviewer"
    served.site.erase_shopper(dora.shopper_id, by=dora.shopper_id)
    phone.goto(receipt)
    assert "/sign-in" in phone.url
    with served.site.database.transaction() as db:
        rows = db.execute(text("SELECT shopper_id FROM receipts WHERE visit_id = :v"), {"v": visit.visit_id}).scalars()
        assert all(who.startswith("erased-") for who in rows)
    assert phone.problems == [] and desk.problems == []
