# SPDX-License-Identifier: AGPL-3.0-or-later
"""A shopper's coupons: using one, and passing one on."""

# No `from __future__ import annotations`: FastAPI looks annotations up among the module's names.

from typing import Annotated

from fastapi import APIRouter, Form, HTTPException, Request
from fastapi.responses import RedirectResponse, Response

from pipeline.cart.wallet import OWN_CODE, UNKNOWN_CODE
from pipeline.errors import AccountError, CouponError
from pipeline.web.render import N_, page
from pipeline.web.security import Viewer
from pipeline.web.shopper.pages import NO_NUL, Shopper
from pipeline.web.shopper.parts import Shopping

GIVE_RATE, REDEEM_RATE = "20/hour", "20/hour"
"""Trying: names of people who shop here, and codes."""
NOBODY = N_("Nobody who shops here signs in with this address. Make a code instead, and give them that.")
YOURSELF = N_("This is your own address.")
NOT_INSIDE = N_("A coupon is used while you are in the shop.")
GONE = N_("This coupon cannot be used or passed on: it is in a visit, used, given away or expired.")
_TOLD = (NOBODY, YOURSELF, NOT_INSIDE, UNKNOWN_CODE, OWN_CODE)
"""What pages say as it is; other reasons name ids and are for programs."""
Coupon = Annotated[str, Form(max_length=40, pattern=NO_NUL)]


def give(shopping: Shopping, request: Request, who: Viewer, coupon_id: str, to: str) -> str:
    """Hand a coupon to whoever signs in with the address `to`; their name. 409 with the reason."""
    request.app.state.limiter.hit(GIVE_RATE, "give", who.shopper_id)
    try:
        friend = shopping.site.accounts.users.by_address(to)
    except AccountError as error:
        raise HTTPException(409, str(error)) from None
    if friend is None or friend.shopper_id is None or friend.disabled:
        raise HTTPException(409, NOBODY)
    if friend.shopper_id == who.shopper_id:
        raise HTTPException(409, YOURSELF)
    _coupon(lambda: shopping.site.desk.transfer(coupon_id, who.shopper_id, friend.shopper_id))
    return to.strip()


def offer(shopping: Shopping, who: Viewer, coupon_id: str) -> str:
    return _coupon(lambda: shopping.wallet.offer(coupon_id, who.shopper_id))


def redeem(shopping: Shopping, request: Request, who: Viewer, code: str) -> str:
    request.app.state.limiter.hit(REDEEM_RATE, "redeem", who.shopper_id)
    return _coupon(lambda: shopping.wallet.accept(code, who.shopper_id))


def present(shopping: Shopping, who: Viewer, coupon_id: str) -> None:
    """Put a coupon into the visit that the shopper is on."""
    hub = shopping.hub()
    cart = hub.cart_of(who.shopper_id)
    if cart is None or cart.state != "shopping":
        raise HTTPException(409, NOT_INSIDE)
    desk = shopping.site.desk
    _coupon(lambda: desk.present(coupon_id, who.shopper_id, cart.visit_id, shopping.site.store_id))
    hub.look()


def _coupon(call):
    try:
        return call()
    except CouponError as error:
        raise HTTPException(409, str(error)) from None


def coupon_router(shopping: Shopping) -> APIRouter:
    router = APIRouter(include_in_schema=False)

    def problem(request: Request, who: Viewer, error: HTTPException, **values) -> Response:
        told = error.detail if error.status_code != 409 or error.detail in _TOLD else GONE
        return coupons_page(request, who, error.status_code, problem=told, **values)

    def coupons_page(request: Request, who: Viewer, status: int = 200, **values) -> Response:
        cart = shopping.hub().cart_of(who.shopper_id)
        known = {"problem": None, "code": None, "code_of": None, "given": None, "about": None, "typed": "", **values}
        return page(
            request, "shopper/coupons.html", status, coupons=shopping.wallet.of(who.shopper_id),
            inside=cart is not None and cart.state == "shopping", **known,
        )  # fmt: skip

    @router.get("/shop/coupons")
    def coupons(request: Request, who: Shopper, code: str = "") -> Response:
        return coupons_page(request, who, typed=code[:40])

    @router.post("/shop/coupons/use")
    def use(request: Request, who: Shopper, coupon: Coupon, back: Annotated[str, Form(max_length=20)] = "") -> Response:
        try:
            present(shopping, who, coupon)
        except HTTPException as error:
            return problem(request, who, error, about=coupon)
        return RedirectResponse("/shop/cart" if back == "cart" else "/shop/coupons", 303)

    @router.post("/shop/coupons/code")
    def code(request: Request, who: Shopper, coupon: Coupon) -> Response:
        try:
            made = offer(shopping, who, coupon)
        except HTTPException as error:
            return problem(request, who, error, about=coupon)
        return coupons_page(request, who, code=made, code_of=coupon)

    @router.post("/shop/coupons/give")
    def give_page(
        request: Request, who: Shopper, coupon: Coupon, to: Annotated[str, Form(max_length=260, pattern=NO_NUL)] = ""
    ) -> Response:
        try:
            given = give(shopping, request, who, coupon, to)
        except HTTPException as error:
            return problem(request, who, error, about=coupon)
        return coupons_page(request, who, given=given)

    @router.post("/shop/coupons/redeem")
    def redeem_page(request: Request, who: Shopper, code: Annotated[str, Form(max_length=60)] = "") -> Response:
        try:
            redeem(shopping, request, who, code)
        except HTTPException as error:
            return problem(request, who, error, typed=code)
        return RedirectResponse("/shop/coupons", 303)

    return router
