# SPDX-License-Identifier: AGPL-3.0-or-later
"""`Clip`: what is known of one film or picture of an event, whether it can be shown or not."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Literal

State = Literal["ready", "missing", "corrupt", "expired", "erased"]
Kind = Literal["clip", "before", "after"]


@dataclass(frozen=True)
class Clip:
    """One film (`kind` clip) or picture of the shelf (before, after) of a shelf event.

    `visit_id`: whose pixels are clear; None: everybody in it is blurred. `visit_ids`: all visits that the event may
    belong to, the likeliest first. `t0_ns`, `t1_ns`: capture times of the first and last frame. `size_px`: width and
    height. `fps`: nominal; each frame has its own time. `state`, `reason`: whether it can be shown, and why not.
    `bytes`: of the film or picture. `kept_ns`: when it was stored. `rank`: 0 for the camera that
    saw it best.
    """

    clip_id: str
    store_id: str
    event_id: str
    kind: Kind
    camera_id: str
    visit_id: str | None
    visit_ids: tuple[str, ...]
    t0_ns: int
    t1_ns: int
    size_px: tuple[int, int] = (0, 0)
    fps: float = 0.0
    frames: int = 0
    state: State = "ready"
    reason: str = ""
    bytes: int = 0
    kept_ns: int = 0
    rank: int = 0

    @property
    def media_type(self) -> str:
        return "video/mp4" if self.kind == "clip" else "image/jpeg"


def clip_id_of(event_id: str, kind: Kind, camera_id: str = "") -> str:
    """The same for the same event: a film for each camera, and one picture before and one after."""
    return f"{kind}-" + hashlib.sha1(f"{event_id}|{kind}|{camera_id}".encode()).hexdigest()[:20]
