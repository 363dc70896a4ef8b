# SPDX-License-Identifier: AGPL-3.0-or-later
"""`/healthz`, `/readyz` and `/metrics` for the web application."""

from __future__ import annotations

from collections.abc import Sequence

from fastapi import APIRouter, Response

from pipeline.observe.health import PATHS, Health


def health_router(health: Health, paths: Sequence[str] = PATHS) -> APIRouter:
    """The routes of `health`, or some of them. Checks may ask a database, so they run in a worker thread, not on the
    event loop."""
    router = APIRouter(tags=["health"])
    for path in paths:
        router.add_api_route(path, _route(health, path), methods=["GET"], response_class=Response)
    return router


def _route(health: Health, path: str):
    def route() -> Response:
        health.beat()  # that it answers at all is the web application's heartbeat
        status, content_type, body = health.answer(path)
        return Response(body, status, media_type=content_type)

    route.__name__ = path.strip("/")
    return route
