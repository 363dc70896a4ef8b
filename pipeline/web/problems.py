# SPDX-License-Identifier: AGPL-3.0-or-later
"""What goes wrong, told: to people as a page in their language, to programs (`/api/...`) as JSON `{"error": ...}`."""

from __future__ import annotations

import json
from urllib.parse import quote

from fastapi import FastAPI, Request
from fastapi.exceptions import HTTPException, RequestValidationError
from fastapi.responses import JSONResponse, RedirectResponse, Response
from starlette.exceptions import HTTPException as StarletteHTTPException

from pipeline.errors import WalkoutError
from pipeline.web.app import our_fault, unavailable
from pipeline.web.headers import headers
from pipeline.web.render import N_, page
from pipeline.web.security import NotAllowed, SignInNeeded, current, is_secure

_TITLES = {
    400: N_("That did not work"),
    403: N_("Not for you"),
    404: N_("Not found"),
    405: N_("That did not work"),
    409: N_("Somebody was faster"),
    410: N_("It is gone"),
    413: N_("Too large"),
    422: N_("Something is missing"),
    429: N_("Too many tries"),
    500: N_("Something broke"),
    503: N_("Not now"),
}
_SAID = {
    "Not Found": N_("There is no such page."),
    "Method Not Allowed": N_("There is no such page."),
}
_NOT_YOURS = N_("You are signed in, but not as somebody who may see this.")
_UNFIT = N_("A field is empty, too long or not what it should be.")
_TOO_LARGE = N_("What was sent is too large. Make it smaller, or split it.")
_LATER = N_("The shop cannot answer now. Try again in a moment.")
_BROKEN = N_("This is our mistake, and it was written down. Try again; if it stays, tell the shop's staff the number.")


def add_handlers(app: FastAPI) -> None:
    app.add_exception_handler(SignInNeeded, _sign_in)
    app.add_exception_handler(NotAllowed, _not_allowed)
    app.add_exception_handler(StarletteHTTPException, _http_error)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(WalkoutError, _unavailable)
    app.add_exception_handler(Exception, _our_fault)


async def too_large(request: Request, limit: int) -> Response:
    """For bodies that nobody reads."""
    if is_api(request):
        return JSONResponse({"error": f"a body may have {limit} bytes at most"}, 413)
    return await _told(request, 413, _TOO_LARGE)


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
    if is_api(request):
        return JSONResponse({"error": "this needs another role"}, 403)
    return await _told(request, 403, _NOT_YOURS)


async def _http_error(request: Request, error: HTTPException) -> Response:
    if is_api(request):
        return JSONResponse({"error": error.detail}, error.status_code, error.headers)
    response = await _told(request, error.status_code, _SAID.get(str(error.detail), str(error.detail)))
    response.headers.update(error.headers or {})
    return response


async def _invalid(request: Request, error: RequestValidationError) -> Response:
    if not is_api(request):
        return await _told(request, 422, _UNFIT)
    where = [{"where": [str(p) for p in e["loc"]], "what": e["msg"]} for e in error.errors()[:10]]
    return JSONResponse({"error": "the request does not fit", "details": where}, 422)


async def _unavailable(request: Request, error: Exception) -> Response:
    answer = await unavailable(request, error)
    if is_api(request):
        return answer
    response = await _told(request, 503, _LATER, known=False)
    response.headers["Retry-After"] = answer.headers["Retry-After"]
    return response


async def _our_fault(request: Request, error: Exception) -> Response:
    """Outside of everything that is around routes, so it brings its headers along."""
    answer = await our_fault(request, error)
    if not is_api(request):
        number = json.loads(answer.body)["error"].partition(";")[0].split()[-1]
        answer = await _told(request, 500, _BROKEN, known=False, number=number)
    answer.headers.update(headers(is_secure(request)))
    return answer


async def _told(request: Request, status: int, detail: str, *, known: bool = True, number: str = "") -> Response:
    """`known` false: whoever is signed in cannot be asked for now."""
    if known:
        await current(request)
    title = _TITLES.get(status, _TITLES[400])
    return page(request, "error.html", status, title=title, detail=detail, number=number)
