# SPDX-License-Identifier: AGPL-3.0-or-later
"""The shopper's pages in a real browser, with visits that are written into the log step by step."""

import json
import re
import time

import pytest
import yaml

from pipeline.passes.issuing import following
from pipeline.passes.token import PassChecker
from pipeline.web.shopper.parts import RUN_RING
from tests.scripted_shop import BREAD, COLA
from tests.web_site import make_run
from tests.web_site import served as serve
from tests.web_visits import ScriptedVisit

PROMOTIONS = {
    "currency": "EUR",
    "promotions": [
        {
            "id": "fifty",
            "text": "50 cents off",
            "kind": "amount",
            "amount_minor": 50,
            "minimum_minor": 0,
            "coupon": True,
        }
    ],
}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = make_run(tmp_path_factory.mktemp("shop"))
    (folder.parent / "recording" / "promotions.yaml").write_text(yaml.safe_dump(PROMOTIONS))
    return folder


@pytest.fixture(scope="module")
def served(run):
    with serve(run) as site:
        yield site


def rows(page):
    """(name, total, whether it is being checked) of what the cart shows, newest first."""
    return page.eval_on_selector_all(
        "[data-items] > .line:not(.leaving)",
        "all => all.map(r => [r.querySelector('[data-name]').textContent, r.querySelector('[data-total]').textContent, "
        "!r.querySelector('[data-checking]').hidden])",
    )


def sees(page, expected, timeout_s=5.0):
    """Wait until the cart shows these rows."""
    deadline = time.monotonic() + timeout_s
    while rows(page) != expected:
        assert time.monotonic() < deadline, rows(page)
        page.wait_for_timeout(30)


def receipt_id(page):
    return re.search(r"/shop/receipts/([^?/]+)", page.url)[1]


# --- the pass ---


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


# --- a visit ---


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
    while not [r for r in _all_receipts(served.site.database) if r.visit_id == visit.visit_id]:
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


def rows_of(page):
    page.goto("/shop/cart")
    return page.locator("[data-items] .name").all_inner_texts()


# --- two shoppers ---


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


# --- receipts and coupons ---


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


# --- what is wrong ---


def left_with(page, served, shopper, *gtins):
    """A visit with these, and the page of its receipt."""
    visit = ScriptedVisit(served.site, shopper)
    page.goto("/shop/cart")
    for gtin in gtins:
        visit.pick(gtin)
    visit.leave()
    page.wait_for_url("**/shop/receipts/**")
    return receipt_id(page)


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
    others = [r for r in _all_receipts(bens) if r.shopper_id == "ben"]
    assert report(others[0].receipt_id, kind="not-taken", line_id="1").status == 404
    assert report("r-nothing", kind="not-taken").status == 404
    headers = {"Authorization": f"Bearer {served.token('anna')}"}
    listed = page.request.get(f"{served.url}/api/v1/shop/disputes", headers=headers).json()
    assert listed[0]["case_id"] == first.json()["case_id"] and listed[0]["state"] in ("open", "resolved")


def _all_receipts(database):
    from pipeline.cart.tables import receipts
    from pipeline.eventlog.codec import decode

    return database.run(lambda db: [decode(row.body) for row in db.execute(receipts.select())])


# --- leaving ---


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
    kept = next(r for r in _all_receipts(site.database) if r.receipt_id == mine)
    assert kept.total_minor == 149 and kept.shopper_id != "carla"


# --- languages and everybody's use ---


def test_french(person, served):
    page = person("anna", locale="fr-FR", phone=True)
    visit = ScriptedVisit(served.site, "anna")
    page.goto("/shop/cart")
    visit.pick(COLA, sure=0.55, also=BREAD)
    page.get_by_text("Nous ne sommes pas sûrs de l’article. Ou peut-être : Bread").wait_for()
    assert page.locator("[data-total]").first.inner_text().replace("\u202f", "\xa0") == "1,49\xa0€"
    visit.leave()
    page.wait_for_url("**/shop/receipts/**")
    page.get_by_text("Pas encore débité").wait_for()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_page_can_be_used_by_everybody(person, served, scheme):
    from axe_playwright_python.sync_playwright import Axe

    served.site.desk.issue("fifty", "anna")
    visit = ScriptedVisit(served.site, "anna")
    visit.pick(COLA)
    visit.pick(BREAD, sure=0.55, also=COLA)
    page = person("anna", phone=True, color_scheme=scheme)
    page.goto("/shop/cart")
    sees(page, [["Bread", "€1.01", True], ["Cola", "€1.49", False]])
    page.wait_for_timeout(600)
    found = {}

    def look(name):
        results = Axe().run(page, options={"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa"]})
        bad = [v for v in results.response["violations"] if v["impact"] in ("serious", "critical")]
        if bad:
            found[name] = [(v["id"], [n["html"][:120] for n in v["nodes"]]) for v in bad]
        width = page.evaluate("document.documentElement.scrollWidth")
        assert width <= 390, f"{name} is {width} px wide"

    look("cart")
    visit.leave()
    page.wait_for_url("**/shop/receipts/**")
    look("receipt")
    receipt = receipt_id(page)
    for path in (
        "pass",
        "visits",
        "coupons",
        "disputes",
        f"receipts/{receipt}/wrong?line=1",
        f"receipts/{receipt}/wrong",
    ):
        page.goto(f"/shop/{path}")
        look(path)
    assert found == {}


def test_pages_are_small(person, served):
    page = person("anna", phone=True)
    sizes = {}
    page.on(
        "response",
        lambda a: "pictures" not in a.url and sizes.__setitem__(a.url, int(a.headers.get("content-length", 0))),
    )
    for path in ("/shop/pass", "/shop/cart", "/shop/visits"):
        sizes.clear()
        page.goto(path)
        page.wait_for_timeout(200)
        assert sum(sizes.values()) < 150_000, (path, sizes)


def test_ids_that_no_database_knows_are_refused(person, served):
    page = person("anna")
    headers = {"Authorization": f"Bearer {served.token('anna')}"}
    for path in ("shop/receipts/a%00b", "api/v1/shop/receipts/a%00b", "shop/receipts/" + "x" * 300):
        assert page.request.get(f"{served.url}/{path}", headers=headers).status == 422, path
    for path, body in (("coupons/a%00b/code", {}), ("coupons/x/give", {"to": "a\0b@example.org"})):
        answer = page.request.post(f"{served.url}/api/v1/shop/{path}", data=body, headers=headers)
        assert answer.status == 422, path
