# SPDX-License-Identifier: AGPL-3.0-or-later
"""The shopper's pages and API: pass, live cart, receipts, disputes, coupons, leaving."""

from typing import Annotated

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response

from pipeline.web.render import N_, NavItem, page
from pipeline.web.security import Viewer, viewer
from pipeline.web.site import Site

NAV = (NavItem("/shop", N_("Shop"), "shopper"),)
UPLOADS: dict[str, int] = {}


def router(site: Site) -> APIRouter:
    router = APIRouter()

    @router.get("/shop", include_in_schema=False)
    def home(request: Request, who: Annotated[Viewer, Depends(viewer("shopper"))]) -> Response:
        return page(request, "shopper/home.html")

    return router
