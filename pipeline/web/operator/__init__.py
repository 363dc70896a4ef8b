# SPDX-License-Identifier: AGPL-3.0-or-later
"""The operator's pages and API: the floor, settings of the store, catalogue and planogram. No rule lives here."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import APIRouter, FastAPI

from pipeline.operations.csv_text import MAX_BYTES
from pipeline.site import Site
from pipeline.web.operator.floor_api import floor_router
from pipeline.web.operator.floor_pages import page_router
from pipeline.web.operator.import_pages import import_router
from pipeline.web.operator.parts import Operating
from pipeline.web.operator.settings_pages import settings_router
from pipeline.web.render import N_, NavItem

NAV = (NavItem("/floor", N_("Floor"), "operator"),)
UPLOADS = {"/api/v1/floor/imports": MAX_BYTES, "/floor/settings": 256 * 1024}


def router(site: Site) -> APIRouter:
    operating = Operating(site)

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        try:
            yield
        finally:
            operating.close()

    router = APIRouter(lifespan=lifespan)
    for part in (page_router, floor_router, settings_router, import_router):
        router.include_router(part(operating))
    return router
