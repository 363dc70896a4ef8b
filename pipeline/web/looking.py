# SPDX-License-Identifier: AGPL-3.0-or-later
"""What can be measured of a page in a real browser: its weight, its first paint, whether it fits the screen."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

_PAINT = """() => {
  const paint = performance.getEntriesByName("first-contentful-paint")[0];
  return paint ? paint.startTime : null;
}"""
_OVERFLOW = "() => document.documentElement.scrollWidth - document.documentElement.clientWidth"
_PICTURES = ("image", "media")


@dataclass(frozen=True)
class Look:
    """`weight_bytes`: of the page, its styles and scripts as they are sent, without pictures and films. `paint_ms`:
    first contentful paint; None: nothing was painted. `overflow_px`: how much wider than the screen it is."""

    path: str
    weight_bytes: int
    paint_ms: float | None
    overflow_px: int


def look_at(page: Any, path: str) -> Look:
    """Load `path` in a Playwright page with an empty cache."""
    session = page.context.new_cdp_session(page)
    session.send("Network.enable")
    session.send("Network.setCacheDisabled", {"cacheDisabled": True})
    kinds: dict[str, str] = {}
    sizes: dict[str, int] = {}
    session.on("Network.responseReceived", lambda e: kinds.update({e["requestId"]: e["type"].lower()}))
    session.on("Network.loadingFinished", lambda e: sizes.update({e["requestId"]: int(e["encodedDataLength"])}))
    page.goto(path)
    page.wait_for_timeout(300)
    paint = page.evaluate(_PAINT)
    weight = sum(size for request, size in sizes.items() if kinds.get(request) not in _PICTURES)
    look = Look(path, weight, paint, page.evaluate(_OVERFLOW))
    session.detach()
    return look
