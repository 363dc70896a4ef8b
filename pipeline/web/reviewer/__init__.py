# SPDX-License-Identifier: AGPL-3.0-or-later
"""The reviewer's pages and API: the queue, one case with its evidence, figures, the audit trail. No rule lives here."""

from __future__ import annotations

from fastapi import APIRouter

from pipeline.site import Site
from pipeline.web.render import N_, NavItem
from pipeline.web.reviewer.api import api_router
from pipeline.web.reviewer.pages import pages_router
from pipeline.web.reviewer.replays import Replays

NAV = (NavItem("/review", N_("Review"), "reviewer"),)
UPLOADS: dict[str, int] = {}


def router(site: Site) -> APIRouter:
    router = APIRouter()
    replays = Replays(lambda case_id, by: site.again.replay(case_id, by))
    router.include_router(api_router(site, replays))
    router.include_router(pages_router(site, replays))
    return router
