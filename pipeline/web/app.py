# SPDX-License-Identifier: AGPL-3.0-or-later
"""The one application that all routers are put into.

A router gets what it needs as arguments of the function that makes it; the application holds no state of its own.
FastAPI because its routes are typed functions, pydantic (which the messages use already) checks what comes in, and the
API describes itself.
"""

from __future__ import annotations

import logging
import uuid
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from fastapi import APIRouter, FastAPI, Request
from fastapi.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from pipeline.errors import WalkoutError

logger = logging.getLogger(__name__)

MAX_BODY_BYTES = 64 * 1024
_DISCARDED_BYTES = 128 * 1024 * 1024


def create_app(
    *routers: APIRouter,
    title: str = "walkout",
    lifespan: Any = None,
    max_body_bytes: int = MAX_BODY_BYTES,
    uploads: Mapping[str, int] | None = None,
    too_large: Callable[[Request, int], Awaitable[Response]] | None = None,
    **settings: Any,
) -> FastAPI:
    """The application with these routers in it.

    A `WalkoutError` that leaves a route is the world's fault (a database that does not answer): 503. Anything else is
    ours: 500. Both answers give a number under which the log has the text or the traceback, and nothing of it: hosts,
    users and paths are not for whoever asks. A body of more than `max_body_bytes` is answered 413 before anybody reads
    it; `uploads`: path prefixes under which more (or less) may come, `too_large` makes the answer. `settings`:
    FastAPI's.
    """
    app = FastAPI(title=title, lifespan=lifespan, **settings)
    for router in routers:
        app.include_router(router)
    app.add_exception_handler(WalkoutError, unavailable)
    app.add_exception_handler(Exception, our_fault)
    app.add_middleware(_BodyLimit, max_bytes=max_body_bytes, uploads=uploads or {}, answer=too_large)
    return app


async def unavailable(request: Request, error: Exception) -> JSONResponse:
    number = uuid.uuid4().hex[:12]
    logger.warning("%s %s: error %s: %s", request.method, request.url.path, number, error)
    text = f"cannot be answered now, try again later; error {number}, the log says more"
    return JSONResponse({"error": text}, status_code=503, headers={"Retry-After": "1"})


async def our_fault(request: Request, error: Exception) -> JSONResponse:
    number = uuid.uuid4().hex[:12]
    logger.error("%s %s: error %s", request.method, request.url.path, number, exc_info=error)
    return JSONResponse({"error": f"internal error {number}; the log says more"}, status_code=500)


class _BodyLimit:
    """Counts bytes as they come: a client's Content-Length is only a claim."""

    def __init__(
        self, app: ASGIApp, max_bytes: int, uploads: Mapping[str, int],
        answer: Callable[[Request, int], Awaitable[Response]] | None,
    ) -> None:  # fmt: skip
        self._app, self._max_bytes, self._uploads, self._answer = app, max_bytes, uploads, answer or _too_large

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        prefixes = [prefix for prefix in self._uploads if scope["path"].startswith(prefix)]
        limit = self._uploads[max(prefixes, key=len)] if prefixes else self._max_bytes
        messages: list[Message] = []
        size = 0
        while True:
            message = await receive()
            messages.append(message)
            size += len(message.get("body", b""))
            if size > limit:
                await _discard(receive, message)
                answer = await self._answer(Request(scope), limit)
                await answer(scope, receive, send)
                return
            if message["type"] != "http.request" or not message.get("more_body", False):
                break

        async def replay() -> Message:
            return messages.pop(0) if messages else await receive()

        await self._app(scope, replay, send)


async def _too_large(_request: Request, limit: int) -> Response:
    return JSONResponse({"error": f"a body may have {limit} bytes at most"}, status_code=413)


async def _discard(receive: Receive, message: Message) -> None:
    """A browser that is still sending does not look at the answer, so the rest is let in and thrown away, up to a
    size at which nobody means well."""
    left = _DISCARDED_BYTES
    while message["type"] == "http.request" and message.get("more_body", False) and left > 0:
        message = await receive()
        left -= len(message.get("body", b""))
