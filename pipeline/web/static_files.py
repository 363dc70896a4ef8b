# SPDX-License-Identifier: AGPL-3.0-or-later
"""Style, scripts and htmx, compressed. Asked for by version they may be kept for ever.

Only these are compressed: of pages, which hold both secrets and what people typed, the size would tell (BREACH).
"""

from __future__ import annotations

import os
from importlib.resources import files

from fastapi import FastAPI
from starlette.middleware.gzip import GZipMiddleware
from starlette.staticfiles import StaticFiles

from pipeline.web.render import STATIC

_HTMX = files("django_htmx") / "static" / "django_htmx" / "htmx-2.min.js"


class _Kept(StaticFiles):
    def lookup_path(self, path: str) -> tuple[str, os.stat_result | None]:
        if path == "htmx.min.js":
            return str(_HTMX), os.stat(str(_HTMX))
        return super().lookup_path(path)

    def file_response(self, full_path, stat_result, scope, status_code=200):
        response = super().file_response(full_path, stat_result, scope, status_code)
        versioned = b"v=" in scope.get("query_string", b"")
        seconds = "31536000, immutable" if versioned else "3600"
        response.headers["Cache-Control"] = f"public, max-age={seconds}"
        return response


def add_static(app: FastAPI) -> None:
    app.mount("/static", GZipMiddleware(_Kept(directory=STATIC), minimum_size=1000), name="static")
