# SPDX-License-Identifier: AGPL-3.0-or-later
"""Pictures of every page, for each role, on a phone and a desktop, light and dark."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from fastapi import FastAPI
from starlette.types import ASGIApp

from pipeline.accounts import AccountSettings
from pipeline.accounts.demo import STAFF, demo_accounts
from pipeline.errors import OutputError
from pipeline.site import Site, open_site
from pipeline.web.browsing import Found, context_options, open_browser, pages_of
from pipeline.web.people import shoppers_of
from pipeline.web.security import SESSION
from pipeline.web.site_app import site_app

_SETTLE_MS = 700
"""For pictures and streams that a page asks for when it is there."""


def take_screenshots(
    folder: Path, out: Path, recording: Path | None = None, locale: str = "en", told: Callable[[Path], None] = print
) -> list[Path]:
    """`OUT/ROLE-PAGE-(phone|desktop)-(light|dark).png` of all pages that links lead to, on a run or a store; shoppers'
    pages are those of the first one who has a receipt."""
    out.mkdir(parents=True, exist_ok=True)
    written = []
    with open_browser() as browser, serving(folder, recording) as (site, url, app):
        demo_accounts(site.accounts, shoppers_of(site))
        for who in (None, *shoppers_of(site)[:1], *STAFF):
            role = "nobody" if who is None else who if who in STAFF else "shopper"
            found: list[Found] | None = None
            for phone in (False, True):
                for scheme in ("light", "dark"):
                    options = context_options(url, phone=phone, color_scheme=scheme, locale=locale)
                    context = browser.new_context(**options)
                    if who is not None:
                        context.add_cookies([{"name": SESSION, "value": _token(site, who), "url": url}])
                    page = context.new_page()
                    if found is None:
                        found = pages_of(app, page, "/sign-in" if who is None else "/")
                    for one in found:
                        page.goto(one.path)
                        page.wait_for_timeout(_SETTLE_MS)
                        size = "phone" if phone else "desktop"
                        path = out / f"{role}-{one.name}-{size}-{scheme}.png"
                        page.screenshot(path=path, full_page=True)
                        written.append(path)
                        told(path)
                    context.close()
    if not written:
        raise OutputError(f"{folder}: no page could be shown")
    return written


@contextmanager
def serving(
    folder: Path, recording: Path | None = None, around: Callable[[ASGIApp], ASGIApp] | None = None, **settings
) -> Iterator[tuple[Site, str, FastAPI]]:
    """The pages of a run or a store on a free port of this machine, in a thread: (site, address, application).

    `around`: put around the application, e.g. to count what it answers. `settings`: fields of `AccountSettings`.
    """
    import uvicorn

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    accounts = AccountSettings(**{"public_url": url, "sender": "development", **settings})
    with open_site(folder, recording=recording, accounts=accounts) as site:
        app = site_app(site)
        server = uvicorn.Server(
            uvicorn.Config(around(app) if around else app, port=port, log_level="warning", timeout_graceful_shutdown=2)
        )
        thread = threading.Thread(target=server.run, daemon=True)
        thread.start()
        while thread.is_alive() and not server.started:
            time.sleep(0.02)
        try:
            yield site, url, app
        finally:
            server.should_exit = True
            thread.join(timeout=10)


def _token(site: Site, who: str) -> str:
    users = site.accounts.users
    user = users.by_staff_name(who) or users.by_shopper(who)
    return site.accounts.sessions.start(user.user_id, "command")
