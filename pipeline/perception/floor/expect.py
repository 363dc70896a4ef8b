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
    """Of T bodies in C cameras, edges first and bodies last: `edges_px` (4, C, T), `tall_px` (C, T), `jacobian`
    (4, 4, C, T) by (x, y, h, r) in heights, `noise` (4, C, T) variances in heights."""

    edges_px: np.ndarray
    tall_px: np.ndarray
    jacobian: np.ndarray
    noise: np.ndarray


@dataclass(frozen=True)
class Visibility:
    """Of T bodies in C cameras: `detected` (C, T) chance of a box, `sharp` (C, T) how steeply its score's density
    rises, `log_hidden` (4, C, T) log odds of each edge being something else's."""

    detected: np.ndarray
    sharp: np.ndarray
    log_hidden: np.ndarray

    def of(self, bodies: np.ndarray) -> Visibility:
        return Visibility(self.detected[:, bodies], self.sharp[:, bodies], self.log_hidden[..., bodies])

    def only(self, cameras: np.ndarray) -> Visibility:
        return Visibility(self.detected[cameras], self.sharp[cameras], self.log_hidden[:, cameras])


def expect(bank: CameraBank, state: np.ndarray, body: BodySettings) -> Expectation:
    """`state`: float64 (T, C, 4) or (T, 1, 4), at each camera's instant."""
    out = outlines(bank, state)
    tall = out.tall_px
    metre = bank.focal_px[:, None] / np.maximum(out.depth_m, 0.3) / tall  # in heights
    spread_m = np.array([body.side_sigma_m, body.top_sigma_m, body.side_sigma_m, body.bottom_sigma_m])
    noise = (spread_m[:, None, None] * metre) ** 2 + body.edge_sigma**2
    return Expectation(out.edges_px, tall, out.jacobian / tall, noise)


def visibility(
    bank: CameraBank, out: Outlines, shown: np.ndarray, before: np.ndarray, s: AssociationSettings
) -> Visibility:
    """Of the first T of K bodies, of which `out` tells. `shown`: bool (T, C, 4), are feet, knees, chest, head free
    of shelves? `before`: bool (T, K), may the second stand before the first?"""
    t, box = len(shown), out.edges_px
    first, last = bank.bounds_px.T.reshape(2, 2, -1, 1)
    (left, top), (right, bottom) = (np.minimum(np.maximum(ends, first), last) for ends in (box[:2], box[2:]))
    area = np.maximum(right - left, 0.0) * np.maximum(bottom - top, 0.0)
    full = np.maximum(box[RIGHT] - box[LEFT], 1.0) * np.maximum(box[BOTTOM] - box[TOP], 1.0)
    cover = _cover((left, top, right, bottom), area, np.where(out.ahead, out.depth_m, np.inf), before)
    inside, ahead = np.minimum(area / full, 1.0)[:, :t], out.ahead[:, :t]
    feet, knees, chest, head = shown.T  # (C, T) each
    seen = inside * (1 - cover) * np.where(feet & knees & chest & head, 1.0, 0.45 * (1.0 * chest + head))
    detected = np.where(ahead, s.detected * _rise(seen, s.half_seen, s.seen_width), 0.0)
    chance = np.empty((4, *cover.shape))
    chance[[LEFT, RIGHT]] = s.hidden_side + s.covered_side * cover
    chance[TOP] = s.hidden_top
    chance[BOTTOM] = np.where(feet, s.hidden_bottom + s.covered_bottom * cover**2, 0.9)
    sharp = 1 + (s.sharp - 1) * _rise(seen, s.half_sharp, s.sharp_width)
    detected = np.minimum(np.maximum(detected, 0.01), s.detected)
    return Visibility(detected, sharp, np.log(chance / (1 - chance)))


def _rise(x: np.ndarray, half: float, width: float) -> np.ndarray:
    return 1 / (1 + np.exp((half - x) / width))


def _cover(edges: tuple[np.ndarray, ...], area: np.ndarray, depth_m: np.ndarray, before: np.ndarray) -> np.ndarray:
    """Share (C, T) of what the picture holds of each body that lies behind nearer bodies' boxes; those are (C, K)."""
    t, k = before.shape
    left, top, right, bottom = edges
    meet = left[:, :t, None] < right[:, None]
    meet &= left[:, None] < right[:, :t, None]
    meet &= depth_m[:, None] < depth_m[:, :t, None]
    meet &= before
    # Who is behind, by camera and place among the T; who is in front, by camera and place among the K.
    behind, front = np.divmod(np.flatnonzero(meet), k)
    front += behind // t * k
    (left, left_b), (top, top_b), (right, right_b), (bottom, bottom_b), (_, area_b) = (
        (a.ravel()[front], a[:, :t].ravel()[behind]) for a in (*edges, area)
    )
    wide, tall = (
        np.minimum(right_b, right) - np.maximum(left_b, left),
        np.minimum(bottom_b, bottom) - np.maximum(top_b, top),
    )
    share = np.minimum(FILLED * wide * np.maximum(tall, 0.0) / np.maximum(area_b, 1.0), 0.95)
    uncovered = np.exp(np.bincount(behind, np.log1p(-share), len(depth_m) * t))
    return 1 - uncovered.reshape(-1, t)
