# SPDX-License-Identifier: AGPL-3.0-or-later
"""Pages before and during a visit: the pass and the live cart."""

# No `from __future__ import annotations`: FastAPI looks annotations up among the module's names.

from typing import Annotated

from fastapi import APIRouter, Depends, HTTPException, Path, Query, Request
from fastapi.responses import RedirectResponse, Response

from pipeline.cart.money import minor_digits
from pipeline.errors import PassKeyError
from pipeline.passes.issuing import MOST_PEOPLE, ShownPass
from pipeline.passes.picture import svg_of
from pipeline.web.render import N_, page, text
from pipeline.web.security import Viewer, viewer
from pipeline.web.shopper.parts import Shopping
from pipeline.web.shopper.views import DOUBTS

PASS_RATE = "60/minute"
"""A page renews its pass three times a minute; a party that cannot decide on its size asks more often."""
JUST_LEFT_NS = 900 * 10**9
PEOPLE = Annotated[int, Query(ge=1, le=MOST_PEOPLE)]
NO_NUL = r"^[^\x00]*$"
"""PostgreSQL knows no texts with it, not even to look for."""
Id = Annotated[str, Path(min_length=1, max_length=200, pattern=NO_NUL)]
Shopper = Annotated[Viewer, Depends(viewer("shopper"))]


def issue(shopping: Shopping, request: Request, who: Viewer, admits: int, brings: bool) -> ShownPass | None:
    """A pass for whoever looks; None where this store makes none. Who is inside brings friends."""
    if shopping.passes is None:
        return None
    request.app.state.limiter.hit(PASS_RATE, "pass", who.shopper_id)
    try:
        return shopping.passes.issue(who.shopper_id, shopping.site.clock() / 1e9, admits=admits, brings=brings)
    except PassKeyError as error:
        raise HTTPException(503, N_("Passes cannot be made at the moment. Ask the staff at the entrance.")) from error


def page_router(shopping: Shopping) -> APIRouter:
    router = APIRouter(include_in_schema=False)
    site = shopping.site

    @router.get("/shop")
    def home(who: Shopper) -> Response:
        inside = shopping.hub().cart_of(who.shopper_id) is not None
        return RedirectResponse("/shop/cart" if inside else "/shop/pass", 303)

    @router.get("/shop/pass")
    def pass_page(request: Request, who: Shopper, people: PEOPLE = 1) -> Response:
        inside = shopping.hub().cart_of(who.shopper_id) is not None
        shown = issue(shopping, request, who, 1 if inside else people, inside)
        return page(
            request, "shopper/pass.html", shown=shown, people=people, most=MOST_PEOPLE, inside=inside,
            picture=svg_of(shown.token) if shown else "",
        )  # fmt: skip

    @router.get("/shop/cart")
    def cart_page(request: Request, who: Shopper) -> Response:
        cart = shopping.hub().cart_of(who.shopper_id)
        found = shopping.records.page(who.shopper_id, limit=1).receipts
        last = found[0] if found else None
        coupons = [c for c in shopping.wallet.of(who.shopper_id) if c.state in ("free", "presented")]
        return page(
            request, "shopper/cart.html", cart=cart, doubts=DOUBTS, coupons=coupons, last=last,
            just_left=last is not None and site.clock() - last.left_at_ns < JUST_LEFT_NS,
            currency=site.shop.prices.currency, digits=minor_digits(site.shop.prices.currency),
            translated_doubts={doubt: text(request, why) for doubt, why in DOUBTS.items()},
        )  # fmt: skip

    return router
