# SPDX-License-Identifier: AGPL-3.0-or-later
"""What the test provider does wrong on demand."""

from __future__ import annotations

import hashlib
from fnmatch import fnmatchcase

from pydantic import BaseModel, ConfigDict, Field

from pipeline.payment.port import Kind

FINAL_CODES = frozenset({"stolen_card", "lost_card", "card_closed"})
"""Declines after which asking again is of no use; all others may pass on another day."""


class Rule(BaseModel):
    """One thing that goes wrong.

    `kind`: of which calls; all when left out. `payer`: whose, with `*` and `?`. `outcome`: `decline:CODE`;
    `timeout-before` or `timeout-after` (before or after doing it); `webhook-twice`, `webhook-late` (overtaken by the
    next one). `times`: how often it strikes in all. `per_key`: how often it strikes a call with the same idempotency
    key; a decline is remembered by the key anyway. `share`: of the keys, chosen by their hash and `seed`, so that the
    same calls are struck whenever they are made.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    outcome: str = Field(pattern=r"^(decline:[a-z_]+|timeout-(before|after)|webhook-(twice|late))$")
    kind: Kind | None = None
    payer: str = "*"
    times: int | None = Field(default=None, ge=1)
    per_key: int | None = Field(default=1, ge=1)
    share: float = Field(default=1.0, gt=0, le=1)
    seed: int = 0

    def is_about(self, kind: Kind, key: str, payer: str) -> bool:
        if self.kind not in (None, kind) or not fnmatchcase(payer, self.payer):
            return False
        drawn = hashlib.sha256(f"{self.seed} {self.outcome} {key}".encode()).digest()
        return int.from_bytes(drawn[:8], "big") < self.share * 2**64

    def as_json(self) -> str:
        return self.model_dump_json()

    @classmethod
    def from_json(cls, body: str) -> Rule:
        return cls.model_validate_json(body)
