# SPDX-License-Identifier: AGPL-3.0-or-later
"""Who carries what now: pictures of everybody's upper body, looked at when two people may have taken an item.

In a crowd a picture of one person's body shows what others hold as well: an item counts by whose hand it is nearest to.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from calibration.camera import Camera
from calibration.layout import StoreLayout
from models.crops import CropWindow, cut, window_at
from pipeline.messages import LEFT_WRIST, RIGHT_WRIST, CameraTracks, FloorTrack, FrameSet
from pipeline.shelf.handpics import native, px_per_m
from pipeline.shelf.settings import ShelfSettings
from pipeline.shelf.sight import Network, Products
from pipeline.shelf.views import SlotView, item_front

_BODY_PX = 216
"""Side of a picture in native pixels, the most that the product network is trained for."""
_CHEST_SHARE = 0.4  # of a person's box, from its top
_CHEST_M = 1.1
_SHELF_MARGIN_PX = 12
_SHELF_SHOWN_M = 0.2
"""So deep into a shelf its items are seen over a shoulder."""
_LOOKS = 3
_HELD_SIGMA_M = 0.12
"""From a wrist to the nearest edge of what the hand holds, hand's length and key point's error together."""


@dataclass
class BodyPicture:
    """An upper body in one picture; `crop`: uint8 (n, n, 3), the pixels of `window`.

    `wrists_px`, `others_px`: float64 (N, 2), the person's wrists that this camera sees, and everybody else's.
    `px_per_m`: how large things at the chest are. `products`: what the network found, once it has been asked.
    """

    camera_id: str
    at_ns: int
    crop: np.ndarray
    window: CropWindow
    wrists_px: np.ndarray
    others_px: np.ndarray
    px_per_m: float
    products: Products | None = None

    def in_own_hand(self, box: np.ndarray) -> float:
        """0 to 1: how surely what lies in `box` (4,) is in a hand of this person's and in nobody else's."""
        mine, theirs = (
            float(np.exp(-0.5 * (_off_px(box, wrists) / self.px_per_m / _HELD_SIGMA_M) ** 2))
            for wrists in (self.wrists_px, self.others_px)
        )
        return mine * mine / max(mine + theirs, 1e-9)


class BodyPictures:
    """Keeps the last seconds of everybody, two pictures a second from the two nearest cameras that found them."""

    def __init__(self, layout: StoreLayout, views: Mapping[str, tuple[SlotView, ...]], settings: ShelfSettings) -> None:
        self._cameras = layout.camera_by_id
        self._settings = settings
        self._recent: dict[str, deque[BodyPicture]] = {}
        self._shelves = {
            camera_id: {
                slot: box for slot, vs in views.items() if vs and (box := _shelf_box(vs[0], camera)) is not None
            }
            for camera_id, camera in self._cameras.items()
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
            people, row = cameras[camera_id].detections, track.sources[camera_id]
            x1, y1, x2, y2 = people.xyxy_px[row]
            window = window_at(np.array([(x1 + x2) / 2, y1 + _CHEST_SHARE * (y2 - y1)]), _BODY_PX)
            crop = native(frames.frames[camera_id].image, window)
            wrists = people.keypoints_px[:, [LEFT_WRIST, RIGHT_WRIST]].astype(float)
            seen = wrists[..., 2] >= s.min_keypoint_confidence
            others = np.arange(len(people)) != row
            recent.append(
                BodyPicture(
                    camera_id, track.at_ns, crop, window, wrists[row, seen[row], :2],
                    wrists[others][seen[others]][:, :2], px_per_m(self._cameras[camera_id], chest),
                )
            )  # fmt: skip

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
        """How surely the person has carried a product since: the mean of its three best scores, one an instant; None
        without pictures of a hand.

        `slot_ids`: where the product stands; what is seen there is on the shelf behind the person and does not count.
        """
        pictures = [p for p in self._recent.get(track_id, ()) if p.at_ns >= since_ns and len(p.wrists_px)]
        if not pictures:
            return None
        unknown = [p for p in pictures if p.products is None]
        whole = CropWindow(0, 0, _BODY_PX)
        for picture, found in zip(unknown, network.infer([cut(p.crop, whole) for p in unknown]), strict=True):
            picture.products = found
        scores: dict[int, float] = {}
        for picture in pictures:
            held = [
                float(scores_of[class_index]) * picture.in_own_hand(box)
                for box, scores_of in zip(
                    picture.window.to_frame(picture.products.xyxy_px), picture.products.class_scores, strict=True
                )
                if not self._on_shelf(picture.camera_id, box, slot_ids)
            ]
            scores[picture.at_ns] = max(scores.get(picture.at_ns, 0.0), *held, 0.0)
        return sum(sorted(scores.values(), reverse=True)[:_LOOKS]) / _LOOKS

    def _on_shelf(self, camera_id: str, box: np.ndarray, slot_ids: Sequence[str]) -> bool:
        x, y = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2
        fronts = self._shelves.get(camera_id, {})
        return any(
            front[0] - _SHELF_MARGIN_PX < x < front[2] + _SHELF_MARGIN_PX
            and front[1] - _SHELF_MARGIN_PX < y < front[3] + _SHELF_MARGIN_PX
            for front in (fronts[s] for s in slot_ids if s in fronts)
        )


def _off_px(box: np.ndarray, points_px: np.ndarray) -> float:
    """Pixels from the box (4,) to the nearest of the points (N, 2); 0 inside, infinite where there is none."""
    outside = np.maximum(np.maximum(box[:2] - points_px, points_px - box[2:]), 0)
    return float(np.linalg.norm(outside, axis=1).min(initial=np.inf))


def _shelf_box(view: SlotView, camera: Camera) -> np.ndarray | None:
    """Where a camera, any, sees what stands in a slot: x1, y1, x2, y2; None where it does not."""
    back_m = min(_SHELF_SHOWN_M, view.shelf.depth_m)
    fronts = [item_front(view.gondola, view.shelf, view.slot, view.item_m, behind_m) for behind_m in (0.0, back_m)]
    if (camera.position_m - fronts[0].mean(0)) @ view.gondola.normal <= 0.05 or not camera.in_view(fronts[0]).any():
        return None
    seen = camera.project(np.concatenate(fronts))
    return np.array([*np.nanmin(seen, axis=0), *np.nanmax(seen, axis=0)])
