# SPDX-License-Identifier: AGPL-3.0-or-later
"""The reviewer's pages. A decision leads to the next case, which says what was decided and how to decide it again."""

# No `from __future__ import annotations`: FastAPI looks annotations up among the module's names.

from typing import Annotated
from urllib.parse import quote

from fastapi import APIRouter, Form, HTTPException, Path, Query, Request
from fastapi.responses import RedirectResponse, Response

from pipeline.errors import AuditError, CaseError, CorrectionError, UnknownCaseError, WalkoutError
from pipeline.review import audit
from pipeline.review.figures import figures
from pipeline.site import Site
from pipeline.web.render import N_, page
from pipeline.web.reviewer import trail
from pipeline.web.reviewer.api import CaseId, Reviewer, claimed_text, staff_of
from pipeline.web.reviewer.case import case_page
from pipeline.web.reviewer.compare import sides_of
from pipeline.web.reviewer.decisions import DecisionForm, request_of
from pipeline.web.reviewer.flash import Flash, decided, refused
from pipeline.web.reviewer.phrases import Phrases
from pipeline.web.reviewer.queue import STATES, WHOS, Filters, next_case, product_of, rows_of
from pipeline.web.reviewer.replays import Replays
from pipeline.web.reviewer.words import CLIP_STATES, DECISIONS, KINDS, STATUSES
from pipeline.web.security import Viewer

_SHOWN_ENTRIES = 200
_MOST_ROWS = 30
_DAY_NS = 86_400 * 1_000_000_000
_PERIODS = ((0, N_("all time")), (7, N_("7 days")), (30, N_("30 days")), (90, N_("90 days")))
_KEPT = N_("Kept as the regression case %(folder)s; “walkout score --cases” runs it.")
MORE_KEYS = (
    (("J", "K"), N_("next and last event")),
    (("Space",), N_("play, pause")),
    (("←", "→"), N_("one frame; with Shift one second")),
    (("V",), N_("speed: 1, ½, ¼")),
    (("G",), N_("to the reach")),
    (("O",), N_("boxes and hands on or off")),
    (("1", "9"), N_("enlarge a camera; 0: all alike")),
    (("N",), N_("leave it, next case")),
    (("W",), N_("run the visit again")),
    (("U",), N_("back to what was just decided")),
    (("⏎", "Esc"), N_("in a dialog: decide, go back")),
)


def pages_router(site: Site, replays: Replays) -> APIRouter:
    router = APIRouter(prefix="/review", include_in_schema=False)

    @router.get("")
    def queue(
        request: Request, who: Reviewer, state: Annotated[str, Query(max_length=20)] = "undecided",
        kind: Annotated[str, Query(max_length=40)] = "", whose: Annotated[str, Query(max_length=10)] = "",
        done: Annotated[str, Query(max_length=100)] = "",
    ) -> Response:  # fmt: skip
        fmt, filters = Phrases.of(request), Filters(state, kind, whose)
        rows = rows_of(site, filters, staff_of(who), fmt)
        return page(
            request, "reviewer/queue.html", rows=rows, late=sum(row.late for row in rows), filters=filters,
            states=STATES, kinds=KINDS, whos=WHOS, flash=decided(site, done, fmt), fmt=fmt,
        )  # fmt: skip

    @router.get("/cases/{case_id}")
    def case(
        request: Request, case_id: CaseId, who: Reviewer, done: Annotated[str, Query(max_length=100)] = ""
    ) -> Response:
        return _case(request, case_id, who, decided(site, done, Phrases.of(request)))

    @router.post("/cases/{case_id}/decisions")
    def decide(request: Request, case_id: CaseId, who: Reviewer, form: Annotated[DecisionForm, Form()]) -> Response:
        by = staff_of(who)
        try:
            following = next_case(site, by, after=case_id)
            currency = site.review.read(case_id).currency
            decision = request_of(form, currency).model_dump(exclude_none=True, exclude={"action"})
            if form.payer_receipt_id:
                decision["shopper_id"] = site.desk.newest(form.payer_receipt_id).shopper_id
            site.review.resolve(case_id, form.action, by=by, key=form.key, **decision)
        except UnknownCaseError as error:
            raise HTTPException(404, str(error)) from None
        except (CaseError, CorrectionError) as error:
            return _case(request, case_id, who, refused(error, Phrases.of(request)), status_code=409)
        there = f"/review/cases/{following}" if following else "/review"
        return RedirectResponse(f"{there}?done={quote(case_id)}", 303)

    @router.post("/cases/{case_id}/replays")
    def run_again(request: Request, case_id: CaseId, who: Reviewer) -> Response:
        job = replays.start(_known(case_id), staff_of(who))
        return RedirectResponse(f"/review/replays/{job.replay_id}", 303)

    @router.get("/replays/{replay_id}")
    def replay(request: Request, replay_id: Annotated[str, Path(max_length=60)], who: Reviewer) -> Response:
        job = replays.find(replay_id)
        if job is None:
            raise HTTPException(404, "there is no such run (any more): start it again from its case")
        sides = sides_of(job.result) if job.result else None
        return page(
            request, "reviewer/replay.html", job=job, sides=sides, statuses=STATUSES, fmt=Phrases.of(request),
        )  # fmt: skip

    @router.post("/cases/{case_id}/regression")
    def keep(request: Request, case_id: CaseId, who: Reviewer) -> Response:
        fmt = Phrases.of(request)
        try:
            folder = site.again.keep_as_case(_known(case_id), by=staff_of(who))
        except WalkoutError as error:
            return _case(request, case_id, who, refused(error, Phrases.of(request)), status_code=409)
        return _case(request, case_id, who, Flash(fmt.text(_KEPT, folder=folder.name)))

    @router.get("/figures")
    def figures_page(request: Request, who: Reviewer, days: Annotated[int, Query(ge=0, le=3660)] = 0) -> Response:
        since_ns = site.clock() - days * _DAY_NS if days else 0
        found = figures(site.database, since_ns=since_ns)
        fmt = Phrases.of(request)
        return page(
            request, "reviewer/figures.html", figures=found, days=days, periods=_PERIODS, fmt=fmt,
            kinds=[(fmt.text(KINDS[kind]), tally) for kind, tally in found.kinds.items()],
            products=[(product_of(site, gtin), tally) for gtin, tally in list(found.products.items())[:_MOST_ROWS]],
            cameras=list(found.cameras.items())[:_MOST_ROWS],
        )  # fmt: skip

    @router.get("/audit")
    def audit_page(request: Request, who: Reviewer) -> Response:
        broken, heads = "", {}
        try:
            heads = site.database.run(audit.verify)
        except AuditError as error:
            broken = str(error)
        fmt = Phrases.of(request)
        newest = site.database.run(lambda db: audit.newest(db, _SHOWN_ENTRIES))
        entries = trail.views(site, newest, fmt)
        return page(request, "reviewer/audit.html", broken=broken, heads=heads, entries=entries, fmt=fmt)

    def _known(case_id: str) -> str:
        try:
            return site.review.read(case_id).case_id
        except UnknownCaseError as error:
            raise HTTPException(404, str(error)) from None

    def _case(request: Request, case_id: str, who: Viewer, flash: Flash, status_code: int = 200) -> Response:
        fmt = Phrases.of(request)
        try:
            view = case_page(site, case_id, fmt)
        except UnknownCaseError as error:
            raise HTTPException(404, str(error)) from None
        return page(
            request, "reviewer/case.html", status_code, view=view, flash=flash, decisions=DECISIONS, statuses=STATUSES,
            more_keys=MORE_KEYS, reasons=CLIP_STATES, fmt=fmt, claimed=claimed_text(site, view.case, who, request),
            next_id=next_case(site, staff_of(who), after=case_id),
        )  # fmt: skip

    return router
