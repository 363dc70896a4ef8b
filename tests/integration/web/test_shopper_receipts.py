# SPDX-License-Identifier: AGPL-3.0-or-later
"""A shopper's receipts and coupons in a real browser, and that they are nobody else's."""

import json

import pytest

from tests.scripted_shop import BREAD, COLA
from tests.shopper_site import receipt_id, rows, sees, shopper_run
from tests.web_visits import ScriptedVisit


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return shopper_run(tmp_path_factory)


def test_two_shoppers_cannot_see_each_others_things(person, served):
    anna, ben = person("anna"), person("ben")
    site = served.site
    mine = site.desk.issue("fifty", "anna")
    visit = ScriptedVisit(site, "anna")
    visit.pick(COLA)
    anna.goto("/shop/cart")
    sees(anna, [["Cola", "€1.49", False]])
    ben.goto("/shop/cart")
    ben.wait_for_timeout(400)
    assert rows(ben) == [] and not ben.locator("[data-inside]").is_visible()
    visit.leave()
    anna.wait_for_url("**/shop/receipts/**")
    theirs = receipt_id(anna)

    def of(page, path, method="GET", **kwargs):
        token = page.locator('meta[name="csrf-token"]').get_attribute("content")
        headers = {"X-CSRF-Token": token, "Content-Type": "application/json"}
        return page.request.fetch(f"{served.url}{path}", method=method, headers=headers, max_redirects=0, **kwargs)

    for path in (
        f"/shop/receipts/{theirs}", f"/shop/receipts/{theirs}/wrong", f"/shop/receipts/{theirs}/receipt.html",
        f"/shop/receipts/{theirs}/receipt.json", f"/api/v1/shop/receipts/{theirs}",
    ):  # fmt: skip
        assert of(anna, path).status == 200, path
        assert of(ben, path).status == 404, path
    dispute = json.dumps({"kind": "not-taken", "line_id": "1"})
    assert of(ben, f"/api/v1/shop/receipts/{theirs}/disputes", "POST", data=dispute).status == 404
    assert theirs not in of(ben, "/shop/visits").text() and theirs not in of(ben, "/api/v1/shop/receipts").text()
    assert of(ben, "/api/v1/shop/cart").json() == {"cart": None}
    assert of(ben, f"/api/v1/shop/coupons/{mine}/code", "POST").status == 409
    give = json.dumps({"to": "ben@example.org"})
    assert of(ben, f"/api/v1/shop/coupons/{mine}/give", "POST", data=give).status == 409
    assert mine not in of(ben, "/api/v1/shop/coupons").text()
    # Ids of somebody else's visit as the place where a stream broke off give nothing of it.
    ben.goto("/shop/pass")
    first = ben.evaluate(
        """async (id) => {
          const answer = await fetch("/api/v1/shop/cart/events", {headers: {"Last-Event-ID": id}});
          const reader = answer.body.getReader();
          let text = "";
          while (!text.includes("data:")) text += new TextDecoder().decode((await reader.read()).value);
          await reader.cancel();
          return text;
        }""",
        f"x:{visit.visit_id}:1",
    )
    assert "data: null" in first


def test_nobody_gets_anything_without_signing_in_or_as_staff(person, served):
    nobody, reviewer = person(None), person("reviewer")
    for path in ("receipts", "cart", "coupons", "disputes", "cart/events"):
        assert nobody.request.get(f"{served.url}/api/v1/shop/{path}").status == 401
        assert reviewer.request.get(f"{served.url}/api/v1/shop/{path}").status == 403
    assert nobody.request.post(f"{served.url}/api/v1/shop/passes", data={}).status == 401


def test_receipts_can_be_looked_at_saved_and_printed(person, served):
    page = person("anna")
    page.goto("/shop/visits")
    page.locator(".visits a").last.click()
    page.wait_for_url("**/shop/receipts/**")
    assert page.get_by_text("Bread").is_visible() and page.get_by_text("of which tax, 5.5 %").is_visible()
    with page.expect_download() as saved:
        page.get_by_role("link", name="Download", exact=True).click()
    assert "Bread" in saved.value.path().read_text(encoding="utf-8")
    with page.expect_download() as saved:
        page.get_by_role("link", name="JSON").click()
    assert json.loads(saved.value.path().read_text())["receipt_id"] == receipt_id(page)
    page.emulate_media(media="print")
    assert not page.locator(".tabs").is_visible() and page.locator(".paper").is_visible()


def test_a_corrected_receipt_says_what_changed_and_why(person, served):
    from pipeline.cart.corrections import RemoveLine

    visit = ScriptedVisit(served.site, "anna")
    visit.pick(COLA)
    visit.pick(BREAD)
    page = person("anna")
    page.goto("/shop/cart")
    visit.leave()
    page.wait_for_url("**/shop/receipts/**")
    page.get_by_text("Paid", exact=True).first.wait_for()
    newest = served.site.desk.newest(receipt_id(page))
    line = next(x for x in newest.lines if x.gtin == COLA)
    served.site.desk.correct(
        newest, [RemoveLine(line_id=line.line_id)], by="s1", reason="The film shows it on the shelf."
    )
    page.goto(f"/shop/receipts/{newest.receipt_id}")
    corrected = page.locator(".corrected")
    assert "Paid back to you: €1.49" in corrected.inner_text() and "on the shelf" in corrected.inner_text()
    assert "Cola" in corrected.locator("li").inner_text()
    page.get_by_text("Earlier versions").click()
    assert page.get_by_text("Version 1").is_visible()


def test_a_coupon_goes_to_a_friend_and_takes_something_off(person, served):
    anna, ben = person("anna", phone=True), person("ben", phone=True)
    served.site.desk.issue("fifty", "anna")
    anna.goto("/shop/coupons")
    before = anna.locator(".ticket.free").count()
    anna.locator("summary").first.click()
    anna.get_by_role("button", name="Make a code").first.click()
    code = anna.locator("[data-gift]").inner_text()
    ben.goto("/shop/coupons")
    ben.get_by_label("Code", exact=True).fill(code)
    ben.get_by_role("button", name="Redeem").click()
    ben.locator(".ticket.free", has_text="50 cents off").wait_for()
    anna.goto("/shop/coupons")
    assert anna.locator(".ticket.free").count() == before - 1
    visit = ScriptedVisit(served.site, "ben")
    visit.pick(COLA)
    ben.goto("/shop/cart")
    sees(ben, [["Cola", "€1.49", False]])
    ben.get_by_role("button", name="Use now").first.click()
    ben.wait_for_url("**/shop/cart")
    sees(ben, [["Cola", "€0.99", False]])
    visit.leave()
    ben.wait_for_url("**/shop/receipts/**")
    assert ben.locator(".head-sum .sum").inner_text() == "€0.99"
    assert ben.get_by_text("You saved").is_visible()


def test_a_coupon_is_given_to_somebodys_address(person, served):
    anna = person("anna")
    served.site.desk.issue("fifty", "anna")
    anna.goto("/shop/coupons")
    for address, answer in (
        ("nobody@example.org", "Nobody who shops here"), ("anna@example.org", "your own address"),
        ("ben@example.org", "Given to ben@example.org"),
    ):  # fmt: skip
        if not anna.locator("details[open]").count():
            anna.locator("summary").first.click()
        anna.locator("details[open] input[type=email]").fill(address)
        anna.locator("details[open]").get_by_role("button", name="Give").click()
        anna.get_by_text(answer).wait_for()
    ben = person("ben")
    ben.goto("/shop/coupons")
    ben.get_by_label("Code", exact=True).fill("AAAAA BBBBB")
    ben.get_by_role("button", name="Redeem").click()
    ben.get_by_text("This code is not good").wait_for()
