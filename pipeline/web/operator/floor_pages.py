# SPDX-License-Identifier: AGPL-3.0-or-later
"""The page that shows the floor."""

# No `from __future__ import annotations`: FastAPI looks annotations up among the module's names.

from typing import Annotated

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response

from pipeline.errors import RecordingError
from pipeline.web.operator.floor_words import plan_json
from pipeline.web.operator.parts import Operating
from pipeline.web.render import page
from pipeline.web.security import Viewer, viewer


def page_router(operating: Operating) -> APIRouter:
    router = APIRouter(include_in_schema=False)

    @router.get("/floor")
    def floor(request: Request, who: Annotated[Viewer, Depends(viewer("operator"))]) -> Response:
        try:
            live = operating.view.source.live
        except RecordingError as error:
            return page(request, "operator/broken.html", 503, why=str(error))
        layout = operating.site.shop.layout
        return page(
            request, "operator/floor.html", live=live, plan=plan_json(layout), cameras=[c.id for c in layout.cameras],
            gates=[g.id for g in layout.gates],
        )  # fmt: skip

    return router
