# SPDX-License-Identifier: AGPL-3.0-or-later
"""What each camera should see of each body: its box, how well its edges are known, who stands before it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pipeline.perception.floor.bodies import BOTTOM, LEFT, RIGHT, TOP, CameraBank, Outlines, outlines
from pipeline.perception.floor.settings import AssociationSettings, BodySettings

FILLED = 0.85
"""Share of its box that a body fills, a little generous."""


@dataclass(frozen=True)
class Expectation:
    """Of T bodies in C cameras, edges first: `edges_px` (4, T, C), `tall_px` (T, C), `jacobian` (4, 4, T, C) by
    (x, y, h, r) in heights, `noise` (4, T, C) variances in heights."""

    edges_px: np.ndarray
    tall_px: np.ndarray
    jacobian: np.ndarray
    noise: np.ndarray


@dataclass(frozen=True)
class Visibility:
    """Of T bodies in C cameras: `detected` (T, C) chance of a box, `sharp` (T, C) how steeply its score's density
    rises, `log_hidden` (4, T, C) log odds of each edge being something else's."""

    detected: np.ndarray
    sharp: np.ndarray
    log_hidden: np.ndarray

    def of(self, bodies: np.ndarray) -> Visibility:
        return Visibility(self.detected[bodies], self.sharp[bodies], self.log_hidden[:, bodies])

    def only(self, cameras: np.ndarray) -> Visibility:
        return Visibility(self.detected[:, cameras], self.sharp[:, cameras], self.log_hidden[..., cameras])


def expect(bank: CameraBank, state: np.ndarray, body: BodySettings) -> Expectation:
    """`state`: float64 (T, C, 4), at each camera's instant."""
    out = outlines(bank, state)
    tall = out.tall_px
    metre = bank.focal_px / np.maximum(out.depth_m, 0.3) / tall  # in heights
    spread_m = np.array([body.side_sigma_m, body.top_sigma_m, body.side_sigma_m, body.bottom_sigma_m])
    noise = (spread_m[:, None, None] * metre) ** 2 + body.edge_sigma**2
    jacobian = np.moveaxis(out.jacobian, (-2, -1), (0, 1)) / tall
    return Expectation(np.moveaxis(out.edges_px, -1, 0), tall, jacobian, noise)


def visibility(
    bank: CameraBank, out: Outlines, shown: np.ndarray, before: np.ndarray, s: AssociationSettings
) -> Visibility:
    """Of the first T of K bodies, of which `out` tells. `shown`: bool (T, C, 4), are feet, knees, chest, head free
    of shelves? `before`: bool (T, K), may the second stand before the first?"""
    t = len(shown)
    lowest, highest = bank.bounds_px[:, :2].T[:, None], bank.bounds_px[:, 2:].T[:, None]
    box = np.moveaxis(out.edges_px, -1, 0)
    (left, top), (right, bottom) = (np.minimum(np.maximum(ends, lowest), highest) for ends in (box[:2], box[2:]))
    area = np.maximum(right - left, 0.0) * np.maximum(bottom - top, 0.0)
    full = np.maximum(box[2] - box[0], 1.0) * np.maximum(box[3] - box[1], 1.0)
    inside = np.minimum(area / full, 1.0)
    cover = _cover((left, top, right, bottom), area, np.where(out.ahead, out.depth_m, np.inf), before)
    inside, ahead = inside[:t], out.ahead[:t]
    chest_and_head = shown[..., 2:].mean(-1)
    seen = inside * (1 - cover) * np.where(shown.all(-1), 1.0, 0.9 * chest_and_head)
    detected = np.where(ahead, s.detected * _rise(seen, s.half_seen, s.seen_width), 0.0)
    chance = np.empty((4, *cover.shape))
    chance[[LEFT, RIGHT]] = s.hidden_side + s.covered_side * cover
    chance[TOP] = s.hidden_top
    chance[BOTTOM] = np.where(shown[..., 0], s.hidden_bottom + s.covered_bottom * cover**2, 0.9)
    sharp = 1 + (s.sharp - 1) * _rise(seen, s.half_sharp, s.sharp_width)
    return Visibility(np.clip(detected, 0.01, s.detected), sharp, np.log(chance / (1 - chance)))


def _rise(x: np.ndarray, half: float, width: float) -> np.ndarray:
    return 1 / (1 + np.exp((half - x) / width))


def _cover(edges: tuple[np.ndarray, ...], area: np.ndarray, depth_m: np.ndarray, before: np.ndarray) -> np.ndarray:
    """Share (T, C) of what the picture holds of each body that lies behind nearer bodies' boxes."""
    t, k = before.shape
    left, top, right, bottom, depth = (np.ascontiguousarray(a.T) for a in (*edges, depth_m))
    meet = left[:, :t, None] < right[:, None]
    meet &= left[:, None] < right[:, :t, None]
    meet &= depth[:, None] < depth[:, :t, None]
    meet &= before
    # Camera after camera: who is behind by place among the T, who is in front by place among the K.
    behind, front = np.divmod(np.flatnonzero(meet), k)
    front += behind // t * k
    left_t, top_t, right_t, bottom_t, area_t = (a[:, :t].ravel() for a in (left, top, right, bottom, area.T))
    wide = np.minimum(right_t[behind], right.ravel()[front]) - np.maximum(left_t[behind], left.ravel()[front])
    tall = np.minimum(bottom_t[behind], bottom.ravel()[front]) - np.maximum(top_t[behind], top.ravel()[front])
    share = np.minimum(FILLED * wide * np.maximum(tall, 0.0) / np.maximum(area_t[behind], 1.0), 0.95)
    uncovered = np.exp(np.bincount(behind, np.log1p(-share), left_t.size))
    return np.ascontiguousarray(1 - uncovered.reshape(-1, t).T)
