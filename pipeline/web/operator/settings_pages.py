# SPDX-License-Identifier: AGPL-3.0-or-later
"""Settings of the store: a form for each of its files, and for admins the YAML itself."""

# No `from __future__ import annotations`: FastAPI looks annotations up among the module's names.

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, HTTPException, Query, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import RedirectResponse, Response

from pipeline.errors import LayoutError, StoreFileError
from pipeline.operations.form_fields import FormField, form_fields
from pipeline.operations.settings_form import FILES, Answer, answer, answer_text, current, typed
from pipeline.operations.store_files import digest
from pipeline.web.operator.parts import Operating
from pipeline.web.operator.settings_words import CHOICES, GROUPS, LABELS
from pipeline.web.render import page, text
from pipeline.web.security import Viewer, viewer

Name = Literal["store", "entry"]
Who = Annotated[Viewer, Depends(viewer("operator"))]


def settings_router(operating: Operating) -> APIRouter:
    router = APIRouter(include_in_schema=False, prefix="/floor/settings")

    @router.get("")
    def start(who: Who) -> Response:
        return RedirectResponse("/floor/settings/store", 303)

    @router.get("/{name}")
    def show(
        request: Request,
        who: Who,
        name: Name,
        saved: Annotated[str, Query(max_length=200)] = "",
        form: Literal["fields", "text"] = "fields",
    ) -> Response:
        return _page(operating, request, who, name, as_text=form == "text", saved=saved)

    @router.post("/{name}")
    async def save(request: Request, who: Who, name: Name) -> Response:
        sent = {k: v for k, v in (await request.form()).multi_items() if isinstance(v, str)}
        return await run_in_threadpool(_save, operating, request, who, name, sent)

    return router


def _save(operating: Operating, request: Request, who: Viewer, name: Name, sent: Mapping[str, str]) -> Response:
    file, folder, admin = FILES[name], operating.files.folder, who.may("admin")
    as_text = "yaml" in sent
    if as_text and not admin:
        raise HTTPException(403, "this needs another role")
    try:
        if as_text:
            made = answer_text(file, folder, sent["yaml"].replace("\r\n", "\n"), admin=admin)
        else:
            flags = [f.path for f in form_fields(file.model) if f.kind == "flag" and f"shown:{f.path}" in sent]
            given = {path: "" for path in flags} | {k: v for k, v in sent.items() if not k.startswith("shown:")}
            made = answer(file, folder, given, admin=admin)
    except LayoutError as error:
        return _page(operating, request, who, name, as_text=True, broken=str(error), status=422)
    if made.text is None:
        return _page(operating, request, who, name, as_text=as_text, sent=sent, made=made, status=422)
    if not made.changed and not as_text:
        return RedirectResponse(f"/floor/settings/{name}?saved=nothing", 303)
    try:
        about = {"file": file.name, "changed": list(made.changed)}
        by = who.staff_id or who.user_id
        operating.files.replace(file.name, made.text, sent.get("digest", ""), "settings-changed", by, about)
    except StoreFileError as error:
        return _page(operating, request, who, name, as_text=as_text, sent=sent, broken=str(error), status=409)
    return RedirectResponse(f"/floor/settings/{name}?saved={'text' if as_text else 'fields'}", 303)


def _page(
    operating: Operating,
    request: Request,
    who: Viewer,
    name: Name,
    *,
    as_text: bool,
    sent: Mapping[str, str] | None = None,
    made: Answer | None = None,
    broken: str = "",
    saved: str = "",
    status: int = 200,
) -> Response:
    """`sent`: what was typed, which stays in the form whatever is wrong with it."""
    file, folder, admin = FILES[name], operating.files.folder, who.may("admin")
    values: dict[str, str] = {}
    try:
        values = typed(file.model, current(file, folder))
    except LayoutError as error:  # only the text can be mended
        broken, as_text, status = broken or str(error), True, status if status != 200 else 422
    if sent is not None:
        flags = {f.path: "" for f in form_fields(file.model) if f.kind == "flag" and f"shown:{f.path}" in sent}
        values |= flags | {path: value for path, value in sent.items() if path in values}
    problems = {
        path: why.said(lambda message: text(request, message))
        for path, why in (made.problems if made else {}).items()
    }  # fmt: skip
    whole = ""
    if as_text and admin:
        path = folder / file.name
        whole = (sent or {}).get("yaml") or (path.read_text(encoding="utf-8") if path.exists() else "")
    return page(
        request, "operator/settings.html", status, name=name, file=file.name, groups=_groups(request, name),
        values=values, problems=problems, admin=admin, as_text=as_text and admin, whole=whole, broken=broken,
        saved=saved, digest=digest(folder / file.name), labels={p: text(request, label) for p, label in LABELS.items()},
        choices={value: text(request, word) for value, word in CHOICES.items()},
    )  # fmt: skip


def _groups(request: Request, name: Name) -> list[dict[str, Any]]:
    members: dict[str, list[FormField]] = {}
    for field in form_fields(FILES[name].model):
        members.setdefault(field.group, []).append(field)
    return [
        {"path": path, "title": text(request, GROUPS.get(path or name, path)), "fields": fields}
        for path, fields in members.items()
    ]
