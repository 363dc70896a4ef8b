# SPDX-License-Identifier: AGPL-3.0-or-later
"""Which camera sees which slot, where in its picture, and how large."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import cv2
import numpy as np

from calibration.camera import Camera
from calibration.catalogue import Catalogue, Planogram
from calibration.layout import Gondola, Shelf, Slot, StoreLayout
from models.crops import NATIVE_PX
from pipeline.shelf.settings import ShelfSettings

RECTIFIED_PX_PER_CM = 3.0
FRONT_INSET_M = 0.013
"""Items stand this far behind the shelf's front edge; pictures of fronts are taken there."""
LIP_M = 0.03
"""What hangs below the board above at its front edge: a rail for price labels."""


@dataclass(frozen=True)
class SlotView:
    """One slot as one camera sees it.

    `item_m`: (3,), width, depth and height of what stands at the front (the planogram's product, or a guess from the
    slot). `quad_px`: float32 (4, 2), the front of that item in the picture: bottom left, bottom right, top right, top
    left. `rect_px`: x1, y1, x2, y2, whole pixels around the space of the slot that counts. `px_per_cm`: root of the
    area of the front, pixels per centimetre.
    """

    slot_id: str
    gondola_id: str
    camera_id: str
    item_m: tuple[float, float, float]
    quad_px: np.ndarray
    rect_px: tuple[int, int, int, int]
    px_per_cm: float
    camera: Camera
    gondola: Gondola
    shelf: Shelf
    slot: Slot

    def front_quad(self, behind_m: float) -> np.ndarray:
        """float32 (4, 2): where in the picture the item's front would be if it stood `behind_m` further back."""
        corners = item_front(self.gondola, self.shelf, self.slot, self.item_m, behind_m)
        return self.camera.project(corners).astype(np.float32)

    def rectified_size(self) -> tuple[int, int]:
        """Width and height in pixels of a rectified front."""
        return tuple(max(8, round(self.item_m[i] * 100 * RECTIFIED_PX_PER_CM)) for i in (0, 2))

    def rectify(self, crop: np.ndarray, behind_m: float) -> np.ndarray:
        """The plane `behind_m` behind the front, as large as the item's front, cut from a crop of `rect_px`."""
        width, height = self.rectified_size()
        target = np.array([[0, height], [width, height], [width, 0], [0, 0]], np.float32) - 0.5
        source = self.front_quad(behind_m) - np.array(self.rect_px[:2], np.float32)
        warp = cv2.getPerspectiveTransform(target, source)
        return cv2.warpPerspective(
            crop, warp, (width, height), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
            borderMode=cv2.BORDER_REPLICATE,
        )  # fmt: skip


def item_front(
    gondola: Gondola, shelf: Shelf, slot: Slot, item_m: tuple[float, float, float], behind_m: float = 0.0
) -> np.ndarray:
    """World corners (4, 3) of the front of an item that stands in the middle of a slot.

    `behind_m`: how much further back than the foremost place.
    """
    middle, half = (slot.start_m + slot.end_m) / 2, item_m[0] / 2
    low, high = shelf.height_m, shelf.height_m + item_m[2]
    along = np.array([middle - half, middle + half, middle + half, middle - half])
    return gondola.to_world(along, np.full(4, -FRONT_INSET_M - behind_m), np.array([low, low, high, high]))


def item_size(shelf: Shelf, slot: Slot, planogram: Planogram, catalogue: Catalogue) -> tuple[float, float, float]:
    """What probably stands in a slot: its planned product, or something that fills most of the slot."""
    width = slot.end_m - slot.start_m
    gtin = planogram.slots.get(slot.id)
    if gtin is None:
        return 0.85 * width, min(0.08, shelf.depth_m), 0.7 * shelf.clearance_m
    w, d, h = catalogue.by_gtin[gtin].size_m
    return min(w, width), d, min(h, shelf.clearance_m)


def visible_front(view: SlotView, behind_m: float) -> np.ndarray:
    """bool (h, w) over a rectified front that stands `behind_m` further back: what the board above and full
    neighbouring rows leave visible, were the places before it empty."""
    width, height = view.rectified_size()
    middle = (view.slot.start_m + view.slot.end_m) / 2
    along = middle + (np.arange(width) + 0.5 - width / 2) / width * view.item_m[0]
    up = view.shelf.height_m + (height - 0.5 - np.arange(height)) / height * view.item_m[2]
    eye_along, eye_out, eye_up = view.gondola.to_face(view.camera.position_m)
    back = FRONT_INSET_M + behind_m
    at_edge = eye_out / (eye_out + back)
    at_front = (eye_out + FRONT_INSET_M) / (eye_out + back)
    up_at_edge = eye_up + (up - eye_up) * at_edge
    along_at_front = eye_along + (along - eye_along) * at_front
    up_at_front = eye_up + (up - eye_up) * at_front
    gap = view.slot.end_m - view.slot.start_m - view.item_m[0]
    under = up_at_edge < view.shelf.height_m + view.shelf.clearance_m - LIP_M
    over = up_at_front > view.shelf.height_m + view.item_m[2]
    between = (along_at_front > view.slot.start_m - gap / 2) & (along_at_front < view.slot.end_m + gap / 2)
    return under[:, None] & (between[None, :] | over[:, None])


def slot_views(
    layout: StoreLayout, catalogue: Catalogue, planogram: Planogram, settings: ShelfSettings
) -> dict[str, tuple[SlotView, ...]]:
    """slot id -> its views, best first; a slot that no camera sees well enough has none."""
    out: dict[str, tuple[SlotView, ...]] = {}
    for slot_id, (gondola, shelf, slot) in layout.slot_by_id.items():
        item = item_size(shelf, slot, planogram, catalogue)
        views = []
        for camera_id, camera in layout.camera_by_id.items():
            view = _view(layout, camera_id, camera, gondola, shelf, slot, item, settings)
            if view is not None:
                views.append(view)
        views.sort(key=lambda v: (-v.px_per_cm, v.camera_id))
        out[slot_id] = tuple(views[: settings.max_cameras_per_slot])
    return out


def _view(layout, camera_id, camera, gondola, shelf, slot, item, settings) -> SlotView | None:
    front = item_front(gondola, shelf, slot, item)
    centre = front.mean(0)
    if (camera.position_m - centre) @ gondola.normal <= 0.05:
        return None
    deep = item_front(gondola, shelf, slot, item, min(settings.slot_depth_shown_m, shelf.depth_m))
    quad = camera.project(front)
    around = np.concatenate([quad, camera.project(deep)])
    if np.isnan(around).any() or not camera.in_view(front).all():
        return None
    wide = np.linalg.norm(quad[1] - quad[0]) / (item[0] * 100)
    tall = np.linalg.norm(quad[3] - quad[0]) / (item[2] * 100)
    area = abs(float(cv2.contourArea(quad.astype(np.float32))))
    px_per_cm = float(np.sqrt(area / (item[0] * item[2] * 1e4)))
    if px_per_cm < settings.min_px_per_cm or min(wide, tall) < settings.min_px_per_cm * 0.6:
        return None
    if hidden_share(layout, camera.position_m, front, gondola.id) > 0.1:
        return None
    width, height = camera.size_px
    # Large enough for everything that is compared and for one crop of the product network.
    middle = np.round(quad.mean(0)).astype(int)
    x1, y1 = np.maximum(np.minimum(np.floor(around.min(0)) - 4, middle - NATIVE_PX // 2), 0).astype(int)
    x2, y2 = np.minimum(np.maximum(np.ceil(around.max(0)) + 5, middle + NATIVE_PX // 2), (width, height)).astype(int)
    return SlotView(
        slot.id, gondola.id, camera_id, item, quad.astype(np.float32), (int(x1), int(y1), int(x2), int(y2)),
        px_per_cm, camera, gondola, shelf, slot,
    )  # fmt: skip


def hidden_share(layout: StoreLayout, eye_m: np.ndarray, quad_m: np.ndarray, own_gondola: str) -> float:
    """Share of a 5 x 5 grid over a quad (4, 3) that other gondolas hide from `eye_m`."""
    u, v = np.meshgrid(np.linspace(0.05, 0.95, 5), np.linspace(0.05, 0.95, 5))
    a, b, c, d = (p[None, None] for p in quad_m)
    points = ((1 - u) * (1 - v))[..., None] * a + (u * (1 - v))[..., None] * b
    points = (points + (u * v)[..., None] * c + ((1 - u) * v)[..., None] * d).reshape(-1, 3)
    hidden = np.zeros(len(points), bool)
    for gondola in layout.gondolas:
        if gondola.id != own_gondola:
            hidden |= _box_between(gondola, eye_m, points)
    return float(hidden.mean())


def _box_between(gondola: Gondola, eye_m: np.ndarray, points_m: np.ndarray) -> np.ndarray:
    """bool (N,): does the segment from the eye to each point pass through the gondola's body? (slab method)"""
    low = np.array([0.0, -gondola.depth_m, 0.0]) + 1e-3
    high = np.array([gondola.width_m, 0.0, gondola.height_m]) - 1e-3
    start, end = gondola.to_face(eye_m), gondola.to_face(points_m)
    step = end - start
    with np.errstate(divide="ignore", invalid="ignore"):
        t1, t2 = (low - start) / step, (high - start) / step
    near = np.nanmax(np.minimum(t1, t2), axis=1)
    far = np.nanmin(np.maximum(t1, t2), axis=1)
    return (near < far) & (far > 0) & (near < 0.999)


def people_boxes(xyxy_px: np.ndarray, margin_px: float) -> np.ndarray:
    """Boxes (N, 4) grown by a margin on all sides."""
    return np.asarray(xyxy_px, float) + np.array([-margin_px, -margin_px, margin_px, margin_px])


def group_by_camera(views: Mapping[str, tuple[SlotView, ...]]) -> dict[str, list[SlotView]]:
    """camera id -> the views it gives, in a fixed order."""
    out: dict[str, list[SlotView]] = {}
    for slot_views_ in views.values():
        for view in slot_views_:
            out.setdefault(view.camera_id, []).append(view)
    return out
