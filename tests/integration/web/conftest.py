# SPDX-License-Identifier: AGPL-3.0-or-later
"""A browser (Debian's Chromium through Playwright) and the pages of a small run.

`served` is one run for a whole module; `person("reviewer")` is a page of a browser that is signed in as staff of that
name or as a shopper (`person("anna")`), at phone size with `phone=True`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import expect

from pipeline.web.browsing import context_options, missing, open_browser
from tests.web_site import Served, make_run
from tests.web_site import served as serve

expect.set_options(timeout=30_000)
"""A browser, a server and a running shop share a machine of two cores."""


@pytest.fixture(scope="session")
def browser() -> Iterator:
    if problem := missing():
        pytest.skip(problem)
    with open_browser() as browser:
        yield browser


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
        context = browser.new_context(**context_options(served.url, phone=phone, **options))
        context.set_default_timeout(30_000)
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
