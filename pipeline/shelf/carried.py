# SPDX-License-Identifier: AGPL-3.0-or-later
"""Who carries what now: pictures of everybody's upper body, looked at when two people may have taken an item."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from calibration.layout import StoreLayout
from models.crops import CropWindow, cut, window_at
from pipeline.messages import CameraTracks, FloorTrack, FrameSet
from pipeline.shelf.handpics import native, px_per_m
from pipeline.shelf.settings import ShelfSettings
from pipeline.shelf.sight import Network
from pipeline.shelf.views import SlotView, group_by_camera

_BODY_PX = 216
"""Side of a picture in native pixels, the most that the product network is trained for."""
_CHEST_SHARE = 0.4  # of a person's box, from its top
_CHEST_M = 1.1
_SHELF_MARGIN_PX = 12


@dataclass(frozen=True)
class BodyPicture:
    """An upper body in one picture; `crop`: uint8 (n, n, 3), the pixels of `window`."""

    camera_id: str
    at_ns: int
    crop: np.ndarray
    window: CropWindow


class BodyPictures:
    """Keeps the last seconds of everybody, two pictures a second from the two nearest cameras that found them."""

    def __init__(self, layout: StoreLayout, views: Mapping[str, tuple[SlotView, ...]], settings: ShelfSettings) -> None:
        self._cameras = layout.camera_by_id
        self._settings = settings
        self._recent: dict[str, deque[BodyPicture]] = {}
        self._shelves = {
            camera: {v.slot_id: np.array([*v.quad_px.min(0), *v.quad_px.max(0)]) for v in vs}
            for camera, vs in group_by_camera(views).items()
        }

    def see(self, track: FloorTrack, frames: FrameSet, cameras: Mapping[str, CameraTracks]) -> None:
        s = self._settings
        recent = self._recent.setdefault(track.track_id, deque())
        if recent and track.at_ns - recent[-1].at_ns < s.body_every_s * 1e9 - 2e7:
            return
        while recent and track.at_ns - recent[0].at_ns > s.body_pictures_s * 1e9:
            recent.popleft()
        chest = np.array([*track.floor_xy_m, _CHEST_M])
        near = sorted(
            (-px_per_m(self._cameras[c], chest) * self._faced(track, c), c)
            for c in track.sources
            if c in cameras and c in frames.frames
        )
        for _, camera_id in near[: s.hand_cameras]:
            x1, y1, x2, y2 = cameras[camera_id].detections.xyxy_px[track.sources[camera_id]]
            window = window_at(np.array([(x1 + x2) / 2, y1 + _CHEST_SHARE * (y2 - y1)]), _BODY_PX)
            crop = native(frames.frames[camera_id].image, window)
            recent.append(BodyPicture(camera_id, track.at_ns, crop, window))

    def _faced(self, track: FloorTrack, camera_id: str) -> float:
        """More than 1 for a camera that a walking person comes towards: what is carried is in front of the body."""
        speed = float(np.linalg.norm(track.velocity_m_s))
        to_camera = self._cameras[camera_id].position_m[:2] - track.floor_xy_m
        cosine = float(track.velocity_m_s @ to_camera) / max(speed * float(np.linalg.norm(to_camera)), 1e-6)
        return 1 + 0.6 * cosine if speed > 0.3 else 1.0

    def forget(self, track_id: str) -> None:
        self._recent.pop(track_id, None)

    def carries(
        self, network: Network, track_id: str, class_index: int, slot_ids: Sequence[str], since_ns: int
    ) -> float | None:
        """How surely the person carries a product: the mean of its two best scores; None without pictures.

        `slot_ids`: where the product stands; what is seen there is on the shelf behind the person and does not count.
        """
        pictures = [p for p in self._recent.get(track_id, ()) if p.at_ns >= since_ns]
        if not pictures:
            return None
        step = max(1, len(pictures) // self._settings.body_looks)
        pictures = pictures[::-1][::step][: self._settings.body_looks]
        whole = CropWindow(0, 0, _BODY_PX)
        scores = []
        for picture, found in zip(pictures, network.infer([cut(p.crop, whole) for p in pictures]), strict=True):
            boxes = picture.window.to_frame(found.xyxy_px)
            held = [
                float(scores_of[class_index])
                for box, scores_of in zip(boxes, found.class_scores, strict=True)
                if not self._on_shelf(picture.camera_id, box, slot_ids)
            ]
            scores.append(max(held, default=0.0))
        return float(np.mean(sorted(scores, reverse=True)[:2]))

    def _on_shelf(self, camera_id: str, box: np.ndarray, slot_ids: Sequence[str]) -> bool:
        x, y = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2
        fronts = self._shelves.get(camera_id, {})
        return any(
            front[0] - _SHELF_MARGIN_PX < x < front[2] + _SHELF_MARGIN_PX
            and front[1] - _SHELF_MARGIN_PX < y < front[3] + _SHELF_MARGIN_PX
            for front in (fronts[s] for s in slot_ids if s in fronts)
        )
