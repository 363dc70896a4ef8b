# SPDX-License-Identifier: AGPL-3.0-or-later
"""The shopper's pages and API: pass, live cart, receipts, disputes, coupons, leaving. No rule lives here."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import APIRouter, FastAPI

from pipeline.site import Site
from pipeline.web.render import N_, NavItem
from pipeline.web.shopper.api import api_router
from pipeline.web.shopper.coupon_pages import coupon_router
from pipeline.web.shopper.leaving_pages import leaving_router
from pipeline.web.shopper.pages import page_router
from pipeline.web.shopper.parts import Shopping
from pipeline.web.shopper.receipt_pages import receipt_router

NAV = (NavItem("/shop", N_("Shop"), "shopper"),)
UPLOADS: dict[str, int] = {}


def router(site: Site) -> APIRouter:
    shopping = Shopping(site)

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        try:
            yield
        finally:
            shopping.close()

    router = APIRouter(lifespan=lifespan)
    for part in (page_router, receipt_router, coupon_router, leaving_router, api_router):
        router.include_router(part(shopping))
    return router
