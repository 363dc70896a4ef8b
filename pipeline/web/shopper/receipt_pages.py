# SPDX-License-Identifier: AGPL-3.0-or-later
"""Pages after a visit: past visits, a receipt, what is wrong with it, and what became of that."""

# No `from __future__ import annotations`: FastAPI looks annotations up among the module's names.

from collections.abc import Sequence
from decimal import Decimal
from typing import Annotated

from babel.numbers import format_decimal
from fastapi import APIRouter, Form, HTTPException, Query, Request
from fastapi.responses import RedirectResponse, Response

from calibration.catalogue import Product
from pipeline.cart.paper import html_of
from pipeline.errors import CaseError, UnknownCaseError
from pipeline.messages import Candidate, ReceiptIssued
from pipeline.web.render import N_, locale, page
from pipeline.web.security import Viewer
from pipeline.web.shopper import views
from pipeline.web.shopper.pages import Id, Shopper
from pipeline.web.shopper.parts import Shopping
from pipeline.web.shopper.views import LINE_KINDS, RECEIPT_KINDS, ReceiptView

DISPUTE_RATE = "30/hour"
Asked = Annotated[str, Query(max_length=200)]
NOT_YOURS = N_("There is no such receipt of yours.")
CANNOT = N_("This cannot be reported here (any more). Ask the shop's staff and name the receipt's number.")
_KINDS_WITH_PRODUCT = ("other-product", "missing-item")


def dispute(
    shopping: Shopping, request: Request, who: Viewer, receipt_id: str, line_id: str | None, kind: str, text: str,
    gtin: str | None, quantity: int,
) -> str:  # fmt: skip
    """Open a dispute; its case's id. 404 for somebody else's receipt, 409 with the reason where it cannot be."""
    request.app.state.limiter.hit(DISPUTE_RATE, "dispute", who.shopper_id)
    review = shopping.site.review
    if review is None:
        raise HTTPException(503, N_("This cannot be reported here at the moment. Ask the shop's staff."))
    wanted = gtin if kind in _KINDS_WITH_PRODUCT else None
    try:
        return review.open_dispute(who.shopper_id, receipt_id, line_id, kind, text, wanted or None, quantity)
    except UnknownCaseError:
        raise HTTPException(404, NOT_YOURS) from None
    except CaseError as error:
        raise HTTPException(409, str(error)) from None


def disputes_of(shopping: Shopping, shopper_id: str, receipt_id: str | None = None) -> list:
    review = shopping.site.review
    return [] if review is None else review.disputes_of(shopper_id, receipt_id)


def receipt_router(shopping: Shopping) -> APIRouter:
    router = APIRouter(include_in_schema=False)
    site = shopping.site

    def mine(receipt_id: str, who: Viewer) -> list[ReceiptIssued]:
        versions = shopping.records.versions(receipt_id, who.shopper_id)
        if not versions:
            raise HTTPException(404, NOT_YOURS)
        return list(versions)

    def may_dispute(receipt: ReceiptIssued) -> bool:
        return site.review is not None and site.clock() <= site.review.disputable_until_ns(receipt)

    @router.get("/shop/visits")
    def visits(
        request: Request, who: Shopper, before: Annotated[int | None, Query(ge=0, lt=1 << 63)] = None
    ) -> Response:
        found = shopping.records.page(who.shopper_id, before)
        waiting = {c.receipt_id for c in disputes_of(shopping, who.shopper_id) if c.state != "resolved"}
        return page(
            request, "shopper/visits.html", found=[ReceiptView.of([r]) for r in found.receipts], older=found.older,
            before=before, waiting=waiting,
        )  # fmt: skip

    @router.get("/shop/receipts/{receipt_id}")
    def receipt(request: Request, receipt_id: Id, who: Shopper, new: bool = False, reported: bool = False) -> Response:
        view = ReceiptView.of(mine(receipt_id, who))
        newest = view.receipt
        cases = disputes_of(shopping, who.shopper_id, receipt_id)
        return page(
            request, "shopper/receipt.html", view=view, receipt=newest, new=new, reported=reported, cases=cases,
            payment=views.payment_of(shopping.payment(newest.visit_id, who.shopper_id), newest),
            may_dispute=may_dispute(newest), doubt_text=views.doubt_text, outcome_text=views.outcome_text,
            kind_text=views.kind_text, of_line={c.line_id: c for c in reversed(cases) if c.line_id},
            paper=site.shop.settings.paper, tax_names=_rates(newest, locale(request)),
        )  # fmt: skip

    @router.get("/shop/receipts/{receipt_id}/wrong")
    def wrong(request: Request, receipt_id: Id, who: Shopper, line: Asked | None = None, kind: Asked = "") -> Response:
        return _wrong_page(request, receipt_id, who, line, kind)

    def _wrong_page(request, receipt_id, who, line_id, kind, problem=None, status=200, text="", gtin="") -> Response:
        view = ReceiptView.of(mine(receipt_id, who))
        line = view.line(line_id) if line_id else None
        if line_id and (line is None or line.status == "let-go"):
            raise HTTPException(404, NOT_YOURS)
        return page(
            request, "shopper/wrong.html", status, receipt=view.receipt, line=line,
            kinds=LINE_KINDS if line else RECEIPT_KINDS, kind=kind, problem=problem, text=text, gtin=gtin,
            may_dispute=may_dispute(view.receipt), may_be=[c.value for c in line.alternatives] if line else [],
            products=_on_shelves(line.alternatives if line else ()),
        )  # fmt: skip

    def _on_shelves(also: Sequence[Candidate]) -> list[Product]:
        """What can have been taken, by name: a chain's catalogue is longer than anybody scrolls."""
        known = site.shop.catalogue.by_gtin
        gtins = {*site.shop.planogram.slots.values(), *(c.value for c in also)} & known.keys()
        return sorted((known[gtin] for gtin in gtins or known), key=lambda p: (p.name, p.gtin))

    @router.post("/shop/receipts/{receipt_id}/wrong")
    def report(
        request: Request,
        receipt_id: Id,
        who: Shopper,
        kind: Annotated[str, Form(max_length=40)] = "",
        line: Annotated[str, Form(max_length=200)] = "",
        text: Annotated[str, Form(max_length=2000)] = "",
        gtin: Annotated[str, Form(max_length=50)] = "",
        quantity: Annotated[int, Form(ge=1, le=100)] = 1,
    ) -> Response:
        if kind not in (LINE_KINDS if line else RECEIPT_KINDS):
            problem = N_("Choose what is wrong.")
            return _wrong_page(request, receipt_id, who, line or None, kind, problem, 422, text, gtin)
        try:
            dispute(shopping, request, who, receipt_id, line or None, kind, text, gtin, quantity)
        except HTTPException as error:
            if error.status_code != 409:
                raise
            return _wrong_page(request, receipt_id, who, line or None, kind, CANNOT, 409, text, gtin)
        return RedirectResponse(f"/shop/receipts/{receipt_id}?reported=1", 303)

    @router.get("/shop/receipts/{receipt_id}/receipt.{ending}")
    def download(
        request: Request,
        receipt_id: Id,
        ending: str,
        who: Shopper,
        version: Annotated[int | None, Query(ge=1, lt=1 << 31)] = None,
    ) -> Response:
        versions = mine(receipt_id, who)
        chosen = next((r for r in versions if r.version == version), None if version else versions[-1])
        if chosen is None or ending not in ("html", "json"):
            raise HTTPException(404, NOT_YOURS)
        if ending == "json":
            content, media_type = chosen.model_dump_json(indent=1), "application/json"
        else:
            paper = site.shop.settings.paper.model_copy(update={"locale": locale(request)})
            content, media_type = html_of(chosen, paper), "application/octet-stream"  # saved, not opened
        name = f"{chosen.receipt_id}-v{chosen.version}.{ending}"
        return Response(
            content, media_type=media_type, headers={"Content-Disposition": f'attachment; filename="{name}"'}
        )

    @router.get("/shop/disputes")
    def disputes(request: Request, who: Shopper) -> Response:
        return page(
            request, "shopper/disputes.html", cases=disputes_of(shopping, who.shopper_id),
            kind_text=views.kind_text, outcome_text=views.outcome_text,
            names={p.gtin: p.name for p in site.shop.catalogue.products},
        )  # fmt: skip

    @router.get("/shop/pictures/{gtin}")
    def picture(gtin: str) -> Response:
        """Of a product: what hangs in the shop's window needs no sign-in."""
        found = shopping.pictures.of(gtin)
        return Response(found.content, media_type=found.media_type, headers={"Cache-Control": "public, max-age=86400"})

    return router


def _rates(receipt: ReceiptIssued, language: str) -> dict[str, str]:
    """Tax class -> its rate in percent as people write it, e.g. 5.5 or 5,5."""
    return {t.tax_class: format_decimal(Decimal(t.rate_ppm) / 10_000, "0.####", locale=language) for t in receipt.taxes}
