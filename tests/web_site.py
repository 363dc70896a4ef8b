# SPDX-License-Identifier: AGPL-3.0-or-later
"""Pages of a small real run, served on loopback, for browser tests and for tests of the API."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from fastapi import FastAPI

from pipeline import runtime
from pipeline.accounts.demo import demo_accounts
from pipeline.site import Site
from pipeline.web.people import shoppers_of
from pipeline.web.screenshots import serving
from pipeline.web.security import SESSION
from tests.scripted_shop import stages, write_recording

FAST = {
    "sign_in_per_client": "10000/minute",
    "sign_in_per_account": "10000/minute",
    "passes_per_shopper": "10000/minute",
}


def make_run(folder: Path, *visitors) -> Path:
    """A run of the scripted shop: anna has a receipt, ben has one with a line that is held for review."""
    recording = write_recording(folder / "recording", visitors) if visitors else write_recording(folder / "recording")
    runtime.run(recording, folder / "run", video=False, progress=False, stages=stages(*visitors))
    return folder / "run"


class Served:
    """`url` of the pages of `site`; `tokens`: role or shopper id -> a session's token."""

    def __init__(self, site: Site, url: str, app: FastAPI) -> None:
        self.site, self.url, self.app = site, url, app
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
        return {"name": SESSION, "value": self.token(who), "url": self.url}


@contextmanager
def served(folder: Path, around=None, **settings) -> Iterator[Served]:
    with serving(folder, around=around, **{**FAST, **settings}) as (site, url, app):
        yield Served(site, url, app)
