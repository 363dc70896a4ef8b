# SPDX-License-Identifier: AGPL-3.0-or-later
"""What each camera should see of each body: its box, how well its edges are known, who stands before it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pipeline.perception.floor.bodies import CameraBank, Outlines, outlines
from pipeline.perception.floor.settings import AssociationSettings, BodySettings

FILLED = 0.85
"""Share of its box that a body fills, a little generous."""


@dataclass(frozen=True)
class Expectation:
    """Of T bodies in C cameras: `edges_px` (T, C, 4), `tall_px` (T, C), `jacobian` (T, C, 4, 4) by (x, y, h, r) in
    heights, `noise` (T, C, 4) variances in heights."""

    edges_px: np.ndarray
    tall_px: np.ndarray
    jacobian: np.ndarray
    noise: np.ndarray


@dataclass(frozen=True)
class Visibility:
    """Of T bodies in C cameras: `detected` (T, C) chance of a box, `sharp` (T, C) how steeply its score's density
    rises, `log_hidden` (T, C, 4) log odds of each edge being something else's."""

    detected: np.ndarray
    sharp: np.ndarray
    log_hidden: np.ndarray

    def of(self, bodies: np.ndarray) -> Visibility:
        return Visibility(self.detected[bodies], self.sharp[bodies], self.log_hidden[bodies])

    def only(self, cameras: np.ndarray) -> Visibility:
        return Visibility(self.detected[:, cameras], self.sharp[:, cameras], self.log_hidden[:, cameras])


def expect(bank: CameraBank, state: np.ndarray, body: BodySettings) -> Expectation:
    """`state`: float64 (T, C, 4), at each camera's instant."""
    out = outlines(bank, state)
    tall = out.tall_px
    metre = bank.focal_px / np.maximum(out.depth_m, 0.3) / tall  # in heights
    spread_m = np.array([body.side_sigma_m, body.top_sigma_m, body.side_sigma_m, body.bottom_sigma_m])
    noise = (spread_m * metre[..., None]) ** 2 + body.edge_sigma**2
    return Expectation(out.edges_px, tall, out.jacobian / tall[..., None, None], noise)


def visibility(
    bank: CameraBank, out: Outlines, shown: np.ndarray, before: np.ndarray, s: AssociationSettings
) -> Visibility:
    """Of the first T of K bodies, of which `out` tells. `shown`: bool (T, C, 4), are feet, knees, chest, head free
    of shelves? `before`: bool (T, K), may the second stand before the first?"""
    t = len(shown)
    box = out.edges_px
    low = np.clip(box[..., :2], bank.bounds_px[:, :2], bank.bounds_px[:, 2:])
    high = np.clip(box[..., 2:], bank.bounds_px[:, :2], bank.bounds_px[:, 2:])
    size = np.maximum(high - low, 0.0)
    area = size[..., 0] * size[..., 1]
    full = np.maximum(box[..., 2] - box[..., 0], 1.0) * np.maximum(box[..., 3] - box[..., 1], 1.0)
    inside = np.clip(area / full, 0, 1)
    cover = _cover(low, high, area, np.where(out.ahead, out.depth_m, np.inf), before)
    inside, ahead = inside[:t], out.ahead[:t]
    chest_and_head = shown[..., 2:].mean(-1)
    seen = inside * (1 - cover) * np.where(shown.all(-1), 1.0, 0.9 * chest_and_head)
    detected = np.where(ahead, s.detected * _rise(seen, s.half_seen, s.seen_width), 0.0)
    chance = np.empty((*cover.shape, 4))
    chance[..., [0, 2]] = (s.hidden_side + s.covered_side * cover)[..., None]
    chance[..., 1] = s.hidden_top
    chance[..., 3] = np.where(shown[..., 0], s.hidden_bottom + s.covered_bottom * cover**2, 0.9)
    sharp = 1 + (s.sharp - 1) * _rise(seen, s.half_sharp, s.sharp_width)
    return Visibility(np.clip(detected, 0.01, s.detected), sharp, np.log(chance / (1 - chance)))


def _rise(x: np.ndarray, half: float, width: float) -> np.ndarray:
    return 1 / (1 + np.exp((half - x) / width))


def _cover(low: np.ndarray, high: np.ndarray, area: np.ndarray, depth_m: np.ndarray, before: np.ndarray) -> np.ndarray:
    """Share (T, C) of what the picture holds of each body that lies behind nearer bodies' boxes."""
    t, cameras = len(before), area.shape[1]
    left, right, depth = (np.ascontiguousarray(a.T) for a in (low[..., 0], high[..., 0], depth_m))
    meet = left[:, :t, None] < right[:, None]
    meet &= left[:, None] < right[:, :t, None]
    meet &= depth[:, None] < depth[:, :t, None]
    meet &= before
    c, v, o = np.nonzero(meet)
    common = np.minimum(high[v, c], high[o, c]) - np.maximum(low[v, c], low[o, c])
    common = common[:, 0] * np.maximum(common[:, 1], 0.0)
    share = np.minimum(FILLED * common / np.maximum(area[v, c], 1.0), 0.95)
    uncovered = np.exp(np.bincount(v * cameras + c, np.log1p(-share), t * cameras)).reshape(t, cameras)
    return 1 - uncovered
