# SPDX-License-Identifier: AGPL-3.0-or-later
"""Catalogue and planogram as CSV: out, and in with a preview that has to be confirmed."""

# No `from __future__ import annotations`: FastAPI looks annotations up among the module's names.

from typing import Annotated, Literal

from fastapi import APIRouter, Depends, HTTPException, Path, Query, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import JSONResponse, RedirectResponse, Response

from pipeline.errors import LayoutError, StoreFileError
from pipeline.operations.catalogue_csv import COLUMNS as CATALOGUE_COLUMNS
from pipeline.operations.catalogue_csv import export_catalogue
from pipeline.operations.csv_text import MAX_BYTES
from pipeline.operations.notes import WaitingImport
from pipeline.operations.planogram_csv import COLUMNS as PLANOGRAM_COLUMNS
from pipeline.operations.planogram_csv import export_planogram
from pipeline.operations.reasons import Refused
from pipeline.web.operator.parts import Operating
from pipeline.web.render import N_, page, text
from pipeline.web.security import Viewer, viewer

Kind = Literal["catalogue", "planogram"]
Who = Annotated[Viewer, Depends(viewer("operator"))]
ImportId = Annotated[str, Path(max_length=60)]
_SEPARATORS = {"comma": ",", "semicolon": ";", "tab": "\t"}
_SHOWN = 200
_GONE = N_("This preview is not there any more: choose the file again")
_FIELDS = {
    "name": N_("name"),
    "price": N_("price"),
    "tax_class": N_("tax class"),
    "minimum_age": N_("minimum age"),
    "shape": N_("shape"),
    "width_mm": N_("width (mm)"),
    "depth_mm": N_("depth (mm)"),
    "height_mm": N_("height (mm)"),
    "weight_g": N_("weight (g)"),
    "product": N_("product"),
}
_SAID_SEPARATORS = {",": N_("comma"), ";": N_("semicolon"), "\t": N_("tab")}


def import_router(operating: Operating) -> APIRouter:
    router = APIRouter()

    @router.get("/floor/imports", include_in_schema=False)
    def start(
        request: Request, who: Who, done: Annotated[int | None, Query(ge=0, le=10**6)] = None, kind: Kind = "catalogue"
    ) -> Response:
        columns = {
            "catalogue": [c for c in CATALOGUE_COLUMNS if c != "price_minor"],
            "planogram": list(PLANOGRAM_COLUMNS),
        }
        return page(
            request, "operator/imports.html", columns=columns, most=MAX_BYTES, done=done, kind=kind,
            catalogue=len(operating.site.shop.catalogue.products), slots=len(operating.site.shop.planogram.slots),
        )  # fmt: skip

    @router.get("/floor/exports/{kind}.csv", include_in_schema=False)
    def export(
        request: Request, who: Who, kind: Kind, separator: Literal["comma", "semicolon", "tab"] = "comma"
    ) -> Response:
        base, mark = operating.files.base(), _SEPARATORS[separator]
        if kind == "catalogue":
            data = export_catalogue(base.catalogue, mark, decimal_comma=mark == ";")
        else:
            data = export_planogram(base.layout, base.catalogue, base.planogram, mark)
        name = f"{operating.site.store_id}-{kind}.csv".replace('"', "")
        headers = {"Content-Disposition": f'attachment; filename="{name}"'}
        return Response(data, media_type="text/csv; charset=utf-8", headers=headers)

    @router.post(
        "/api/v1/floor/imports/{kind}",
        tags=["floor"],
        status_code=201,
        openapi_extra={"requestBody": {"content": {"text/csv": {"schema": {"type": "string", "format": "binary"}}}}},
    )
    async def upload(
        request: Request,
        who: Who,
        kind: Kind,
        name: Annotated[str, Query(max_length=200)] = "",
        remove_missing: bool = False,
    ) -> JSONResponse:
        """The body is the file. Nothing changes yet: `page` shows what would. A file that cannot be read at all is
        answered 422 with the reason."""
        body = await request.body()
        return await run_in_threadpool(_keep, operating, request, who, kind, name, remove_missing, body)

    @router.get("/floor/imports/{import_id}", include_in_schema=False)
    def preview(request: Request, who: Who, import_id: ImportId) -> Response:
        return _preview(operating, request, _waiting(operating, import_id))

    @router.post("/floor/imports/{import_id}/apply", include_in_schema=False)
    def apply(request: Request, who: Who, import_id: ImportId) -> Response:
        waiting = _waiting(operating, import_id)
        try:
            plan = operating.files.plan(waiting.kind, waiting.body, remove_missing=waiting.remove_missing)
            done = operating.files.apply(waiting.kind, plan, waiting.base_digest, who.staff_id or who.user_id)
        except StoreFileError as error:
            return _preview(operating, request, waiting, problem=str(error), status=409)
        operating.notes.drop_import(import_id)
        return RedirectResponse(f"/floor/imports?done={done.changes}&kind={waiting.kind}", 303)

    @router.post("/floor/imports/{import_id}/drop", include_in_schema=False)
    def drop(who: Who, import_id: ImportId) -> Response:
        operating.notes.drop_import(import_id)
        return RedirectResponse("/floor/imports", 303)

    return router


def _keep(
    operating: Operating, request: Request, who: Viewer, kind: Kind, name: str, remove_missing: bool, body: bytes
) -> JSONResponse:
    try:
        base = operating.files.base()
        plan = operating.files.plan(kind, body, remove_missing=remove_missing, base=base)
    except Refused as refused:
        return JSONResponse({"error": refused.reason.said(lambda message: text(request, message))}, 422)
    except LayoutError as error:
        return JSONResponse({"error": str(error)}, 409)
    import_id = operating.notes.keep_import(
        kind, name or f"{kind}.csv", body, who.staff_id or who.user_id, remove_missing=remove_missing,
        base_digest=base.digests[kind],
    )  # fmt: skip
    counts = {what: plan.count(what) for what in ("new", "changed", "removed")}
    answer = {"import_id": import_id, "page": f"/floor/imports/{import_id}", "bad_rows": len(plan.bad), **counts}
    return JSONResponse(answer, 201)


def _waiting(operating: Operating, import_id: str) -> WaitingImport:
    found = operating.notes.waiting_import(import_id)
    if found is None:
        raise HTTPException(404, _GONE)
    return found


def _preview(
    operating: Operating, request: Request, waiting: WaitingImport, problem: str = "", status: int = 200
) -> Response:
    base = operating.files.base()
    plan = operating.files.plan(waiting.kind, waiting.body, remove_missing=waiting.remove_missing, base=base)
    if base.digests[waiting.kind] != waiting.base_digest and not problem:
        problem = text(request, N_("The store's file was changed after this was chosen: choose the file again"))

    def say(reason) -> str:
        return reason.said(lambda message: text(request, message))

    return page(
        request, "operator/preview.html", status, waiting=waiting, plan=plan, problem=problem,
        changes=plan.changes[:_SHOWN], more=max(len(plan.changes) - _SHOWN, 0),
        bad=[(b.line, b.column, b.value, say(b.reason)) for b in plan.bad[:_SHOWN]],
        more_bad=max(len(plan.bad) - _SHOWN, 0), warnings=[say(w) for w in plan.warnings],
        fields={k: text(request, v) for k, v in _FIELDS.items()},
        separator=text(request, _SAID_SEPARATORS[plan.sheet.separator]),
        fits=not problem and plan.result is not None and bool(plan.changes),
    )  # fmt: skip
