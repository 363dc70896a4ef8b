# SPDX-License-Identifier: AGPL-3.0-or-later
"""Leaving for good: a shopper deletes their data."""

# No `from __future__ import annotations`: FastAPI looks annotations up among the module's names.

from typing import Annotated

from fastapi import APIRouter, Form, Request
from fastapi.responses import Response

from pipeline.errors import AccountError
from pipeline.payment.accounts import open_balances
from pipeline.web.render import N_, page
from pipeline.web.security import Viewer, drop_cookie
from pipeline.web.shopper.pages import Shopper
from pipeline.web.shopper.parts import Shopping

NOT_SURE = N_("Tick the box to say that you are sure.")
NOT_NOW = N_("Not yet: a visit or a payment of yours is not settled. Try again in a while.")


def leaving_router(shopping: Shopping) -> APIRouter:
    router = APIRouter(include_in_schema=False)
    site = shopping.site

    def asking(request: Request, who: Viewer, status: int = 200, problem: str | None = None) -> Response:
        inside = shopping.hub().cart_of(who.shopper_id) is not None
        owed = [(c, minor) for (_, c), minor in open_balances(site.database, who.shopper_id).items() if minor]
        return page(request, "shopper/delete.html", status, inside=inside, owed=owed, problem=problem)

    @router.get("/shop/delete")
    def delete_page(request: Request, who: Shopper) -> Response:
        return asking(request, who)

    @router.post("/shop/delete")
    def delete(request: Request, who: Shopper, sure: Annotated[str, Form(max_length=10)] = "") -> Response:
        if sure != "yes":
            return asking(request, who, 422, NOT_SURE)
        if shopping.hub().cart_of(who.shopper_id) is not None:
            return asking(request, who, 409)
        try:
            site.erase_shopper(who.shopper_id, by=who.shopper_id)
        except AccountError:
            return asking(request, who, 409, NOT_NOW)
        request.state.viewer = None
        response = page(request, "shopper/deleted.html")
        for name in ("session", "form"):
            drop_cookie(request, response, name)
        response.headers["Clear-Site-Data"] = '"cache", "storage"'
        return response

    return router
