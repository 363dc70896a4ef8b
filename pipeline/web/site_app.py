# SPDX-License-Identifier: AGPL-3.0-or-later
"""The application that serves the pages and the API of a `Site`."""

from __future__ import annotations

from urllib.parse import quote

from fastapi import Depends, FastAPI, Request
from fastapi.exceptions import HTTPException, RequestValidationError
from fastapi.responses import JSONResponse, RedirectResponse, Response
from starlette.exceptions import HTTPException as StarletteHTTPException

from pipeline.web import operator, reviewer, shopper, staff_pages
from pipeline.web.app import create_app
from pipeline.web.home import home_router
from pipeline.web.limiting import Limiter
from pipeline.web.render import N_, page
from pipeline.web.security import Headers, NotAllowed, SignInNeeded, current, require_csrf
from pipeline.web.sign_in import sign_in_router
from pipeline.web.site import Site
from pipeline.web.static_files import add_static

AREAS = (shopper, reviewer, operator, staff_pages)
"""Each has `router(site)`, `NAV` (links in the head) and `UPLOADS` (path prefix -> bytes that a body may have)."""

_TITLES = {
    400: N_("That did not work"),
    403: N_("Not for you"),
    404: N_("Not found"),
    409: N_("Somebody was faster"),
    413: N_("Too large"),
    422: N_("Something is missing"),
    429: N_("Too many tries"),
    500: N_("Something broke"),
    503: N_("Not now"),
}


def site_app(site: Site) -> FastAPI:
    """Pages at `/`, the API at `/api/v1` (OpenAPI at `/api/v1/openapi.json`)."""
    uploads = {prefix: size for area in AREAS for prefix, size in area.UPLOADS.items()}
    app = create_app(
        sign_in_router(site), home_router(site), *(area.router(site) for area in AREAS),
        title=site.store_name, dependencies=[Depends(require_csrf)], uploads=uploads,
        openapi_url="/api/v1/openapi.json", docs_url=None, redoc_url=None,
    )  # fmt: skip
    app.state.site = site
    app.state.limiter = Limiter()
    app.state.nav = [item for area in AREAS for item in area.NAV]
    add_static(app)
    app.add_exception_handler(SignInNeeded, _sign_in)
    app.add_exception_handler(NotAllowed, _not_allowed)
    app.add_exception_handler(StarletteHTTPException, _http_error)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_middleware(Headers, secure=site.accounts.public_url.startswith("https://"))
    return app


def is_api(request: Request) -> bool:
    return request.url.path.startswith("/api/")


async def _sign_in(request: Request, _error: Exception) -> Response:
    if is_api(request):
        return JSONResponse({"error": "expected a session: sign in first"}, 401, {"WWW-Authenticate": "Bearer"})
    there = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    address = f"/sign-in?next={quote(there if request.method == 'GET' else '/', safe='')}"
    if request.headers.get("hx-request"):
        return Response(status_code=401, headers={"HX-Redirect": address})
    return RedirectResponse(address, 303)


async def _not_allowed(request: Request, _error: Exception) -> Response:
    return await _http_error(request, HTTPException(403, "this needs another role"))


async def _http_error(request: Request, error: Exception) -> Response:
    if is_api(request):
        return JSONResponse({"error": error.detail}, error.status_code, error.headers)
    await current(request)
    title = _TITLES.get(error.status_code, _TITLES[400])
    response = page(request, "error.html", error.status_code, title=title, detail=error.detail)
    response.headers.update(error.headers or {})
    return response


async def _invalid(request: Request, error: Exception) -> Response:
    where = [{"where": [str(p) for p in e["loc"]], "what": e["msg"]} for e in error.errors()[:10]]
    if is_api(request):
        return JSONResponse({"error": "the request does not fit", "details": where}, 422)
    detail = "; ".join(f"{e['where'][-1]}: {e['what']}" for e in where)
    return await _http_error(request, HTTPException(422, detail))
