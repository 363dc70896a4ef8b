# SPDX-License-Identifier: AGPL-3.0-or-later
"""What a camera would see of everybody at many instants: boxes, key points, and how much is hidden.

Shelves and walls hide by a depth map of the layout, people hide one another as capsules around their bones. The exact
and slow way, with whole bodies, is `sim.truth`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from calibration.camera import Camera
from calibration.layout import StoreLayout
from sim.occluders import layout_depth_m
from sim.sightings.bodies import Presence

CELL_PX = 8
_SLACK_M = 0.03
# (from, to, radius) between key points; 17 is the middle of the shoulders, 18 of the hips, 19 of the head.
_CAPSULES = (
    (17, 18, 0.165), (19, 19, 0.115), (11, 13, 0.085), (12, 14, 0.085), (13, 15, 0.065), (14, 16, 0.065),
    (5, 7, 0.05), (6, 8, 0.05), (7, 9, 0.045), (8, 10, 0.045),
)  # fmt: skip
_ENDS = np.array([c[:2] for c in _CAPSULES])
_RADII = np.array([c[2] for c in _CAPSULES])
_HEAD = slice(0, 5)
_OFF_TRUNK = np.array([7, 8, 9, 10])


@dataclass(frozen=True)
class View:
    """People in pictures of one camera, N rows, in the order of pictures.

    `picture`: int (N,), which of the instants. `person`: int (N,), which of the presences. `xyxy_px`: (N, 4) visible
    part, `full_xyxy_px`: (N, 4), both clipped to the picture; `visible`: (N,) share of the surface facing the camera.
    `keypoints_px`: (N, 17, 2). `keypoints_visible`: (N, 17), as in `truth/boxes.npz`. `depth_m`: (N,).
    """

    picture: np.ndarray
    person: np.ndarray
    xyxy_px: np.ndarray
    full_xyxy_px: np.ndarray
    visible: np.ndarray
    keypoints_px: np.ndarray
    keypoints_visible: np.ndarray
    depth_m: np.ndarray

    def __len__(self) -> int:
        return len(self.picture)


@lru_cache(maxsize=64)
def _static_depth(layout_id: str, camera_id: str, _key: int) -> np.ndarray:
    return layout_depth_m(_LAYOUTS[_key].camera_by_id[camera_id], _LAYOUTS[_key], CELL_PX)


_LAYOUTS: dict[int, StoreLayout] = {}


def static_depth(layout: StoreLayout, camera_id: str) -> np.ndarray:
    """`layout_depth_m`, worked out once a layout: it takes longer than everything else here."""
    key = hash(layout.model_dump_json())
    _LAYOUTS.setdefault(key, layout)
    return _static_depth(layout.store_id, camera_id, key)


def view(camera: Camera, people: Sequence[Presence], static_depth_m: np.ndarray | None) -> View:
    """Everybody in a camera's pictures."""
    found = []
    for index, who in enumerate(people):
        pictures = np.flatnonzero(who.there)
        away_m = camera.depth_m(who.keypoints_m[pictures, 11:13].mean(1))
        ahead = away_m > 0.2
        if ahead.any():
            found.append((index, pictures[ahead], away_m[ahead]))
    if not found:
        return _empty()
    picture = np.concatenate([pictures for _, pictures, _ in found])
    person = np.concatenate([np.full(len(pictures), index) for index, pictures, _ in found])
    depth = np.concatenate([away_m for _, _, away_m in found])
    points = np.concatenate([people[i].points_m[pictures] for i, pictures, _ in found])
    normals = np.concatenate([people[i].normals[pictures] for i, pictures, _ in found])
    keypoints = np.concatenate([people[i].keypoints_m[pictures] for i, pictures, _ in found])
    area = np.array([who.area for who in people])[person]

    pixels, inside = _seen(camera, points)
    some = inside.sum(1) >= 3
    picture, person, depth, area = picture[some], person[some], depth[some], area[some]
    points, normals, keypoints, pixels, inside = (a[some] for a in (points, normals, keypoints, pixels, inside))
    if not len(picture):
        return _empty()
    key_pixels, key_inside = _seen(camera, keypoints)
    towards = camera.position_m - points
    facing = np.einsum("nki,nki->nk", normals, towards) / np.linalg.norm(towards, axis=-1)
    everything = np.concatenate([points, keypoints], 1)
    hidden = _behind_static(camera, everything, np.concatenate([pixels, key_pixels], 1), static_depth_m)
    full = _boxes(pixels, inside, camera.size_px)
    _hide_one_another(camera, everything, keypoints, full, picture, depth, hidden)
    shown = inside & ~hidden[:, : points.shape[1]]
    weight = np.maximum(facing, 0) * area
    visible = (weight * shown).sum(1) / np.maximum(weight.sum(1), 1e-12)
    enough = (shown & (facing > 0)).sum(1) >= 3
    box = np.where(enough[:, None], _boxes(pixels, shown, camera.size_px), full)
    key_hidden = hidden[:, points.shape[1] :] | _hidden_by_oneself(camera, keypoints)
    flags = np.where(key_inside, np.where(key_hidden, 1, 2), 0).astype(np.uint8)
    order = np.lexsort((person, picture))
    columns = (
        picture, person, box, full, np.where(enough, visible, 0.0), np.where(key_inside[..., None], key_pixels, 0.0),
        flags, depth,
    )  # fmt: skip
    return View(*(c[order] for c in columns))


def _empty() -> View:
    none = np.zeros(0, int)
    return View(
        none, none, np.zeros((0, 4)), np.zeros((0, 4)), np.zeros(0), np.zeros((0, 17, 2)), np.zeros((0, 17), np.uint8),
        np.zeros(0),
    )  # fmt: skip


def _seen(camera: Camera, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    pixels = camera.project(points)
    width, height = camera.size_px
    with np.errstate(invalid="ignore"):
        inside = (
            (pixels[..., 0] >= 0) & (pixels[..., 0] < width - 0.5)
            & (pixels[..., 1] >= 0) & (pixels[..., 1] < height - 0.5)
        )  # fmt: skip
    return pixels, inside


def _boxes(pixels: np.ndarray, use: np.ndarray, size_px: tuple[int, int]) -> np.ndarray:
    """(N, 4) around those of the pixels (N, K, 2) that are used, within the picture."""
    low = np.where(use[..., None], pixels, np.inf).min(1)
    high = np.where(use[..., None], pixels, -np.inf).max(1)
    return np.concatenate([np.maximum(low, 0), np.minimum(high, np.array(size_px) - 1.0)], 1)


def _behind_static(camera: Camera, points, pixels, static_depth_m) -> np.ndarray:
    """bool (N, K): shelves or walls are before a point."""
    if static_depth_m is None:
        return np.zeros(points.shape[:2], bool)
    high, wide = static_depth_m.shape
    x = np.clip(np.nan_to_num(pixels[..., 0]) / CELL_PX, 0, wide - 1).astype(int)
    y = np.clip(np.nan_to_num(pixels[..., 1]) / CELL_PX, 0, high - 1).astype(int)
    return camera.depth_m(points) > static_depth_m[y, x] + _SLACK_M


def _hide_one_another(camera: Camera, points, keypoints, boxes, picture, depth, hidden) -> None:
    """Mark in `hidden` the points that somebody nearer stands before."""
    order = np.argsort(picture, kind="stable")
    bounds = np.flatnonzero(np.diff(picture[order])) + 1
    pairs = []
    for members in np.split(order, bounds):
        if len(members) > 1:
            a, b = np.meshgrid(members, members, indexing="ij")
            pairs.append(np.stack([a.ravel(), b.ravel()], -1))
    if not pairs:
        return
    far, near = np.concatenate(pairs).T
    meets = (boxes[far, :2] < boxes[near, 2:]).all(1) & (boxes[near, :2] < boxes[far, 2:]).all(1)
    keep = (far != near) & (depth[near] < depth[far] + 0.25) & meets
    far, near = far[keep], near[keep]
    ends = _with_middles(keypoints)[:, _ENDS]  # (N, capsules, 2, 3)
    for start in range(0, len(far), 256):
        f, n = far[start : start + 256], near[start : start + 256]
        distance = _from_rays(camera.position_m, points[f], ends[n])
        covered = (distance < _RADII).any(-1)
        np.logical_or.at(hidden, f, covered)


def _with_middles(keypoints: np.ndarray) -> np.ndarray:
    middles = [keypoints[:, a].mean(1, keepdims=True) for a in ([5, 6], [11, 12], [0, 3, 4])]
    return np.concatenate([keypoints, *middles], 1)


def _from_rays(origin: np.ndarray, points: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """Least distance (P, K, C) of lines of sight, origin to points (P, K, 3) less a hand's breadth, to segments
    (P, C, 2, 3). Closest points of two segments (Ericson, Real-Time Collision Detection, 5.1.9)."""
    ray = (points - origin).astype(np.float32)
    length = np.linalg.norm(ray, axis=-1, keepdims=True)
    ray = ray * (1 - 0.12 / np.maximum(length, 0.2))
    begin = (ends[:, :, 0] - origin).astype(np.float32)
    axis = (ends[:, :, 1] - ends[:, :, 0]).astype(np.float32)
    a = (ray**2).sum(-1)[..., None]
    e = (axis**2).sum(-1)[:, None]
    b = np.einsum("pki,pci->pkc", ray, axis)
    c = -np.einsum("pki,pci->pkc", ray, begin)
    f = -(axis * begin).sum(-1)[:, None]
    denominator = np.maximum(a * e - b * b, 1e-9)
    s = np.clip((b * f - c * e) / denominator, 0, 1)
    t = np.clip((b * s + f) / np.maximum(e, 1e-9), 0, 1)
    s = np.clip((b * t - c) / np.maximum(a, 1e-9), 0, 1)
    # |s ray - begin - t axis|² written out, without the array of vectors.
    square = s * s * a + t * t * e + (begin**2).sum(-1)[:, None] + 2 * s * c - 2 * s * t * b - 2 * t * f
    return np.sqrt(np.maximum(square, 0))


def _hidden_by_oneself(camera: Camera, keypoints: np.ndarray) -> np.ndarray:
    """bool (N, 17): the far side of the head, and hands behind the trunk."""
    out = np.zeros(keypoints.shape[:2], bool)
    head = keypoints[:, _HEAD].mean(1, keepdims=True)
    to_camera = camera.position_m - head
    to_camera = to_camera / np.linalg.norm(to_camera, axis=-1, keepdims=True)
    out[:, _HEAD] = ((keypoints[:, _HEAD] - head) * to_camera).sum(-1) < -0.03
    points = _with_middles(keypoints)
    trunk = points[:, [17, 18]][:, None]
    out[:, _OFF_TRUNK] = _from_rays(camera.position_m, keypoints[:, _OFF_TRUNK], trunk)[..., 0] < 0.12
    return out
