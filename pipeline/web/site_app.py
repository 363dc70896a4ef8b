# SPDX-License-Identifier: AGPL-3.0-or-later
"""The application that serves the pages and the API of a `Site`."""

from __future__ import annotations

from fastapi import Depends, FastAPI

from pipeline.observe.health import Health
from pipeline.observe.router import health_router
from pipeline.site import Site
from pipeline.web import operator, reviewer, shopper, staff_pages
from pipeline.web.app import create_app
from pipeline.web.headers import Headers
from pipeline.web.home import home_router
from pipeline.web.limiting import Limiter
from pipeline.web.problems import add_handlers, too_large
from pipeline.web.security import require_csrf
from pipeline.web.sign_in import sign_in_router
from pipeline.web.static_files import add_static

AREAS = (shopper, reviewer, operator, staff_pages)
"""Each has `router(site)`, `NAV` (links in the head) and `UPLOADS` (path prefix -> bytes that a body may have)."""


def site_app(site: Site) -> FastAPI:
    """Pages at `/`, the API at `/api/v1` (OpenAPI at `/api/v1/openapi.json`)."""
    uploads = {prefix: size for area in AREAS for prefix, size in area.UPLOADS.items()}
    health = Health()
    health.add("database", lambda: None if site.database.reachable else "does not answer")
    app = create_app(
        health_router(health, ("/healthz", "/readyz")),
        sign_in_router(site), home_router(site), *(area.router(site) for area in AREAS),
        title=site.store_name, dependencies=[Depends(require_csrf)], uploads=uploads,
        too_large=too_large, openapi_url="/api/v1/openapi.json", docs_url=None, redoc_url=None,
    )  # fmt: skip
    app.state.site = site
    app.state.limiter = Limiter()
    app.state.nav = [item for area in AREAS for item in area.NAV]
    add_static(app)
    add_handlers(app)
    app.add_middleware(Headers, secure=site.accounts.public_url.startswith("https://"))
    return app
