# SPDX-License-Identifier: AGPL-3.0-or-later
"""The floor's API: what is where, as a stream of server-sent events and one moment at a time."""

# No `from __future__ import annotations`: FastAPI looks annotations up among the module's names.

import json
import time
from collections.abc import AsyncIterator
from typing import Annotated, Any

from fastapi import APIRouter, Depends, HTTPException, Path, Query, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import Response, StreamingResponse
from fastapi.sse import KEEPALIVE_COMMENT, format_sse_event
from pydantic import BaseModel, ConfigDict, Field

from pipeline.errors import CaptureError, StateUnreachableError
from pipeline.operations.floor_view import FloorView
from pipeline.operations.player import play
from pipeline.web.operator.floor_words import MS, Words, frame_json, plan_json
from pipeline.web.operator.parts import Operating
from pipeline.web.render import locale, text
from pipeline.web.security import Viewer, session_token, viewer

_MOST_STREAMS = 40
_LIFETIME_S, _HEARTBEAT_S = 600.0, 15.0
_STATE_EVERY_S, _NOTES_EVERY_S = 0.25, 2.0
_TRAIL_S = 6.0
_LATEST_MS = (1 << 63) // MS
"""Later ones are too large for 64 bits in nanoseconds."""

AtMs = Annotated[int | None, Query(ge=0, lt=_LATEST_MS, description="ms since the Unix epoch; now, or the end")]
Who = Annotated[Viewer, Depends(viewer("operator"))]


class Counted(BaseModel):
    """`at_ms`: when it was seen; now when it is left out."""

    model_config = ConfigDict(extra="forbid")

    units: int = Field(ge=0, le=10_000)
    at_ms: int | None = Field(default=None, ge=1, lt=_LATEST_MS)


class _Streams:
    """How many there are in this process."""

    open = 0


def floor_router(operating: Operating) -> APIRouter:
    router = APIRouter(prefix="/api/v1/floor", tags=["floor"])
    streams = _Streams()

    @router.get("/plan")
    def plan(who: Who) -> dict[str, Any]:
        """Floor, shelves, cameras and gates, in metres."""
        return plan_json(operating.site.shop.layout)

    @router.get("/timeline")
    def timeline(who: Who) -> dict[str, Any]:
        """From when to when there is something to see, and what happened when."""
        source = operating.view.source
        begin, end = source.span()
        marks = [{"at_ms": e.at_ns // MS, "kind": getattr(e, "kind", e.type)} for e in source.marks()]
        return {"live": source.live, "begin_ms": begin // MS, "end_ms": -(-end // MS), "marks": marks}

    @router.get("/state")
    def state(request: Request, who: Who, at_ms: AtMs = None) -> dict[str, Any]:
        """Everything about one moment."""
        view = operating.view
        at_ns = _at_ns(view, at_ms)
        frame = view.source.frame_at(at_ns)
        return words(operating, request).moment(view.moment(at_ns)) | {"frame": frame_json(view, frame)}

    @router.get("/stream", response_class=StreamingResponse)
    async def stream(
        request: Request,
        who: Who,
        from_ms: AtMs = None,
        speed: Annotated[float, Query(ge=0, le=64, description="0: as fast as it is taken")] = 1.0,
    ) -> StreamingResponse:
        """Server-sent events: `trail` (where everybody came from), `frame` (where they are), `state` (as
        `/state`, when it has changed), `end` (of a recording)."""
        if streams.open >= _MOST_STREAMS:
            raise HTTPException(503, "too many screens watch this floor", headers={"Retry-After": "10"})
        view = await run_in_threadpool(lambda: operating.view)
        last = request.headers.get("last-event-id", "")
        if last.isascii() and last.isdigit() and int(last) < _LATEST_MS:
            from_ms = int(last)  # the browser connects again and goes on where it was
        parts = _events(operating, view, words(operating, request), request, _at_ns(view, from_ms, begin=True), speed)

        async def counted() -> AsyncIterator[bytes]:
            streams.open += 1
            try:
                async for part in parts:
                    yield part
            finally:
                streams.open -= 1

        return StreamingResponse(counted(), media_type="text/event-stream", headers={"X-Accel-Buffering": "no"})

    @router.get("/visits/{visit_id}/cart")
    def cart(
        request: Request, who: Who, visit_id: Annotated[str, Path(max_length=200)], at_ms: AtMs = None
    ) -> dict[str, Any]:
        """What somebody who is inside has in their cart."""
        view = operating.view
        try:
            bill = view.cart(visit_id, _at_ns(view, at_ms))
        except KeyError:
            raise HTTPException(404, "this visit is not open at that moment") from None
        return words(operating, request).cart(visit_id, bill)

    @router.get("/cameras/{camera_id}/still", response_class=Response)
    def still(who: Who, camera_id: Annotated[str, Path(max_length=200)], at_ms: AtMs = None) -> Response:
        """JPEG of what the camera saw, people filled. `X-Stale: 1` when it is older than it should be."""
        if camera_id not in operating.site.shop.layout.camera_by_id:
            raise HTTPException(404, "no such camera")
        try:
            found = operating.still(camera_id, _at_ns(operating.view, at_ms))
        except CaptureError:
            found = None
        if found is None:
            raise HTTPException(404, "there is no picture of this camera")
        return Response(found[0], media_type="image/jpeg", headers={"X-Stale": "1"} if found[1] else None)

    @router.post("/items/{item_id}/handled")
    def handled(who: Who, item_id: Annotated[str, Path(max_length=300)]) -> dict[str, bool]:
        """Staff have looked after these goods; `new` is false when somebody was faster."""
        view = operating.view
        if item_id not in {item.item_id for item in view.moment(view.source.span()[1]).items}:
            if item_id in operating.notes.handled():
                return {"new": False}
            raise HTTPException(404, "no such goods")
        return {"new": operating.notes.handle(item_id, who.staff_id or who.user_id)}

    @router.post("/slots/{slot_id}/count")
    def count(who: Who, slot_id: Annotated[str, Path(max_length=200)], counted: Counted) -> dict[str, int]:
        """So many are in the slot now (of a recording: at its end), or were at that moment."""
        if slot_id not in operating.site.shop.planogram.slots:
            raise HTTPException(404, "the planogram has no such slot")
        view = operating.view
        at_ns = counted.at_ms * MS if counted.at_ms is not None else None if view.source.live else view.source.span()[1]
        operating.notes.count(slot_id, counted.units, who.staff_id or who.user_id, at_ns)
        return {"units": counted.units}

    return router


def words(operating: Operating, request: Request) -> Words:
    shop = operating.site.shop
    names = {gtin: product.name for gtin, product in shop.catalogue.by_gtin.items()}
    return Words(
        operating.view, names, shop.catalogue.currency, locale(request), lambda message: text(request, message)
    )


async def _events(
    operating: Operating, view: FloorView, said: Words, request: Request, at_ns: int, speed: float
) -> AsyncIterator[bytes]:
    """Frames as they come; beside them what has changed. What takes time is worked out in other threads."""
    started = checked_s = stated_s = noted_s = time.monotonic()
    known, newest, answers, noted = None, at_ns, False, None

    async def note() -> None:
        """What staff have noted, where the database answers."""
        nonlocal noted, answers
        try:
            noted, answers = await run_in_threadpool(operating.notes.version), True
        except StateUnreachableError:
            answers = False

    await note()
    trail = await run_in_threadpool(view.source.trail, at_ns, _TRAIL_S)
    yield _message("trail", [frame_json(view, frame) for frame in trail[::2]])

    async def stated(at: int) -> bytes | None:
        """`state`, when it is not the one that was sent last."""
        nonlocal known
        now = view.version(at), noted
        if now == known:
            return None
        known = now
        return _message("state", await run_in_threadpool(lambda: said.moment(view.moment(at))), at)

    if (message := await stated(at_ns)) is not None:
        yield message
    async for frame in play(view.source, at_ns, speed):
        newest = frame.at_ns
        yield _message("frame", await run_in_threadpool(frame_json, view, frame), newest)
        now_s = time.monotonic()
        if now_s - noted_s >= _NOTES_EVERY_S:
            noted_s = now_s
            await note()
        if now_s - stated_s >= _STATE_EVERY_S:
            stated_s = now_s
            if (message := await stated(newest)) is not None:
                yield message
        if now_s - checked_s >= _HEARTBEAT_S:
            checked_s = now_s
            await note()
            if answers and (now_s - started > _LIFETIME_S or not await _may_go_on(operating, request)):
                return
            yield KEEPALIVE_COMMENT
    if (message := await stated(newest)) is not None:
        yield message
    yield _message("end", {"at_ms": newest // MS}, newest)


async def _may_go_on(operating: Operating, request: Request) -> bool:
    """Whether whoever watches is still signed in."""
    token = session_token(request)
    return token is not None and await run_in_threadpool(operating.site.accounts.sessions.find, token) is not None


def _message(event: str, data: Any, at_ns: int | None = None) -> bytes:
    """`at_ns` is what a browser says when it connects again."""
    body = json.dumps(data, separators=(",", ":"), ensure_ascii=False)
    return format_sse_event(event=event, id=None if at_ns is None else str(at_ns // MS), data_str=body)


def _at_ns(view: FloorView, at_ms: int | None, begin: bool = False) -> int:
    first, last = view.source.span()
    if at_ms is None or view.source.live:
        return first if begin and not view.source.live else last
    return min(max(at_ms * MS, first), last)
