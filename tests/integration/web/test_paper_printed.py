# SPDX-License-Identifier: AGPL-3.0-or-later
"""A receipt on paper: what a browser makes of it when it is printed or saved as PDF."""

import re

import pytest

from pipeline.cart.paper import PaperSettings, html_of
from tests.unit.cart.events import BREAD, COLA, pick
from tests.unit.cart.test_prices import bill
from tests.unit.cart.test_promotions import TENTH, THREE_FOR_TWO, book

SHOP = PaperSettings(store_name="Épicerie du Canal", address=("12 quai de Jemmapes", "75010 Paris"), locale="fr_FR")
MM_PX = 96 / 25.4


@pytest.fixture
def printed(browser):
    """The page as it is laid out for paper, and its PDF (A4)."""
    context = browser.new_context(viewport={"width": round(180 * MM_PX), "height": round(267 * MM_PX)})

    def printed(receipt):
        page = context.new_page()
        page.set_content(html_of(receipt, SHOP))
        page.emulate_media(media="print")
        return page, page.pdf(format="A4", prefer_css_page_size=True)

    yield printed
    context.close()


def pages(pdf: bytes) -> int:
    return len(re.findall(rb"/Type\s*/Page\b", pdf))


def small(*events):
    return bill(book(THREE_FOR_TWO, TENTH), *events)


def test_a_receipt_is_one_page_of_paper_without_the_screens_colours(printed):
    page, pdf = printed(small(pick(1, quantity=3), pick(2, BREAD), pick(3, COLA, sure=0.6)))
    assert pdf.startswith(b"%PDF-") and pages(pdf) == 1
    style = "e => [getComputedStyle(e).backgroundColor, getComputedStyle(e).boxShadow]"
    assert page.eval_on_selector("body", style)[0] == "rgba(0, 0, 0, 0)"  # paper is white by itself
    assert page.eval_on_selector("main", style)[1] == "none"
    wide = page.eval_on_selector("main", "e => e.getBoundingClientRect().width")
    assert wide <= 110 * MM_PX + 1
    overflows = "() => [...document.querySelectorAll('td, th')].filter(e => e.scrollWidth > e.clientWidth + 1).length"
    assert page.evaluate(overflows) == 0


def test_a_long_receipt_goes_on_on_further_pages_and_breaks_between_items_only(printed):
    events = [pick(n, COLA if n % 2 else BREAD, sure=0.95 - 0.6 * (n % 3 == 0), event_id=f"e{n}") for n in range(1, 90)]
    receipt = small(*events)
    lines = tuple(
        line.model_copy(update={"line_id": f"{line.line_id}-{k}", "name": f"{line.name}, shelf {k}"})
        for line in receipt.lines
        for k in range(40)
    )
    page, pdf = printed(receipt.model_copy(update={"lines": lines}))
    assert pages(pdf) >= 3
    kept = "es => es.every(e => getComputedStyle(e).breakInside === 'avoid')"
    assert page.eval_on_selector_all("tbody.item", kept)
    assert page.eval_on_selector("thead", "e => getComputedStyle(e).display") == "table-header-group"  # on each page
