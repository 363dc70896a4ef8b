# SPDX-License-Identifier: AGPL-3.0-or-later
"""Style, scripts and htmx. Asked for by version they may be kept for ever."""

from __future__ import annotations

from importlib.resources import files

from fastapi import APIRouter, FastAPI, Request
from fastapi.responses import FileResponse
from starlette.staticfiles import StaticFiles

from pipeline.web.render import STATIC

KEPT = {"Cache-Control": "public, max-age=31536000, immutable"}


class _Kept(StaticFiles):
    def file_response(self, full_path, stat_result, scope, status_code=200):
        response = super().file_response(full_path, stat_result, scope, status_code)
        versioned = b"v=" in scope.get("query_string", b"")
        response.headers["Cache-Control"] = KEPT["Cache-Control"] if versioned else "public, max-age=300"
        return response


def add_static(app: FastAPI) -> None:
    htmx = files("django_htmx") / "static" / "django_htmx" / "htmx-2.min.js"
    router = APIRouter(include_in_schema=False)

    @router.get("/static/htmx.min.js")
    def htmx_file(request: Request) -> FileResponse:
        return FileResponse(str(htmx), media_type="text/javascript", headers=KEPT)

    app.include_router(router)
    app.mount("/static", _Kept(directory=STATIC), name="static")
