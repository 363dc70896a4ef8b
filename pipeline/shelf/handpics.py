# SPDX-License-Identifier: AGPL-3.0-or-later
"""Pictures of hands just before and just after they were in a shelf: what they held may show there."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from calibration.camera import Camera
from calibration.layout import StoreLayout
from models.crops import PADDING_GREY, CropWindow, window_at
from pipeline.messages import FrameSet, Reach
from pipeline.shelf.hands import Hand
from pipeline.shelf.settings import ShelfSettings


@dataclass(frozen=True)
class HandPicture:
    """One hand in one picture.

    `crop`: uint8 (n, n, 3), native pixels around the palm, BGR. `palm_px`: (2,), the palm in the crop. `px_per_m`: how
    large things at the palm are.
    """

    camera_id: str
    at_ns: int
    crop: np.ndarray
    palm_px: np.ndarray
    px_per_m: float


@dataclass
class HandRecord:
    """Pictures of one reach's hand on its way in and out, oldest first."""

    before: list[HandPicture] = field(default_factory=list)
    after: list[HandPicture] = field(default_factory=list)


class HandPictures:
    """Keeps the last seconds of every hand near a shelf, and for a while what surrounded each reach."""

    def __init__(self, layout: StoreLayout, settings: ShelfSettings) -> None:
        self._layout = layout
        self._cameras = layout.camera_by_id
        self._settings = settings
        self._recent: dict[tuple[str, str], deque[HandPicture]] = {}
        self._records: dict[str, tuple[Reach, HandRecord]] = {}

    def see(self, track_id: str, side: str, hand: Hand, frames: FrameSet, cameras: Mapping[str, object]) -> None:
        """Cut the hand from the cameras that see it best; `cameras`: those in which the person was found."""
        s = self._settings
        recent = self._recent.setdefault((track_id, side), deque())
        while recent and hand.at_ns - recent[0].at_ns > s.hand_pictures_s * 1e9:
            recent.popleft()
        if not self._near_a_face(hand) or not self._is_due(recent, hand.at_ns):
            return
        views = []
        for camera_id in cameras:
            frame = frames.frames.get(camera_id)
            camera = self._cameras[camera_id]
            if frame is not None and camera.in_view(hand.palm_m):
                views.append((-px_per_m(camera, hand.palm_m), camera_id, frame))
        for size, camera_id, frame in sorted(views, key=lambda v: v[:2])[: s.hand_cameras]:
            palm_px = self._cameras[camera_id].project(hand.palm_m)
            window = window_at(palm_px)
            crop = native(frame.image, window)
            recent.append(HandPicture(camera_id, hand.at_ns, crop, palm_px - (window.left, window.top), -size))

    def keep(self, reach: Reach) -> None:
        """Remember what surrounds a reach that has just ended."""
        s = self._settings
        recent = self._recent.get((reach.track_id, reach.hand), ())
        before = [p for p in recent if reach.t0_ns - s.hand_around_s * 1e9 <= p.at_ns < reach.t0_ns]
        self._records[reach.reach_id] = (reach, HandRecord(before[-s.hand_pictures :]))
        while len(self._records) > s.max_hand_records:
            del self._records[next(iter(self._records))]

    def of(self, reach: Reach) -> HandRecord:
        """What is known of the hand around a reach, up to now."""
        s = self._settings
        _, record = self._records.get(reach.reach_id, (reach, HandRecord()))
        if not record.after:
            recent = self._recent.get((reach.track_id, reach.hand), ())
            after = [p for p in recent if reach.t1_ns < p.at_ns <= reach.t1_ns + s.hand_around_s * 1e9]
            record.after.extend(after[: s.hand_pictures])
        return record

    def collect(self, now_ns: int) -> None:
        """Take the pictures after each reach before they are forgotten."""
        for reach, record in self._records.values():
            age_s = (now_ns - reach.t1_ns) / 1e9
            if not record.after and self._settings.hand_around_s <= age_s:
                self.of(reach)

    def forget(self, track_id: str) -> None:
        for key in [k for k in self._recent if k[0] == track_id]:
            del self._recent[key]
        for reach_id in [i for i, (reach, _) in self._records.items() if reach.track_id == track_id]:
            del self._records[reach_id]

    def _near_a_face(self, hand: Hand) -> bool:
        for gondola in self._layout.gondolas:
            along, out, _ = gondola.to_face(hand.palm_m)
            if -0.3 <= along <= gondola.width_m + 0.3 and -gondola.depth_m <= out <= self._settings.hand_near_m:
                return True
        return False

    def _is_due(self, recent: deque[HandPicture], at_ns: int) -> bool:
        return not recent or at_ns - recent[-1].at_ns >= self._settings.hand_every_s * 1e9 - 2e7


def px_per_m(camera: Camera, point_m: np.ndarray) -> float:
    """Pixels a metre across the line of sight takes at a point."""
    return float(camera.matrix[0, 0] / max(np.linalg.norm(point_m - camera.position_m), 0.1))


def native(image: np.ndarray, window: CropWindow) -> np.ndarray:
    """The window's own pixels, padded where it reaches beyond the picture, as a copy."""
    height, width = image.shape[:2]
    side = window.native_px
    x1, y1 = max(window.left, 0), max(window.top, 0)
    x2, y2 = min(window.left + side, width), min(window.top + side, height)
    out = np.full((side, side, 3), PADDING_GREY, np.uint8)
    if x2 > x1 and y2 > y1:
        out[y1 - window.top : y2 - window.top, x1 - window.left : x2 - window.left] = image[y1:y2, x1:x2]
    return out
