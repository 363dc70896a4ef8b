# SPDX-License-Identifier: AGPL-3.0-or-later
"""What tests of the shopper's pages share: a run with a coupon, and what a page shows."""

import re
import time

import yaml

from tests.web_site import make_run
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


def shopper_run(tmp_path_factory):
    """A run with a coupon among its promotions."""
    folder = make_run(tmp_path_factory.mktemp("shop"))
    (folder.parent / "recording" / "promotions.yaml").write_text(yaml.safe_dump(PROMOTIONS))
    return folder


def rows(page):
    """(name, total, whether it is being checked) of what the cart shows, newest first."""
    return page.eval_on_selector_all(
        "[data-items] > .line:not(.leaving)",
        "all => all.map(r => [r.querySelector('[data-name]').textContent, r.querySelector('[data-total]').textContent, "
        "!r.querySelector('[data-checking]').hidden])",
    )


def sees(page, expected, timeout_s=30.0):
    """Wait until the cart shows these rows."""
    deadline = time.monotonic() + timeout_s
    while rows(page) != expected:
        assert time.monotonic() < deadline, rows(page)
        page.wait_for_timeout(30)


def receipt_id(page):
    return re.search(r"/shop/receipts/([^?/]+)", page.url)[1]


def rows_of(page):
    page.goto("/shop/cart")
    return page.locator("[data-items] .name").all_inner_texts()


def left_with(page, served, shopper, *gtins):
    """A visit with these, and the page of its receipt."""
    visit = ScriptedVisit(served.site, shopper)
    page.goto("/shop/cart")
    for gtin in gtins:
        visit.pick(gtin)
    visit.leave()
    page.wait_for_url("**/shop/receipts/**")
    return receipt_id(page)


def all_receipts(database):
    from pipeline.cart.tables import receipts
    from pipeline.eventlog.codec import decode

    return database.run(lambda db: [decode(row.body) for row in db.execute(receipts.select())])
