# SPDX-License-Identifier: AGPL-3.0-or-later
"""The reviewer's pages and API: the queue, one case with its evidence, figures, the audit trail. No rule lives here."""

from typing import Annotated

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response

from pipeline.web.render import N_, NavItem, page
from pipeline.web.security import Viewer, viewer
from pipeline.web.site import Site

NAV = (NavItem("/review", N_("Review"), "reviewer"),)
UPLOADS: dict[str, int] = {}


def router(site: Site) -> APIRouter:
    router = APIRouter()

    @router.get("/review", include_in_schema=False)
    def home(request: Request, who: Annotated[Viewer, Depends(viewer("reviewer"))]) -> Response:
        return page(request, "reviewer/home.html")

    return router
