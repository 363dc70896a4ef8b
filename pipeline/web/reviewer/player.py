# SPDX-License-Identifier: AGPL-3.0-or-later
"""What the player (templates/reviewer/player.html) shows of one event: the clips of all cameras on one clock."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pipeline.evidence.clip import Clip
from pipeline.messages import ShelfEvent

_NS = 1_000_000_000
_FULL_SIZE_PX = (1280, 720)


@dataclass(frozen=True)
class CameraView:
    """One camera's clip. Seconds on the player's clock; `place`: the reach's box in the clip's pixels. `src` is empty
    where the clip cannot be shown: `state` and `reason` say why."""

    camera_id: str
    src: str
    overlay: str
    start_s: float
    end_s: float
    width_px: int
    height_px: int
    place: tuple[float, ...] | None
    state: str
    reason: str


@dataclass(frozen=True)
class PlayerView:
    """`start_ns`: where the clock is 0. `moment_s`: the reach's moment; `reach_s`: from when to when the hand was in
    the shelf. `fps`: the fastest camera's."""

    event_id: str
    start_ns: int
    span_s: float
    moment_s: float
    reach_s: tuple[float, float]
    fps: float
    cameras: tuple[CameraView, ...]

    @property
    def start_ms(self) -> int:
        return self.start_ns // 1_000_000

    def percent(self, seconds: float) -> float:
        """Share of the span, for the marks on the scrub bar."""
        return round(100 * min(max(seconds / self.span_s, 0.0), 1.0), 2)


def player_of(event: ShelfEvent, clips: Sequence[Clip], sizes_px: dict[str, tuple[int, int]]) -> PlayerView:
    """Args:
    clips: of this event, in the order of the cameras on the page.
    sizes_px: the cameras' full picture sizes; the event's boxes are in their pixels, the clips may be smaller.
    """
    known = [clip for clip in clips if clip.t1_ns > clip.t0_ns]
    start_ns = min([clip.t0_ns for clip in known] or [event.t0_ns])
    end_ns = max([clip.t1_ns for clip in known] or [event.t1_ns])
    frame_s = 1 / max([clip.fps for clip in known if clip.fps] or [10.0])

    def seconds(ns: int) -> float:
        return round((ns - start_ns) / _NS, 4)

    return PlayerView(
        event_id=event.event_id,
        start_ns=start_ns,
        span_s=round(max((end_ns - start_ns) / _NS + frame_s, frame_s), 4),
        moment_s=max(seconds(event.at_ns), 0.0),
        reach_s=(max(seconds(event.t0_ns), 0.0), max(seconds(event.t1_ns), 0.0)),
        fps=round(1 / frame_s, 3),
        cameras=tuple(
            CameraView(
                camera_id=clip.camera_id,
                src=f"/api/v1/review/clips/{clip.clip_id}" if clip.state == "ready" else "",
                overlay=f"/api/v1/review/clips/{clip.clip_id}/overlay",
                start_s=seconds(clip.t0_ns),
                end_s=round(seconds(clip.t1_ns) + frame_s, 4),
                width_px=clip.size_px[0] or _FULL_SIZE_PX[0],
                height_px=clip.size_px[1] or _FULL_SIZE_PX[1],
                place=_place(event, clip, sizes_px),
                state=clip.state,
                reason=clip.reason,
            )
            for clip in clips
        ),
    )


def _place(event: ShelfEvent, clip: Clip, sizes_px: dict[str, tuple[int, int]]) -> tuple[float, ...] | None:
    for reference in event.evidence:
        full = sizes_px.get(clip.camera_id)
        if reference.camera_id == clip.camera_id and reference.box_xyxy_px and full and clip.size_px[0]:
            scale = clip.size_px[0] / full[0], clip.size_px[1] / full[1]
            return tuple(round(v * scale[i % 2], 1) for i, v in enumerate(reference.box_xyxy_px))
    return None
