# SPDX-License-Identifier: AGPL-3.0-or-later
"""A real browser that goes through all pages of a site: for screenshots, and for the tests that look at every page.

Playwright drives Debian's Chromium (`apt-get install chromium`); both belong to the extra `dev`.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from fastapi import FastAPI
from starlette.routing import Match

from pipeline.errors import WalkoutError

DESKTOP, PHONE = {"width": 1280, "height": 800}, {"width": 390, "height": 844}
_ARGUMENTS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
]  # fmt: skip
_MOST = 60


@dataclass(frozen=True)
class Found:
    """A page: the route that makes it, and one address of it."""

    route: str
    path: str

    @property
    def name(self) -> str:
        """For file names."""
        return self.route.strip("/").replace("/", "-").replace("{", "").replace("}", "").replace(":path", "") or "start"


def missing() -> str | None:
    """Why there can be no browser here; None when there can."""
    try:
        import playwright.sync_api  # noqa: F401
    except ModuleNotFoundError:
        return "needs Playwright: pip install 'walkout[dev]'"
    return None if shutil.which("chromium") else "needs a browser: apt-get install chromium"


@contextmanager
def open_browser() -> Iterator[Any]:
    """Playwright's `Browser`. `WalkoutError` where there can be none."""
    if problem := missing():
        raise WalkoutError(problem)
    from playwright.sync_api import sync_playwright

    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=shutil.which("chromium"), args=_ARGUMENTS)
        try:
            yield browser
        finally:
            browser.close()


def context_options(url: str, *, phone: bool = False, **more: Any) -> dict[str, Any]:
    """For `browser.new_context`."""
    size = {"viewport": PHONE, "has_touch": True, "is_mobile": True} if phone else {"viewport": DESKTOP}
    return {"base_url": url, "locale": "en-GB", **size, **more}


def pages_of(app: FastAPI, page: Any, start: str = "/") -> list[Found]:
    """One address of each route whose page can be reached by links from `start`, in the order in which they are met.

    `page`: a Playwright page that is signed in, or not.
    """
    waiting, seen, found = [start], set(), []
    while waiting and len(found) < _MOST:
        path = waiting.pop(0)
        route = _route(app, path)
        if route is None or route in seen:
            continue
        answer = page.request.get(path)  # what is no page (a file to save) would stop the browser
        if "text/html" not in answer.headers.get("content-type", ""):
            seen.add(route)
            continue
        page.goto(path)
        here = _path(page.url)
        seen |= {route, _route(app, here)}
        if not any(one.path == here for one in found):
            found.append(Found(_route(app, here) or route, here))
        links = page.eval_on_selector_all("a[href]", "all => all.map(a => a.href)")
        waiting += [_path(link) for link in links if link.startswith(_origin(page.url))]
    return found


def _route(app: FastAPI, path: str) -> str | None:
    """The template of the GET route that answers a path, e.g. /review/cases/{case_id}; None for files."""
    scope = {"type": "http", "method": "GET", "path": path.partition("?")[0], "root_path": "", "headers": []}
    for route in _routes(app.routes):
        if route.matches(scope)[0] is Match.FULL:
            return None if route.path.startswith(("/static", "/api")) else route.path
    return None


def _routes(routes: Iterable[Any]) -> Iterator[Any]:
    """FastAPI keeps included routers as they are in newer versions, and copies their routes in older ones."""
    for route in routes:
        if (inner := getattr(route, "original_router", None)) is not None:
            yield from _routes(inner.routes)
        else:
            yield route


def _path(url: str) -> str:
    parts = urlsplit(url)
    return parts.path + (f"?{parts.query}" if parts.query else "")


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"
