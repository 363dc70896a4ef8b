# SPDX-License-Identifier: AGPL-3.0-or-later
"""What every answer says to the browser about itself. A route that sets one of these headers is left alone."""

from __future__ import annotations

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

CONTENT_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; media-src 'self' blob:; "
    "connect-src 'self'; font-src 'self'; manifest-src 'self'; form-action 'self'; frame-ancestors 'none'; "
    "base-uri 'none'"
)
_YEAR_S = 365 * 86_400


def headers(secure: bool) -> dict[str, str]:
    """`secure`: the pages are reached by https only."""
    found = {
        "content-security-policy": CONTENT_POLICY,
        "x-content-type-options": "nosniff",
        "x-frame-options": "DENY",
        "referrer-policy": "same-origin",
        "cross-origin-opener-policy": "same-origin",
        "cross-origin-resource-policy": "same-origin",
        "permissions-policy": "camera=(), microphone=(), geolocation=(), payment=(), usb=()",
        "cache-control": "no-store",
    }
    if secure:
        found["strict-transport-security"] = f"max-age={_YEAR_S}"
    return found


class Headers:
    def __init__(self, app: ASGIApp, secure: bool) -> None:
        self._app, self._headers = app, headers(secure)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                answer = MutableHeaders(scope=message)
                for name, value in self._headers.items():
                    answer.setdefault(name, value)
            await send(message)

        await self._app(scope, receive, with_headers)
