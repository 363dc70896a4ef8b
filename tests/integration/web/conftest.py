# SPDX-License-Identifier: AGPL-3.0-or-later
"""A browser (Debian's Chromium through Playwright) and the pages of a small run.

`served` is one run for a whole module; `person("reviewer")` is a page of a browser that is signed in as staff of that
name or as a shopper (`person("anna")`), at phone size with `phone=True`.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator

import pytest

from tests.web_site import Served, make_run
from tests.web_site import served as serve

DESKTOP, PHONE = {"width": 1280, "height": 800}, {"width": 390, "height": 844}
ARGUMENTS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
]  # fmt: skip


@pytest.fixture(scope="session")
def browser() -> Iterator:
    playwright = pytest.importorskip("playwright.sync_api")
    if (chromium := shutil.which("chromium")) is None:
        pytest.skip("needs a browser: apt-get install chromium")
    with playwright.sync_playwright() as play:
        browser = play.chromium.launch(executable_path=chromium, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return make_run(tmp_path_factory.mktemp("shop"))


@pytest.fixture(scope="module")
def served(run) -> Iterator[Served]:
    with serve(run) as site:
        yield site


@pytest.fixture
def person(browser, served) -> Iterator[Callable]:
    """person(WHO, phone=False, **options of the context) -> a signed-in page; WHO None: nobody is signed in."""
    contexts = []

    def make(who: str | None, *, phone: bool = False, **options):
        size = {"viewport": PHONE, "has_touch": True, "is_mobile": True} if phone else {"viewport": DESKTOP}
        context = browser.new_context(base_url=served.url, **{"locale": "en-GB", **size, **options})
        context.set_default_timeout(10_000)
        contexts.append(context)
        if who is not None:
            context.add_cookies([served.cookie(who)])
        page = context.new_page()
        page.problems = []
        page.on("pageerror", lambda error: page.problems.append(str(error)))
        page.on("console", lambda said: said.type == "error" and page.problems.append(said.text))
        return page

    yield make
    for context in contexts:
        context.close()
