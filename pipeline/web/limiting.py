# SPDX-License-Identifier: AGPL-3.0-or-later
"""How often somebody may try something: sliding windows of the library `limits`, in this process's memory."""

from __future__ import annotations

from fastapi import HTTPException
from limits import parse
from limits.storage import MemoryStorage
from limits.strategies import SlidingWindowCounterRateLimiter


class Limiter:
    def __init__(self) -> None:
        self._limiter = SlidingWindowCounterRateLimiter(MemoryStorage())

    def hit(self, rate: str, what: str, who: str) -> None:
        """Count one more try of `who`; answers 429 with Retry-After when they are more than `rate`."""
        item = parse(rate)
        if not self._limiter.hit(item, what, who):
            reset_s = max(1, round(self._limiter.get_window_stats(item, what, who).reset_time - _now()))
            raise HTTPException(429, f"too many tries, again in {reset_s} s", headers={"Retry-After": str(reset_s)})


def _now() -> float:
    import time

    return time.time()
