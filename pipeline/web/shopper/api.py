# SPDX-License-Identifier: AGPL-3.0-or-later
"""`/api/v1/shop`: the same things as the pages, in JSON, and the stream of the live cart."""

# No `from __future__ import annotations`: FastAPI looks annotations up among the module's names.

from dataclasses import asdict
from typing import Annotated, Any

from fastapi import APIRouter, Header, HTTPException, Query, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, ConfigDict, Field

from pipeline.messages import ReceiptIssued
from pipeline.passes.issuing import MOST_PEOPLE
from pipeline.passes.picture import svg_of
from pipeline.web.security import session_token
from pipeline.web.shopper import coupon_pages, receipt_pages
from pipeline.web.shopper.pages import NO_NUL, Id, Shopper, issue
from pipeline.web.shopper.parts import Shopping

_FAILS: dict[int | str, dict[str, Any]] = {
    code: {"description": text, "content": {"application/json": {"example": {"error": text}}}}
    for code, text in {
        401: "nobody is signed in", 403: "whoever is signed in is no shopper, or the CSRF token is missing",
        404: "there is no such thing of this shopper's", 409: "it cannot be, with the reason",
        429: "too many tries; Retry-After says when again", 503: "not at the moment",
    }.items()
}  # fmt: skip


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class PassWanted(_Body):
    """`admits`: how many people it lets in. Who is inside gets one that lets a friend in."""

    admits: int = Field(default=1, ge=1, le=MOST_PEOPLE)


class PassMade(BaseModel):
    """`svg`: the QR code. `renew_s`: ask for another one after so long; at `expires_s` no gate believes it any more
    (seconds since the Unix epoch)."""

    token: str
    svg: str
    admits: int
    brings: bool
    issued_s: int
    expires_s: int
    renew_s: int


class DisputeWanted(_Body):
    """`line_id`: none for the whole receipt. `gtin`, `quantity`: what it was, for other-product and missing-item."""

    kind: str = Field(min_length=1, max_length=40, examples=["not-taken"])
    line_id: str | None = Field(default=None, min_length=1, max_length=200)
    text: str = Field(default="", max_length=2000)
    gtin: str | None = Field(default=None, min_length=1, max_length=50)
    quantity: int = Field(default=1, ge=1, le=100)


class GiveTo(_Body):
    """`to`: the address that a friend signs in with."""

    to: str = Field(min_length=3, max_length=260, pattern=NO_NUL)


class Code(_Body):
    code: str = Field(min_length=1, max_length=60)


def api_router(shopping: Shopping) -> APIRouter:
    router = APIRouter(prefix="/api/v1/shop", tags=["shopper"], responses=_FAILS)

    @router.post("/passes")
    def new_pass(request: Request, who: Shopper, wanted: PassWanted) -> PassMade:
        inside = shopping.hub().cart_of(who.shopper_id) is not None
        shown = issue(shopping, request, who, 1 if inside else wanted.admits, inside)
        if shown is None:
            raise HTTPException(503, "this store makes no passes here")
        return PassMade(
            token=shown.token, svg=svg_of(shown.token), admits=shown.admits, brings=shown.brings,
            issued_s=shown.issued_s, expires_s=shown.issued_s + shown.lifetime_s, renew_s=shown.renew_s,
        )  # fmt: skip

    @router.get("/cart")
    def cart(who: Shopper) -> dict[str, Any]:
        """`{"cart": null}` while the shopper is not inside."""
        found = shopping.hub().cart_of(who.shopper_id)
        return {"cart": None if found is None else found.as_dict()}

    @router.get(
        "/cart/events", response_class=StreamingResponse, responses={200: {"content": {"text/event-stream": {}}}}
    )
    async def events(
        request: Request, who: Shopper, last_event_id: Annotated[str, Header(max_length=500)] = ""
    ) -> StreamingResponse:
        """Server-sent events: `cart` is all of it (or null), `change` what is other now. Reconnect with Last-Event-ID
        and nothing is missed."""
        hub = await run_in_threadpool(shopping.hub)
        token = session_token(request)

        async def signed_in() -> bool:
            user = await run_in_threadpool(shopping.site.accounts.sessions.find, token) if token else None
            return user is not None and user.shopper_id == who.shopper_id

        stream = hub.stream(who.shopper_id, last_event_id, may_go_on=signed_in)
        return StreamingResponse(stream, media_type="text/event-stream", headers={"X-Accel-Buffering": "no"})

    @router.get("/receipts")
    def receipts(who: Shopper, before: Annotated[int | None, Query(ge=0, lt=1 << 63)] = None) -> dict[str, Any]:
        """Newest version of each, last visit first; `older`: pass it as `before`."""
        found = shopping.records.page(who.shopper_id, before)
        return {"receipts": [r.model_dump(mode="json") for r in found.receipts], "older": found.older}

    @router.get("/receipts/{receipt_id}")
    def receipt(receipt_id: Id, who: Shopper) -> list[ReceiptIssued]:
        """All versions, oldest first."""
        versions = shopping.records.versions(receipt_id, who.shopper_id)
        if not versions:
            raise HTTPException(404, receipt_pages.NOT_YOURS)
        return list(versions)

    @router.post("/receipts/{receipt_id}/disputes", status_code=201)
    def report(request: Request, receipt_id: Id, who: Shopper, wanted: DisputeWanted) -> dict[str, str]:
        """The same again is the same dispute."""
        case_id = receipt_pages.dispute(
            shopping, request, who, receipt_id, wanted.line_id, wanted.kind, wanted.text, wanted.gtin, wanted.quantity
        )
        return {"case_id": case_id}

    @router.get("/disputes")
    def disputes(who: Shopper) -> list[dict[str, Any]]:
        shown = (
            "case_id", "receipt_id", "line_id", "kind", "claimed_gtin", "text", "opened_ns", "promise_ns", "state",
            "outcome", "upheld", "decided_ns", "difference_minor", "currency",
        )  # fmt: skip
        return [{n: getattr(c, n) for n in shown} for c in receipt_pages.disputes_of(shopping, who.shopper_id)]

    @router.get("/coupons")
    def coupons(who: Shopper) -> list[dict[str, Any]]:
        return [asdict(c) for c in shopping.wallet.of(who.shopper_id)]

    @router.post("/coupons/redeem")
    def redeem(request: Request, who: Shopper, given: Code) -> dict[str, str]:
        """Take a coupon over with a friend's code."""
        return {"coupon_id": coupon_pages.redeem(shopping, request, who, given.code)}

    @router.post("/coupons/{coupon_id}/use", status_code=204)
    def use(coupon_id: Id, who: Shopper) -> None:
        """In the visit that the shopper is on."""
        coupon_pages.present(shopping, who, coupon_id)

    @router.post("/coupons/{coupon_id}/code")
    def code(coupon_id: Id, who: Shopper) -> dict[str, str]:
        """A code for a friend; one made earlier is good no more."""
        return {"code": coupon_pages.offer(shopping, who, coupon_id)}

    @router.post("/coupons/{coupon_id}/give", status_code=204)
    def give(request: Request, coupon_id: Id, who: Shopper, wanted: GiveTo) -> None:
        coupon_pages.give(shopping, request, who, coupon_id, wanted.to)

    return router
