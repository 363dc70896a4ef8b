# SPDX-License-Identifier: AGPL-3.0-or-later
"""The operator's pages and API."""

from typing import Annotated

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response

from pipeline.web.render import N_, NavItem, page
from pipeline.web.security import Viewer, viewer
from pipeline.web.site import Site

NAV = (NavItem("/floor", N_("Floor"), "operator"),)
UPLOADS: dict[str, int] = {}


def router(site: Site) -> APIRouter:
    router = APIRouter()

    @router.get("/floor", include_in_schema=False)
    def home(request: Request, who: Annotated[Viewer, Depends(viewer("operator"))]) -> Response:
        return page(request, "operator/home.html")

    return router
