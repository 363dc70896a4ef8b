# SPDX-License-Identifier: AGPL-3.0-or-later
"""A shopper's pass and live cart in a real browser, with visits that are written into the log step by step."""

import time

import pytest

from pipeline.passes.issuing import following
from pipeline.passes.token import PassChecker
from pipeline.web.shopper.parts import RUN_RING
from tests.scripted_shop import BREAD, COLA
from tests.shopper_site import all_receipts, rows_of, sees, shopper_run
from tests.web_visits import ScriptedVisit


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return shopper_run(tmp_path_factory)


def test_the_pass_is_one_that_a_gate_believes_and_renews_itself(person, served, run):
    page = person("anna", phone=True)
    page.set_default_timeout(60_000)  # the first page of the module: browser, log and templates are all cold
    page.clock.install()
    page.goto("/shop")
    assert page.url.endswith("/shop/pass") and page.locator("[data-qr] svg").is_visible()
    checker = PassChecker(following(run / RUN_RING), "tiny")
    first = page.locator("[data-qr]").inner_html()
    with page.expect_response("**/api/v1/shop/passes") as renewed:
        page.clock.run_for(21_000)
    page.wait_for_function("before => document.querySelector('[data-qr]').innerHTML !== before", arg=first)
    shown = checker.check(renewed.value.json()["token"], time.time())
    assert (shown.shopper_id, shown.admits, shown.brings) == ("anna", 1, False)
    with page.expect_response("**/api/v1/shop/passes") as larger:
        page.get_by_label("3 people").click()
    assert checker.check(larger.value.json()["token"], time.time()).admits == 3
    assert not page.problems


def test_the_pass_is_black_on_white_in_the_dark_and_large_on_request(person):
    page = person("anna", phone=True, color_scheme="dark")
    page.goto("/shop/pass")
    colour = "e => getComputedStyle(e).backgroundColor"
    assert page.eval_on_selector(".pass", colour) == "rgb(255, 255, 255)" != page.eval_on_selector("body", colour)
    page.get_by_role("button", name="Press to show it large").click()
    box = page.locator("[data-qr-large] svg").bounding_box()
    assert box["width"] > 0.9 * 390
    page.keyboard.press("Escape")
    assert not page.locator("#large-pass").is_visible()


def test_without_scripts_the_page_brings_a_new_pass(person):
    page = person("anna", java_script_enabled=False)
    page.goto("/shop/pass?people=2")
    assert page.locator("meta[http-equiv=refresh]").get_attribute("content") == "20"
    first = page.locator("[data-qr]").inner_html()
    page.reload()
    assert page.locator("[data-qr]").inner_html() != first


def test_a_pass_that_cannot_be_renewed_says_so(person):
    page = person("anna", phone=True)
    page.clock.install()
    page.goto("/shop/pass")
    page.route("**/api/v1/shop/passes", lambda route: route.abort())
    page.clock.run_for(40_000)
    page.get_by_text("this pass may be too old").wait_for()


def test_a_whole_visit_from_pass_to_receipt(person, served):
    page = person("anna", phone=True)
    page.goto("/shop/pass")
    page.wait_for_timeout(300)
    visit = ScriptedVisit(served.site, "anna")
    page.wait_for_url("**/shop/cart")  # the page moves on by itself when the gate opened
    page.get_by_text("Nothing yet").wait_for()
    visit.pick(COLA)
    sees(page, [["Cola", "€1.49", False]])
    visit.pick(BREAD)
    visit.pick(COLA)
    sees(page, [["Bread", "€1.01", False], ["Cola", "€2.98", False]])
    assert page.locator("[data-sum]").inner_text() == "€3.99"
    visit.put_back(BREAD)
    sees(page, [["Cola", "€2.98", False]])
    visit.pick(BREAD, sure=0.55, also=COLA)
    sees(page, [["Bread", "€1.01", True], ["Cola", "€2.98", False]])
    why = page.locator(".line.checking [data-why]").inner_text()
    assert why == "We are not sure which product it is. Or perhaps: Cola"
    assert page.locator("[data-sum]").inner_text() == "€2.98"
    assert page.locator("[data-checking-sum]").inner_text() == "€1.01"
    said = page.locator("[data-said]")
    page.wait_for_timeout(500)
    assert "Bread is being checked." in said.inner_text()
    visit.leave()
    page.wait_for_url("**/shop/receipts/**")
    assert page.locator(".head-sum .sum").inner_text() == "€2.98"
    page.get_by_text("Paid", exact=True).first.wait_for()
    held = page.locator(".held .line")
    assert held.count() == 1 and "Bread" in held.inner_text()
    assert not page.problems


def test_what_was_missed_while_the_phone_was_away_comes(person, served):
    page = person("ben", phone=True)
    visit = ScriptedVisit(served.site, "ben")
    page.goto("/shop/cart")
    visit.pick(COLA)
    sees(page, [["Cola", "€1.49", False]])
    page.context.set_offline(True)
    visit.pick(BREAD)
    visit.put_back(COLA)
    page.wait_for_timeout(500)
    page.context.set_offline(False)
    sees(page, [["Bread", "€1.01", False]], 15)
    visit.leave()
    page.wait_for_url("**/shop/receipts/**", timeout=15_000)


def test_a_party_sees_who_took_what(person, served):
    page = person("anna", phone=True)
    visit = ScriptedVisit(served.site, "anna", party_size=2)
    page.goto("/shop/cart")
    visit.pick(COLA, member=2)
    page.locator("[data-person]", has_text="Person 2").wait_for()
    page.goto("/shop/pass")
    page.get_by_role("heading", name="Bring a friend in").wait_for()
    visit.leave()
    while not [r for r in all_receipts(served.site.database) if r.visit_id == visit.visit_id]:
        page.wait_for_timeout(50)
    page.goto("/shop/cart")
    page.get_by_role("link", name="See the receipt").click()  # came back when it was all over
    page.get_by_role("heading", name="Person 2").wait_for()


def test_without_scripts_the_cart_is_there_too(person, served):
    visit = ScriptedVisit(served.site, "anna")
    visit.pick(COLA)
    page = person("anna", java_script_enabled=False)
    deadline = time.monotonic() + 5
    while rows_of(page) != ["Cola"] and time.monotonic() < deadline:
        page.wait_for_timeout(100)
    assert rows_of(page) == ["Cola"] and page.locator("meta[http-equiv=refresh]").count()
    visit.leave()
