# SPDX-License-Identifier: AGPL-3.0-or-later
"""`/api/v1/review`: what the pages' scripts ask for, and the same decisions for programs."""

# No `from __future__ import annotations`: FastAPI looks annotations up among the module's names.

from dataclasses import asdict
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Header, HTTPException, Query, Request
from fastapi.responses import Response, StreamingResponse
from pydantic import BaseModel, ConfigDict, Field

from pipeline.errors import AuditError, CaseError, CorrectionError, EvidenceError, StaleCaseError, UnknownCaseError
from pipeline.review import audit
from pipeline.review.model import Case
from pipeline.review.model import Request as Decision
from pipeline.site import Site
from pipeline.web.pictures import ProductPictures
from pipeline.web.reviewer.media import partial
from pipeline.web.reviewer.phrases import Phrases
from pipeline.web.reviewer.queue import Filters, rows_of
from pipeline.web.reviewer.replays import Replays
from pipeline.web.reviewer.search import found
from pipeline.web.reviewer.words import ON_IT_ELSE, ON_IT_ME, pseudonym
from pipeline.web.security import Viewer, viewer

Reviewer = Annotated[Viewer, Depends(viewer("reviewer"))]
CaseId = Annotated[str, Field(max_length=100)]


class ClaimAnswer(BaseModel):
    """`text`: who is on it, as the page says it."""

    model_config = ConfigDict(extra="forbid")

    on_it: str | None
    text: str


def staff_of(who: Viewer) -> str:
    """What decisions are signed with."""
    return who.staff_id or who.user_id


def api_router(site: Site, replays: Replays) -> APIRouter:
    router = APIRouter(prefix="/api/v1/review", tags=["review"])
    pictures = ProductPictures(site.shop.folder, site.shop.catalogue)

    @router.get("/queue")
    def queue(
        request: Request, who: Reviewer, state: Literal["undecided", "resolved"] = "undecided",
        kind: Annotated[str, Query(max_length=40)] = "", whose: Literal["", "free", "mine"] = "",
    ) -> dict[str, Any]:  # fmt: skip
        """Oldest promise first; shoppers are pseudonyms."""
        rows = rows_of(site, Filters(state, kind, whose), staff_of(who), Phrases.of(request))
        return {"cases": [asdict(row) for row in rows]}

    @router.get("/cases/{case_id}")
    def case(case_id: CaseId, who: Reviewer) -> dict[str, Any]:
        return {"case": _plain(_answered(site.review.read, case_id))}

    @router.post("/cases/{case_id}/claim")
    def claim(request: Request, case_id: CaseId, who: Reviewer) -> ClaimAnswer:
        """Be on it for the lease's time; again prolongs it. Says who is, where somebody else is."""
        try:
            claimed = site.review.claim(case_id, staff_of(who))
        except UnknownCaseError as error:
            raise HTTPException(404, str(error)) from None
        except CaseError:
            claimed = site.review.read(case_id)
        return ClaimAnswer(on_it=claimed.on_it(site.clock()), text=claimed_text(site, claimed, who, request))

    @router.post("/cases/{case_id}/release")
    def release(request: Request, case_id: CaseId, who: Reviewer) -> ClaimAnswer:
        released = _answered(site.review.release, case_id, staff_of(who))
        return ClaimAnswer(on_it=released.on_it(site.clock()), text=claimed_text(site, released, who, request))

    @router.post("/cases/{case_id}/decisions")
    def decide(
        case_id: CaseId, decision: Decision, who: Reviewer,
        idempotency_key: Annotated[str, Header(min_length=8, max_length=100)],
    ) -> dict[str, Any]:  # fmt: skip
        """Decide it, once: the same `Idempotency-Key` again gives the same answer. 409: it is decided, somebody else is
        on it, or the receipt has moved on; nothing was changed then."""
        given = decision.model_dump(exclude_none=True, exclude={"action"})
        outcome = _answered(
            site.review.resolve, case_id, decision.action, by=staff_of(who), key=idempotency_key, **given
        )
        return asdict(outcome)

    @router.get("/products")
    def products(
        request: Request, who: Reviewer, q: Annotated[str, Query(max_length=100)] = "",
    ) -> dict[str, Any]:  # fmt: skip
        """Products of the catalogue whose name or number has these words, best first."""
        fmt = Phrases.of(request)
        currency = site.shop.catalogue.currency
        rows = found(site.shop.catalogue, q)
        return {
            "products": [
                {
                    "gtin": p.gtin,
                    "name": p.name,
                    "price": "" if p.price_minor is None else fmt.money(p.price_minor, currency),
                }
                for p in rows
            ]
        }

    @router.get("/products/{gtin}/picture", response_class=Response)
    def picture(gtin: Annotated[str, Field(max_length=50)], who: Reviewer) -> Response:
        image = pictures.of(gtin)
        return Response(image.content, media_type=image.media_type, headers={"Cache-Control": "private, max-age=3600"})

    # --- evidence ---

    @router.get("/clips/{clip_id}", response_class=Response)
    def clip(request: Request, clip_id: Annotated[str, Field(max_length=100)], who: Reviewer) -> Response:
        """The film (mp4), everybody but the shopper concerned blurred; byte ranges are answered. 404 or 410 say why it
        cannot be shown."""
        content = _evidence(site.evidence.read, clip_id)
        return partial(request, content, site.evidence.clip(clip_id).media_type)

    @router.get("/clips/{clip_id}/overlay")
    def overlay(clip_id: Annotated[str, Field(max_length=100)], who: Reviewer) -> dict[str, Any]:
        """People and hands for each frame of a film, in its pixels."""
        return _evidence(site.evidence.overlay, clip_id)

    @router.get("/events/{event_id}/{when}", response_class=Response)
    def still(
        event_id: Annotated[str, Field(max_length=200)], when: Literal["before", "after"], who: Reviewer
    ) -> Response:
        """The shelf before or after an event, JPEG."""
        content = _evidence(site.evidence.still, event_id, when)
        return Response(content, media_type="image/jpeg", headers={"Cache-Control": "private, no-store"})

    # --- run it again ---

    @router.get("/replays/{replay_id}")
    def replay(replay_id: Annotated[str, Field(max_length=60)], who: Reviewer) -> dict[str, Any]:
        """How far a run of a visit on today's build is, and what came of it."""
        job = replays.find(replay_id)
        if job is None:
            raise HTTPException(404, "there is no such run (any more)")
        return {"replay_id": job.replay_id, "state": job.state, "error": job.error, "seconds": round(job.seconds, 1)}

    # --- the audit trail ---

    @router.get("/audit/export", response_class=StreamingResponse)
    def export(who: Reviewer) -> Response:
        """All entries as JSON lines, for `walkout review audit verify` or keeping elsewhere."""
        lines = site.database.run(lambda db: list(audit.export(db)))
        headers = {"Content-Disposition": 'attachment; filename="audit-trail.jsonl"'}
        return StreamingResponse((f"{line}\n" for line in lines), media_type="application/x-ndjson", headers=headers)

    @router.get("/audit/verification")
    def verification(who: Reviewer) -> dict[str, Any]:
        """Whether every chain is whole, and its newest entry."""
        try:
            heads = site.database.run(audit.verify)
        except AuditError as error:
            return {"whole": False, "error": str(error), "heads": {}}
        return {"whole": True, "error": "", "heads": {store: asdict(head) for store, head in heads.items()}}

    return router


def claimed_text(site: Site, case: Case, who: Viewer, request: Request) -> str:
    """Who is on it, in the reader's language; "" for nobody."""
    fmt, holder = Phrases.of(request), case.on_it(site.clock())
    if holder is None:
        return ""
    return fmt.text(ON_IT_ME) if holder == staff_of(who) else fmt.text(ON_IT_ELSE, name=holder)


def _answered(call: Any, *args: Any, **kwargs: Any) -> Any:
    """What the review desk says, with its refusals as HTTP answers."""
    try:
        return call(*args, **kwargs)
    except UnknownCaseError as error:
        raise HTTPException(404, str(error)) from None
    except (StaleCaseError, CaseError, CorrectionError) as error:
        raise HTTPException(409, str(error)) from None


def _evidence(call: Any, *args: Any) -> Any:
    try:
        return call(*args)
    except EvidenceError as error:
        raise HTTPException(404, str(error)) from None


def _plain(case: Case) -> dict[str, Any]:
    """A case without the shopper's id."""
    fields = asdict(case)
    fields["shopper"] = pseudonym(case.store_id, fields.pop("shopper_id"))
    return fields
