# SPDX-License-Identifier: AGPL-3.0-or-later
"""Where payment providers post their webhooks."""

from __future__ import annotations

from collections.abc import Mapping

from fastapi import APIRouter, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import JSONResponse

from pipeline.errors import SignatureError
from pipeline.payment.accounts import take_notice
from pipeline.payment.port import PaymentProvider
from pipeline.state import Database


def payment_router(providers: Mapping[str, PaymentProvider], database: Database) -> APIRouter:
    """`POST /payments/webhooks/{provider}`: 400 for what the provider did not sign, 404 for a provider that the store
    does not use. An answer of 2xx means that it is written down; any other makes the provider send it again."""
    router = APIRouter(prefix="/payments", tags=["payments"])

    @router.post("/webhooks/{name}")
    async def webhook(name: str, request: Request) -> JSONResponse:
        provider = providers.get(name)
        if provider is None:
            return JSONResponse({"error": f"no payment provider {name[:40]!r} here"}, status_code=404)
        try:
            notice = provider.notice(dict(request.headers), await request.body())
        except SignatureError as error:
            return JSONResponse({"error": str(error)}, status_code=400)
        new = notice is not None and await run_in_threadpool(take_notice, database, provider.name, notice)
        return JSONResponse({"taken": bool(new)})

    return router
