# SPDX-License-Identifier: AGPL-3.0-or-later
"""What changed on a shelf: pictures of every slot's front over time, per camera, and comparing two of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import cv2
import numpy as np

from pipeline.shelf.settings import ShelfSettings
from pipeline.shelf.views import SlotView, group_by_camera, is_clear

_NOISE_GREY = 5.0  # sensor noise and compression of a picture halved in size, grey levels


@dataclass(frozen=True)
class SlotPicture:
    """One slot in one picture while nobody stood in front. `crop`: uint8 (h, w, 3) of the view's `rect_px`, BGR."""

    at_ns: int
    crop: np.ndarray


@dataclass(frozen=True)
class SlotChange:
    """One camera saw a slot look different from `after.at_ns` on; before, it looked as in `before` up to then."""

    view: SlotView
    before: SlotPicture
    after: SlotPicture
    difference: float


def signature(view: SlotView, crop: np.ndarray) -> np.ndarray:
    """float32 (h, w, 3): the item's front, rectified, at half size, which evens out noise and compression."""
    front = view.rectify(crop, 0.0)
    size = max(4, front.shape[1] // 2), max(4, front.shape[0] // 2)
    return cv2.resize(front, size, interpolation=cv2.INTER_AREA).astype(np.float32)


def difference(a: np.ndarray, b: np.ndarray) -> float:
    """0 for two pictures of the same thing under any brightness and contrast, about 1 for unrelated ones.

    Variance of what is left after the best gain and offset a channel, over the pictures' own variance plus noise:
    like 1 - ZNCC (Lewis, 1995), but two pictures of the same plain surface count as equal.
    """
    x, y = a.reshape(-1, a.shape[-1]), b.reshape(-1, b.shape[-1])
    x, y = x - x.mean(0), y - y.mean(0)
    vx, vy, vxy = (x * x).mean(), (y * y).mean(), (x * y).mean()
    gain = np.sqrt((vx + _NOISE_GREY**2) / (vy + _NOISE_GREY**2))  # contrast: light that dims dims all of it
    gain = float(np.clip(gain, 0.6, 1.7))
    residual = vx + gain**2 * vy - 2 * gain * vxy
    return float(max(residual - _NOISE_GREY**2, 0) / (vx + gain**2 * vy + 2 * _NOISE_GREY**2))


@dataclass
class _Watched:
    settled: SlotPicture | None = None
    settled_signature: np.ndarray | None = None
    pending: list[tuple[SlotPicture, np.ndarray]] = field(default_factory=list)


class SlotWatch:
    """What every slot looks like to every camera, and when it began to look different.

    A picture counts when no person's box touches the slot's front in it. One that differs from the settled look has to
    be seen `settle_observations` times in a row, unchanged, before it is reported and becomes the settled look.
    """

    def __init__(self, views: Mapping[str, tuple[SlotView, ...]], settings: ShelfSettings) -> None:
        self._settings = settings
        self._by_camera = group_by_camera(views)
        self._view = {(v.slot_id, v.camera_id): v for vs in views.values() for v in vs}
        self._watched: dict[tuple[str, str], _Watched] = {key: _Watched() for key in self._view}

    @property
    def camera_ids(self) -> list[str]:
        return sorted(self._by_camera)

    def observe(
        self, camera_id: str, at_ns: int, image: np.ndarray, boxes_px: np.ndarray, gondolas: set[str] | None = None
    ) -> list[SlotChange]:
        """Look at all slots of this camera (of these gondolas) that `boxes_px` (N, 4), people, leave free."""
        changes = []
        for view in self._by_camera.get(camera_id, ()):
            if gondolas is not None and view.gondola_id not in gondolas:
                continue
            if not is_clear(view, boxes_px):
                continue
            x1, y1, x2, y2 = view.rect_px
            change = self._look(view, SlotPicture(at_ns, image[y1:y2, x1:x2].copy()))
            if change is not None:
                changes.append(change)
        return changes

    def settled(self, view: SlotView) -> SlotPicture | None:
        """What the slot looks like now, as far as this camera has seen."""
        return self._watched[view.slot_id, view.camera_id].settled

    def unsettled(self, view: SlotView) -> SlotPicture | None:
        """The latest clear picture that differs from the settled look and has not lasted long enough."""
        pending = self._watched[view.slot_id, view.camera_id].pending
        return pending[-1][0] if pending else None

    def hurry(self, slot_ids: set[str] | None) -> list[SlotChange]:
        """Changes of these slots (None: all) that have not lasted long enough to be reported; they count now."""
        changes = []
        for key, watched in sorted(self._watched.items()):
            if watched.pending and (slot_ids is None or key[0] in slot_ids):
                changes.append(self._change(watched, self._view[key]))
        return changes

    def _change(self, watched: _Watched, view: SlotView) -> SlotChange:
        """The pending look becomes the settled one."""
        first, (picture, seen) = watched.pending[0][0], watched.pending[-1]
        gap = difference(watched.settled_signature, seen)
        change = SlotChange(view, watched.settled, SlotPicture(first.at_ns, picture.crop), gap)
        watched.settled, watched.settled_signature = picture, seen
        watched.pending.clear()
        return change

    def _look(self, view: SlotView, picture: SlotPicture) -> SlotChange | None:
        s = self._settings
        watched = self._watched[view.slot_id, view.camera_id]
        seen = signature(view, picture.crop)
        if watched.settled is None:
            watched.settled, watched.settled_signature = picture, seen
            return None
        gap = difference(watched.settled_signature, seen)
        if gap < s.same_view:
            watched.settled = picture
            watched.settled_signature = 0.7 * watched.settled_signature + 0.3 * seen  # follows the light
            watched.pending.clear()
            return None
        if watched.pending and difference(watched.pending[-1][1], seen) >= s.same_view:
            watched.pending.clear()  # something is still moving there
        watched.pending.append((picture, seen))
        first = watched.pending[0][0]
        lasted_s = (picture.at_ns - first.at_ns) / 1e9
        if len(watched.pending) < s.settle_observations or lasted_s < s.settle_s:
            return None
        return self._change(watched, view)


@dataclass(frozen=True)
class DepthShift:
    """How far the front of a slot moved back between two pictures.

    `behind_m`: positive for a front that is further back afterwards (something was taken), negative for one nearer.
    `match`: how well the moved front agrees, 1 is the same picture; `still`: the same for no movement.
    """

    behind_m: float
    match: float
    still: float


def depth_shift(view: SlotView, before: np.ndarray, after: np.ndarray, step_m: float = 0.005) -> DepthShift:
    """Plane sweep (Collins, 1996) over the slot's depth: find the old front again further back, or the new one.

    Both pictures are crops of `view.rect_px`. The item that stands behind a taken one mostly shows the same label,
    deeper in the shelf.
    """
    depth = max(min(view.shelf.depth_m, 0.45) - view.item_m[1], view.item_m[1])
    steps = np.arange(0.0, depth + step_m / 2, step_m)
    fronts = [view.rectify(picture, 0.0).astype(np.float32) for picture in (before, after)]
    best = DepthShift(0.0, -1.0, 1 - difference(*fronts))
    for sign, template, searched in ((1, fronts[0], after), (-1, fronts[1], before)):
        for behind in steps[1:]:
            match = 1 - difference(template, view.rectify(searched, float(behind)).astype(np.float32))
            if match > best.match:
                best = DepthShift(sign * float(behind), match, best.still)
    return best
