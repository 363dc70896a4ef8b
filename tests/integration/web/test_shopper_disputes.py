# SPDX-License-Identifier: AGPL-3.0-or-later
"""A shopper says what is wrong with a receipt, or leaves, in a real browser."""

import pytest

from tests.scripted_shop import BREAD, COLA
from tests.shopper_site import all_receipts, left_with, receipt_id, sees, shopper_run
from tests.web_visits import ScriptedVisit


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return shopper_run(tmp_path_factory)


def test_a_line_is_disputed_and_the_answer_is_seen(person, served):
    page = person("anna", phone=True)
    mine = left_with(page, served, "anna", COLA, BREAD)
    page.get_by_role("link", name="Something wrong with Cola?").click()
    page.get_by_role("button", name="Send").click()
    assert "/wrong" in page.url  # nothing was chosen: the browser says so
    page.get_by_label("It is another product").check()
    page.get_by_label("Which product was it?").select_option(label="Bread")
    page.get_by_label("I put it back").check()
    assert not page.get_by_label("Which product was it?").is_visible()
    page.get_by_label("Anything that helps us?").fill("On the shelf <b>beside</b>")
    page.get_by_role("button", name="Send").click()
    page.get_by_text("Somebody looks at it, and you see the answer here").wait_for()
    line = page.locator(".line", has_text="Cola")
    assert line.get_by_text("Being looked at").is_visible() and not line.get_by_text("Something wrong?").count()
    case = served.site.review.disputes_of("anna", mine)[0]
    assert (case.kind, case.claimed_gtin, case.text) == ("put-back", None, "On the shelf <b>beside</b>")
    page.goto("/shop/disputes")
    page.get_by_text("“On the shelf <b>beside</b>”").wait_for()
    served.site.review.resolve(case.case_id, "remove", "reviewer", "key-1", reason="Seen on the film.")
    page.reload()
    page.get_by_text("You were right").first.wait_for()
    page.goto(f"/shop/receipts/{mine}")
    assert page.locator(".head-sum .sum").inner_text() == "€1.01"
    assert "Paid back to you: €1.49" in page.locator(".corrected").inner_text()


def test_something_that_is_not_on_the_receipt_and_a_second_try(person, served):
    page = person("ben", phone=True)
    mine = left_with(page, served, "ben", COLA)
    for _ in range(2):  # the same twice is one
        page.get_by_role("link", name="I took something that isn't here").click()
        assert page.get_by_label("I took something that isn't here").is_checked()
        page.get_by_label("Which product was it?").select_option(label="Bread")
        page.get_by_label("How many?").fill("2")
        page.get_by_role("button", name="Send").click()
        page.get_by_text("you see the answer here").wait_for()
    (case,) = served.site.review.disputes_of("ben", mine)
    assert (case.kind, case.claimed_gtin, case.claimed_quantity, case.line_id) == ("missing-item", BREAD, 2, None)
    page.locator(".case", has_text="I took something that isn't here").wait_for()


def test_a_dispute_by_the_api(person, served):
    page = person("anna")
    mine = left_with(page, served, "anna", COLA)

    def report(receipt, **wanted):
        headers = {"Authorization": f"Bearer {served.token('anna')}"}
        return page.request.post(f"{served.url}/api/v1/shop/receipts/{receipt}/disputes", data=wanted, headers=headers)

    first = report(mine, kind="wrong-price", line_id="1")
    assert first.status == 201 and first.json() == report(mine, kind="wrong-price", line_id="1").json()
    assert report(mine, kind="too-cold", line_id="1").status == 409
    assert report(mine, kind="not-taken", line_id="77").status == 404
    bens = served.site.database
    others = [r for r in all_receipts(bens) if r.shopper_id == "ben"]
    assert report(others[0].receipt_id, kind="not-taken", line_id="1").status == 404
    assert report("r-nothing", kind="not-taken").status == 404
    headers = {"Authorization": f"Bearer {served.token('anna')}"}
    listed = page.request.get(f"{served.url}/api/v1/shop/disputes", headers=headers).json()
    assert listed[0]["case_id"] == first.json()["case_id"] and listed[0]["state"] in ("open", "resolved")


def test_delete_my_data(person, served):
    site = served.site
    site.accounts.users.shopper("carla@example.org", "carla", "Carla")
    page, other = person("carla", phone=True), person("carla")
    visit = ScriptedVisit(site, "carla")
    visit.pick(COLA)
    page.goto("/shop/cart")
    sees(page, [["Cola", "€1.49", False]])
    page.goto("/shop/delete")
    page.get_by_text("Your data can be deleted when you have left").wait_for()
    page.goto("/shop/cart")
    visit.leave()
    page.wait_for_url("**/shop/receipts/**")
    mine = receipt_id(page)
    page.get_by_text("Paid", exact=True).first.wait_for()
    page.goto("/shop/visits")
    page.get_by_role("link", name="Delete my data").click()
    page.get_by_text("What stays, and why").wait_for()
    page.get_by_role("button", name="Delete for ever").click()
    assert page.url.endswith("/shop/delete") and site.accounts.users.by_shopper("carla")  # the box was not ticked
    page.get_by_label("I am sure").check()
    page.get_by_role("button", name="Delete for ever").click()
    page.get_by_role("heading", name="Your data is deleted").wait_for()
    for gone in (page, other):
        gone.goto("/shop/visits")
        assert "/sign-in" in gone.url
    assert site.accounts.users.by_shopper("carla") is None
    kept = next(r for r in all_receipts(site.database) if r.receipt_id == mine)
    assert kept.total_minor == 149 and kept.shopper_id != "carla"
