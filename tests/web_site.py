# SPDX-License-Identifier: AGPL-3.0-or-later
"""Pages of a small real run, served on loopback, for browser tests and for tests of the API."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import uvicorn

from pipeline import runtime
from pipeline.accounts import AccountSettings
from pipeline.accounts.demo import demo_accounts
from pipeline.web.serving import shoppers_of
from pipeline.web.site import Site, open_site
from pipeline.web.site_app import site_app
from tests.scripted_shop import stages, write_recording

FAST = {"sign_in_per_client": "10000/minute", "sign_in_per_account": "10000/minute"}


def make_run(folder: Path, *visitors) -> Path:
    """A run of the scripted shop: anna has a receipt, ben has one with a line that is held for review."""
    recording = write_recording(folder / "recording", visitors) if visitors else write_recording(folder / "recording")
    runtime.run(recording, folder / "run", video=False, progress=False, stages=stages(*visitors))
    return folder / "run"


class Served:
    """`url` of the pages of `site`; `tokens`: role or shopper id -> a session's token."""

    def __init__(self, site: Site, url: str) -> None:
        self.site, self.url = site, url
        self.shoppers = shoppers_of(site)
        self.passwords = {one.name: one.password for one in demo_accounts(site.accounts, self.shoppers)}

    def token(self, who: str) -> str:
        """Of a new session: `who` is a staff name (reviewer, operator, admin) or a shopper id."""
        users = self.site.accounts.users
        user = users.by_staff_name(who) or users.by_shopper(who)
        assert user is not None, who
        return self.site.accounts.sessions.start(user.user_id, "command")

    def cookie(self, who: str) -> dict:
        """For Playwright's `context.add_cookies`."""
        return {"name": "walkout-session", "value": self.token(who), "url": self.url}


@contextmanager
def served(folder: Path, **settings) -> Iterator[Served]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    accounts = AccountSettings(**{"public_url": url, "sender": "development", **FAST, **settings})
    with open_site(folder, accounts=accounts) as site:
        server = uvicorn.Server(uvicorn.Config(site_app(site), port=port, log_level="warning"))
        thread = threading.Thread(target=server.run, daemon=True)
        thread.start()
        while not server.started:
            assert thread.is_alive()
            time.sleep(0.02)
        try:
            yield Served(site, url)
        finally:
            server.should_exit = True
            thread.join(timeout=10)
