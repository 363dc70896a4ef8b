# SPDX-License-Identifier: AGPL-3.0-or-later
"""Which box of which camera is whose: all cameras together.

The gain of giving box j of camera c to body i is a log-likelihood ratio: the box as the body's (its edges around the
predicted ones, or with one or two edges hidden), against a false box and a missed body. Each camera is a linear
assignment, made one block of cameras after the other with the states that all *other* cameras' matches lead to, and
then once more: one wrong match does not hold itself up (coordinate ascent on the joint assignment).

Residuals are in units of the predicted box's height. That an edge is hidden leaves it anywhere within a height: its
density is 1, and the innovation without it follows from the one with all four (Woodbury), at no further inversion.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.optimize import linear_sum_assignment

from pipeline.perception.floor.bodies import BOTTOM, LEFT, RIGHT, TOP, CameraBank, Outlines, outlines
from pipeline.perception.floor.person import solve
from pipeline.perception.floor.settings import AssociationSettings, BodySettings
from pipeline.perception.floor.sightings import CameraSightings, Sightings

LOG_2PI = float(np.log(2 * np.pi))


@dataclass(frozen=True)
class Expectation:
    """Of T bodies in C cameras: `edges_px` (T, C, 4), `tall_px` (T, C), `jacobian` (T, C, 4, 6) in heights,
    `noise` (T, C, 4) variances in heights, `detected` (T, C) chance of a box, `cover` (T, C) share of the body behind
    somebody nearer, `bottom_hidden` bool (T, C): a shelf hides the feet."""

    edges_px: np.ndarray
    tall_px: np.ndarray
    jacobian: np.ndarray
    noise: np.ndarray
    detected: np.ndarray
    cover: np.ndarray
    bottom_hidden: np.ndarray


def expect(
    bank: CameraBank, mean: np.ndarray, offset_s: np.ndarray, shown: np.ndarray,
    body: BodySettings, s: AssociationSettings,
) -> Expectation:  # fmt: skip
    """`mean`: float64 (T, 6). `shown`: bool (T, C, 4), are feet, knees, chest, head free of shelves?"""
    state = np.repeat(mean[:, None, :4], len(bank.ids), axis=1)
    state[..., :2] += offset_s[:, None] * mean[:, None, 4:]
    out = outlines(bank, state)
    tall = out.tall_px
    jacobian = np.zeros((*tall.shape, 4, 6))
    jacobian[..., :4] = out.jacobian / tall[..., None, None]
    jacobian[..., 4:] = jacobian[..., :2] * offset_s[:, None, None]
    metre = bank.focal_px / np.maximum(out.depth_m, 0.3) / tall  # in heights
    spread_m = np.array([body.side_sigma_m, body.top_sigma_m, body.side_sigma_m, body.bottom_sigma_m])
    noise = (spread_m * metre[..., None]) ** 2 + body.edge_sigma**2
    inside, cover = _visible(bank, out)
    chest_and_head = shown[..., 2:].mean(-1)
    seen = inside * (1 - cover) * np.where(shown.all(-1), 1.0, 0.9 * chest_and_head)
    detected = np.where(out.ahead, s.detected / (1 + np.exp(-(seen - 0.3) / 0.07)), 0.0)
    return Expectation(out.edges_px, tall, jacobian, noise, np.clip(detected, 0.01, s.detected), cover, ~shown[..., 0])


def _visible(bank: CameraBank, out: Outlines) -> tuple[np.ndarray, np.ndarray]:
    """Share of each body's box inside the picture, and share of that behind nearer bodies' boxes, (T, C) each."""
    box = out.edges_px
    low = np.clip(box[..., :2], bank.bounds_px[:, :2], bank.bounds_px[:, 2:])
    high = np.clip(box[..., 2:], bank.bounds_px[:, :2], bank.bounds_px[:, 2:])
    area = np.prod(np.maximum(box[..., 2:] - box[..., :2], 1.0), axis=-1)
    shown = np.prod(np.maximum(high - low, 0.0), axis=-1)
    inside = np.clip(shown / area, 0, 1)
    both_low = np.maximum(low[:, None], low[None])  # (T, T, C, 2)
    both_high = np.minimum(high[:, None], high[None])
    common = np.prod(np.maximum(both_high - both_low, 0.0), axis=-1)
    nearer = (out.depth_m[None] < out.depth_m[:, None]) & out.ahead[None]
    # A body fills some three quarters of its box.
    share = np.where(nearer, 0.85 * common / np.maximum(shown[:, None], 1.0), 0.0)
    uncovered = np.prod(1 - np.minimum(share, 0.95), axis=1)
    return inside, 1 - uncovered


@dataclass(frozen=True)
class Gains:
    """Of K pairs of a body and a box: `body`, `box`: int (K,). `gain`: float64 (K,). `used`: float64 (K, 4), 1 where
    the box's edge is taken for the body's own. `residual`: float64 (K, 4) in heights."""

    body: np.ndarray
    box: np.ndarray
    gain: np.ndarray
    used: np.ndarray
    residual: np.ndarray


GATE_HEIGHTS = 1.0
"""Pairs whose boxes' upper edges or sides are further apart than this, beyond the uncertainty, are not looked at."""


def gains(
    seen: CameraSightings, free: np.ndarray, expected: Expectation, covariance: np.ndarray, s: AssociationSettings
) -> Gains:
    """`free`: bool (N,). `covariance`: float64 (T, 6, 6), of the states behind `expected`."""
    j = expected.jacobian
    innovation = j @ covariance[:, None] @ j.swapaxes(-1, -2)
    innovation[..., range(4), range(4)] += expected.noise
    # (T, N): the middle of the upper edge decides who is near; the lower one is often hidden.
    middle = (expected.edges_px[..., LEFT] + expected.edges_px[..., RIGHT])[:, seen.camera] / 2
    tall = expected.tall_px[:, seen.camera]
    box_middle = (seen.edges_px[:, LEFT] + seen.edges_px[:, RIGHT]) / 2
    wide = GATE_HEIGHTS * tall + 3 * tall * np.sqrt(innovation[..., LEFT, LEFT])[:, seen.camera]
    near = free & (np.abs(box_middle - middle) < wide)
    near &= np.abs(seen.edges_px[:, TOP] - expected.edges_px[:, seen.camera, TOP]) < wide
    t, n = np.nonzero(near)
    c = seen.camera[n]
    weights = np.linalg.inv(innovation)
    weight = weights[t, c]
    logdet = np.linalg.slogdet(innovation)[1][t, c]
    residual = (seen.edges_px[n] - expected.edges_px[t, c]) / expected.tall_px[t, c, None]
    # A box cut off by the picture's edge says that the body goes on there, no more.
    cut = seen.cut[n]
    residual[:, :2] = np.where(cut[:, :2], np.minimum(residual[:, :2], 0.0), residual[:, :2])
    residual[:, 2:] = np.where(cut[:, 2:], np.maximum(residual[:, 2:], 0.0), residual[:, 2:])
    pulled = np.einsum("kij,kj->ki", weight, residual)
    d2 = np.einsum("ki,ki->k", residual, pulled)
    log_chance = _hidden(expected, s)[t, c]
    best, used = -0.5 * (d2 + logdet + 4 * LOG_2PI), np.ones((len(t), 4))
    own = weight[:, range(4), range(4)]
    fewer = d2[:, None] - pulled**2 / own
    single = log_chance - 0.5 * (fewer + logdet[:, None] + np.log(own) + 3 * LOG_2PI)
    for edge in (LEFT, TOP, RIGHT, BOTTOM):
        best = _take(best, single[:, edge], used, (edge,))
    for edge in (LEFT, RIGHT):
        cross = weight[:, edge, BOTTOM]
        det = own[:, edge] * own[:, BOTTOM] - cross**2
        a, b = pulled[:, edge], pulled[:, BOTTOM]
        less = (own[:, BOTTOM] * a**2 - 2 * cross * a * b + own[:, edge] * b**2) / det
        value = log_chance[:, edge] + log_chance[:, BOTTOM]
        value = value - 0.5 * (d2 - less + logdet + np.log(det) + 2 * LOG_2PI)
        best = _take(best, value, used, (edge, BOTTOM))
    p = expected.detected[t, c]
    gain = best + np.log(p / (1 - p)) - np.log(s.clutter)
    gain += s.score_gain * (seen.score[n] - s.even_score) - s.twin_penalty * seen.twin[n]
    return Gains(t, n, gain, used, residual)


def _hidden(expected: Expectation, s: AssociationSettings) -> np.ndarray:
    """float64 (T, C, 4): log odds of each edge being hidden by a shelf or a nearer person."""
    chance = np.empty(expected.noise.shape)
    chance[..., [LEFT, RIGHT]] = (s.hidden_side + s.covered * expected.cover / 3)[..., None]
    chance[..., TOP] = s.hidden_side / 2
    chance[..., BOTTOM] = np.where(expected.bottom_hidden, 0.9, s.hidden_bottom + s.covered * expected.cover / 2)
    return np.log(chance / (1 - chance))


def _take(best: np.ndarray, value: np.ndarray, used: np.ndarray, hidden: tuple[int, ...]) -> np.ndarray:
    better = value > best
    used[better] = 1.0
    for edge in hidden:
        used[better, edge] = 0.0
    return np.where(better, value, best)


@dataclass
class Matches:
    """Who has which box. `box`: int (T, C), index into the sightings or -1. `gain`: float64 (T, C). `information`
    (T, C, 6, 6) and `vector` (T, C, 6) of the matched boxes, zero elsewhere. `mean`, `covariance`: the posterior."""

    box: np.ndarray
    gain: np.ndarray
    information: np.ndarray
    vector: np.ndarray
    mean: np.ndarray
    covariance: np.ndarray
    quality: np.ndarray
    detected: np.ndarray | None = None


def associate(
    bank: CameraBank, seen: Sightings, mean: np.ndarray, covariance: np.ndarray, shown: np.ndarray,
    free: np.ndarray, continuity: np.ndarray | None, body: BodySettings, s: AssociationSettings,
    weak_allowed: np.ndarray,
) -> Matches:  # fmt: skip
    """`mean` (T, 6), `covariance` (T, 6, 6): predictions. `free`: bool (N,), boxes that may be given away.
    `continuity`: float64 (T, N), added to the gains. `weak_allowed`: bool (T,), who may have weak boxes."""
    t, cameras = len(mean), len(bank.ids)
    prior = np.linalg.inv(covariance)
    out = Matches(
        np.full((t, cameras), -1), np.zeros((t, cameras)), np.zeros((t, cameras, 6, 6)), np.zeros((t, cameras, 6)),
        mean, covariance, np.zeros((t, cameras)),
    )  # fmt: skip
    looked = np.flatnonzero(seen.looked)
    blocks = [looked[k :: s.blocks] for k in range(min(s.blocks, len(looked)))]
    detected = np.zeros((t, cameras))
    for _ in range(s.sweeps):
        before = out.box.copy()
        for block in blocks:
            # These cameras are matched in the light of all others: everything but their own word.
            others = [c for c in looked if c not in block]
            at_mean, at_covariance = solve(
                mean, prior, out.information[:, others].sum(1), out.vector[:, others].sum(1)
            )  # fmt: skip
            part = seen.of_cameras(block)
            expected = expect(bank.only(block), at_mean, seen.offset_s[block], shown[:, block], body, s)
            detected[:, block] = expected.detected
            found = gains(part, free[part.index], expected, at_covariance, s)
            value = found.gain
            if continuity is not None:
                value = value + continuity[found.body, part.index[found.box]]
            chosen = _choose(part, found, value, weak_allowed, s)
            i, n = found.body[chosen], found.box[chosen]
            c = block[part.camera[n]]
            out.box[:, block], out.gain[:, block] = -1, 0.0
            out.information[:, block], out.vector[:, block] = 0.0, 0.0
            out.box[i, c], out.gain[i, c] = part.index[n], value[chosen]
            information, vector = _measurement(part, found, chosen, expected, at_mean, body)
            sure = _chance(part, found, value)[chosen] if s.soft else np.ones(len(chosen))
            out.quality[:, block] = 0.0
            out.quality[i, c] = sure * part.score[n] * ~part.twin[n]
            out.information[i, c], out.vector[i, c] = information * sure[:, None, None], vector * sure[:, None]
        if (before == out.box).all():
            break
    out.mean, out.covariance = solve(mean, prior, out.information.sum(1), out.vector.sum(1))
    out.detected = detected
    return out


def _choose(
    seen: CameraSightings, found: Gains, value: np.ndarray, weak_allowed: np.ndarray, s: AssociationSettings
) -> np.ndarray:
    """Indices of the pairs to match: in every camera the sure boxes first, then weak ones for who has none."""
    sure = seen.score[found.box] >= s.sure_score
    camera = seen.camera[found.box]
    chosen = []
    for c in np.unique(camera[value > 0]):
        taken = np.zeros(len(weak_allowed), bool)
        for strong in (True, False):
            pairs = (camera == c) & (value > 0) & (sure == strong)
            if not strong:
                pairs &= weak_allowed[found.body] & ~taken[found.body]
            k = np.flatnonzero(pairs)
            if not len(k):
                continue
            people, row = np.unique(found.body[k], return_inverse=True)
            boxes, column = np.unique(found.box[k], return_inverse=True)
            gain = np.zeros((len(people), len(boxes)))
            index = np.full(gain.shape, -1)
            gain[row, column], index[row, column] = value[k], k
            pair = index[linear_sum_assignment(-gain)]
            chosen.append(pair[pair >= 0])
            taken[found.body[chosen[-1]]] = True
    return np.concatenate(chosen) if chosen else np.zeros(0, int)


def _chance(seen: CameraSightings, found: Gains, value: np.ndarray) -> np.ndarray:
    """float64 (K,): how sure each pair is, among the body's other boxes in that camera and the box's other bodies.

    Fitzgerald's cheap joint probabilistic data association (1985): what two people contend for moves neither much.
    """
    likelihood = np.exp(np.minimum(value, 30.0))
    cameras = int(seen.camera.max()) + 1 if len(seen.camera) else 1
    place = found.body * cameras + seen.camera[found.box]
    of_body = np.bincount(place, likelihood)[place]
    of_box = np.bincount(found.box, likelihood)[found.box]
    return likelihood / (of_body + of_box - likelihood + 1.0)


def _measurement(
    seen: CameraSightings,
    found: Gains,
    chosen: np.ndarray,
    expected: Expectation,
    at_mean: np.ndarray,
    body: BodySettings,
) -> tuple[np.ndarray, np.ndarray]:
    """Information (K, 6, 6) and vector (K, 6) of K matched boxes: of their edges, or of their key points."""
    i, n, residual = found.body[chosen], found.box[chosen], found.residual[chosen]
    c = seen.camera[n]
    # A cut edge that the body passes, as it should, has nothing to say.
    keep = found.used[chosen] * ~(seen.cut[n] & (residual == 0))
    # A detector that is not sure of a body is not sure of its edges either.
    trust = np.clip(seen.score[n], 0.2, 1.0) ** 2
    weight = body.independent * keep * trust[:, None] / expected.noise[i, c]
    j = expected.jacobian[i, c]
    information = np.einsum("kei,ke,kej->kij", j, weight, j)
    vector = np.einsum("kei,ke->ki", j, weight * (residual + np.einsum("kei,ki->ke", j, at_mean[i])))
    posed = seen.posed[n]
    if posed.any():
        rows = n[posed]
        lift = np.zeros((posed.sum(), 3, 6))
        lift[:, [0, 1, 2], [0, 1, 2]] = 1.0
        lift[:, 0, 4] = lift[:, 1, 5] = seen.offset_s[c[posed]]
        # The width is in the box alone.
        across, weigh = j[posed][..., 3], weight[posed]
        width = (across**2 * weigh).sum(1)
        right = (across * weigh * residual[posed]).sum(1) + width * at_mean[i[posed], 3]
        information[posed] = body.keypoint_independent * (lift.swapaxes(1, 2) @ seen.information[rows] @ lift)
        vector[posed] = body.keypoint_independent * np.einsum("kij,ki->kj", lift, seen.vector[rows])
        information[posed, 3, 3] += width
        vector[posed, 3] += right
    return information, vector
