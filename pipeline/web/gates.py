# SPDX-License-Identifier: AGPL-3.0-or-later
"""The gates' API: a reader posts what was shown and is told whether to open; staff see who is inside."""

# No `from __future__ import annotations` here: FastAPI looks annotations up among the module's names, and the
# dependencies are local to the router's function.

import logging
from dataclasses import asdict
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Header, HTTPException
from pydantic import BaseModel, ConfigDict, Field

from pipeline.errors import StateError
from pipeline.gate.desk import GateDesk
from pipeline.gate.readers import Reader, Readers

logger = logging.getLogger(__name__)


class ShownAtGate(BaseModel):
    """`at_ns`: when it was shown, by the reader's clock; believed when it agrees with ours within two seconds."""

    model_config = ConfigDict(extra="forbid")

    kind: Literal["pass", "card", "badge", "voucher"] = "pass"
    token: str = Field(max_length=16_384)
    at_ns: int | None = Field(default=None, gt=0, lt=1 << 63)


class GateAnswer(BaseModel):
    open: bool
    reason: str
    display: str
    visit_id: str | None
    admits: int


class JoinVisit(BaseModel):
    model_config = ConfigDict(extra="forbid")

    shopper_id: str = Field(min_length=1, max_length=120)


def gate_router(desk: GateDesk, readers: Readers) -> APIRouter:
    """Routes of one store's gates. A reader's key goes in the header `X-Api-Key`."""
    router = APIRouter(tags=["gates"])

    def reader(x_api_key: Annotated[str, Header(max_length=200)] = "") -> Reader:
        found = readers.find(x_api_key) if x_api_key else None
        if found is None:
            raise HTTPException(401, "expected a reader's key in X-Api-Key")
        return found

    def staff(found: Annotated[Reader, Depends(reader)]) -> Reader:
        if found.gate_id is not None:
            raise HTTPException(403, f"{found.name} is the reader of a gate; a terminal of staff may ask this")
        return found

    def at_gate(x_api_key: Annotated[str, Header(max_length=200)] = "") -> Reader | None:
        """None when keys cannot be looked up: a gate must say something to whoever stands before it."""
        try:
            return reader(x_api_key)
        except StateError as error:
            logger.error("a tap was not answered, since readers' keys cannot be looked up: %s", error)
            return None

    @router.post("/gates/{gate_id}/tap")
    def tap(gate_id: str, shown: ShownAtGate, found: Annotated[Reader | None, Depends(at_gate)]) -> GateAnswer:
        if found is None:
            return GateAnswer(**asdict(desk.unavailable()))
        if gate_id not in desk.gates:
            raise HTTPException(404, f"no gate {gate_id[:40]!r}; there are {', '.join(sorted(desk.gates))}")
        if found.gate_id not in (None, gate_id):
            raise HTTPException(403, f"{found.name} is the reader of gate {found.gate_id}")
        return GateAnswer(**asdict(desk.tap(gate_id, shown.kind, shown.token, shown.at_ns)))

    @router.get("/visits/open", dependencies=[Depends(staff)])
    def open_visits() -> list[dict]:
        return [asdict(entry) for entry in desk.entries.open_now()]

    @router.get("/visits/without-pass", dependencies=[Depends(staff)])
    def without_pass() -> list[dict]:
        return [asdict(entry) for entry in desk.entries.open_now() if entry.kind == "without-pass"]

    @router.post("/visits/{visit_id}/join", dependencies=[Depends(staff)])
    def join(visit_id: str, into: JoinVisit) -> dict[str, str]:
        if not desk.join(into.shopper_id, visit_id):
            raise HTTPException(404, "expected an open visit and a shopper who is inside with another one")
        return {"visit_id": visit_id, "joined": into.shopper_id}

    @router.get("/gates/refusals", dependencies=[Depends(staff)])
    def refusals(limit: int = 100) -> list[dict]:
        return desk.entries.refusals(min(max(limit, 1), 1000))

    return router
