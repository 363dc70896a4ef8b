# SPDX-License-Identifier: AGPL-3.0-or-later
"""How often somebody may try something: sliding windows of the library `limits`, in this process's memory."""

from __future__ import annotations

import time

from fastapi import HTTPException
from limits import parse
from limits.storage import MemoryStorage
from limits.strategies import SlidingWindowCounterRateLimiter

from pipeline.texts import N_

TOO_OFTEN = N_("Too many tries. Wait a little, then try again.")


class Limiter:
    def __init__(self) -> None:
        self._limiter = SlidingWindowCounterRateLimiter(MemoryStorage())

    def hit(self, rate: str, what: str, who: str) -> None:
        """Count one more try of `who`; answers 429 with Retry-After when they are more than `rate`."""
        item = parse(rate)
        if not self._limiter.hit(item, what, who):
            reset_s = max(1, round(self._limiter.get_window_stats(item, what, who).reset_time - time.time()))
            raise HTTPException(429, TOO_OFTEN, headers={"Retry-After": str(reset_s)})
