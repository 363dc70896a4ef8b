# SPDX-License-Identifier: AGPL-3.0-or-later
"""The shopper's pages for everybody: in French, with a screen reader's rules, small, and with ids from nowhere."""

import pytest

from tests.scripted_shop import BREAD, COLA
from tests.shopper_site import receipt_id, sees, shopper_run
from tests.web_visits import ScriptedVisit


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return shopper_run(tmp_path_factory)


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
