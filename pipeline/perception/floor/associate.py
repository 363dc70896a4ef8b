# SPDX-License-Identifier: AGPL-3.0-or-later
"""Which box of which camera is whose: all cameras together, in several worlds at once.

A world is a set of bodies that may be there together (a hypothesis); worlds know nothing of one another. The gain of
giving box j of camera c to body i is a log-likelihood ratio: the box as the body's (its edges around the predicted
ones, or with one or two edges hidden), against a false box and a missed body. Each camera is a linear assignment, made
one block of cameras after the other with the states that all *other* cameras' matches lead to, and then once more: one
wrong match does not hold itself up (coordinate ascent on the joint assignment). Where the ascent begins decides where
it ends: `Bodies.start`.

Residuals are in units of the predicted box's height. That an edge is hidden leaves it anywhere within a height: its
density is 1, and the innovation without it follows from the one with all four (Woodbury), at no further inversion.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pipeline.perception.floor.bodies import BOTTOM, LEFT, RIGHT, TOP, CameraBank, Outlines, outlines
from pipeline.perception.floor.expect import Expectation, Visibility, expect, visibility
from pipeline.perception.floor.matching import Pairs, chance, choose
from pipeline.perception.floor.settings import AssociationSettings, BodySettings
from pipeline.perception.floor.sightings import Sightings
from pipeline.perception.floor.small import solve, spd_inverse

LOG_2PI = float(np.log(2 * np.pi))
GATE_HEIGHTS = 0.5
"""Pairs whose boxes' upper edges or middles are further apart than this, beyond the uncertainty, are not looked at."""
NEAR_SIGMAS = 4.5
"""Nor are those of which not two of the sides and the upper edge are this near."""


@dataclass(frozen=True)
class Bodies:
    """T bodies. `mean` (T, 6), `covariance` (T, 6, 6): predictions. `start` (T, 2): where to look first, metres.
    `world`: int (T,). `shown`: bool (T, C, 4), what shelves leave of them. `weak`: bool (T,), who may have weak boxes.
    `others`: float64 (M, 6), of people who are there too and need no boxes. `before`: bool (T, T + M), may the second
    hide the first? `free`: bool (T, N) or (1, N), which boxes they may have.
    `extra`: float64 (T, N) or None, added to the gains."""

    mean: np.ndarray
    covariance: np.ndarray
    start: np.ndarray
    world: np.ndarray
    shown: np.ndarray
    weak: np.ndarray
    before: np.ndarray
    others: np.ndarray
    free: np.ndarray
    extra: np.ndarray | None = None


@dataclass
class Matches:
    """Who has which box. `box`: int (T, C), index into the sightings or -1. `information` (T, 6, 6), `vector` (T, 6) of
    all matched boxes. `mean`, `covariance`: the posterior. `quality`, `detected`: (T, C), see `Person`;
    `heads`: int (T,), boxes whose upper edge is the body's. `evidence`:
    (T,), log-likelihood of what the cameras saw and missed of each body."""

    box: np.ndarray
    mean: np.ndarray
    covariance: np.ndarray
    quality: np.ndarray
    detected: np.ndarray
    heads: np.ndarray
    evidence: np.ndarray


def associate(
    bank: CameraBank, seen: Sightings, bodies: Bodies, body: BodySettings, s: AssociationSettings, soft: bool = True
) -> Matches:  # fmt: skip
    """`soft`: whether a match counts for less where others contend for it."""
    return _Association(bank, seen, bodies, body, s, soft).run()


class _Association:
    def __init__(self, bank, seen, bodies, body, s, soft) -> None:
        self._bank, self._seen, self._bodies, self._body, self._s, self._soft = bank, seen, bodies, body, s, soft
        t, cameras = len(bodies.mean), len(bank.ids)
        self._looked = np.flatnonzero(seen.looked)
        self._prior, self._prior_logdet = spd_inverse(bodies.covariance)
        self._box = np.full((t, cameras), -1)
        self._quality, self._heads = np.zeros((t, cameras)), np.zeros((t, cameras))
        # Of each camera's matched box: what it says, its sum of squares, and its density's factors.
        self._information, self._vector = np.zeros((cameras, t, 6, 6)), np.zeros((cameras, t, 6))
        self._squares, self._factor = np.zeros((t, cameras)), np.zeros((t, cameras))
        start = np.concatenate([bodies.start, bodies.mean[:, 2:]], 1)
        state = self._states(np.concatenate([start, bodies.others]), np.arange(cameras))
        out = outlines(bank, state)
        self._visible = visibility(bank, out, bodies.shown, bodies.before, s)
        self._pairs = self._near(out)

    def run(self) -> Matches:
        b, s = self._bodies, self._s
        first, then = self._looked[:: s.first_share], np.setdiff1d(self._looked, self._looked[:: s.first_share])
        everybody = np.ones(len(b.mean), bool)
        self._match(first, then, everybody, begin=True)
        self._match(then, first, everybody)
        before = self._box.copy()
        self._match(first, then, everybody)
        changed = (before != self._box).any(1)
        if changed.any():
            self._match(then, first, changed)
        mean, covariance, logdet = solve(b.mean, self._prior, self._information.sum(0), self._vector.sum(0))
        covariance = (covariance + np.swapaxes(covariance, -1, -2)) / 2
        return Matches(
            self._box, mean, covariance, self._quality, self._visible.detected, self._heads.sum(1),
            self._evidence(mean, logdet),
        )  # fmt: skip

    def _evidence(self, mean: np.ndarray, logdet: np.ndarray) -> np.ndarray:
        b, p = self._bodies, self._visible.detected[:, self._looked]
        prior = np.einsum("ti,tij,tj->t", b.mean, self._prior, b.mean)
        total = self._prior + self._information.sum(0)
        least = prior + self._squares.sum(1) - np.einsum("ti,tij,tj->t", mean, total, mean)
        return self._factor.sum(1) + np.log1p(-p).sum(1) - 0.5 * least + 0.5 * (logdet - self._prior_logdet)

    def _states(self, mean: np.ndarray, cameras: np.ndarray) -> np.ndarray:
        """float64 (T, C, 4), at each camera's own instant."""
        state = np.repeat(mean[:, None, :4], len(cameras), axis=1)
        state[..., :2] += self._seen.offset_s[cameras, None] * mean[:, None, 4:]
        return state

    def _near(self, out: Outlines) -> tuple[np.ndarray, np.ndarray]:
        """Pairs of body and box, (K,) each, that are worth a closer look: by the upper edge, as the lower is often
        hidden."""
        b, seen = self._bodies, self._seen
        t = len(b.mean)
        edges, tall = out.edges_px[:t], out.tall_px[:t]
        spread_m = np.sqrt(np.maximum(b.covariance[:, 0, 0], b.covariance[:, 1, 1]))
        pixels = np.abs(out.jacobian[:t, ..., :2]).max((-1, -2))
        wide = GATE_HEIGHTS * tall + 3 * pixels * spread_m[:, None]
        high = wide + 3 * np.sqrt(b.covariance[:, 2, 2])[:, None] * np.abs(out.jacobian[:t, :, TOP, 2])
        middle = (edges[..., LEFT] + edges[..., RIGHT]) / 2
        box_middle = (seen.edges_px[:, LEFT] + seen.edges_px[:, RIGHT]) / 2
        found = []
        for c in self._looked:
            mine = seen.slices[c]
            near = np.abs(box_middle[mine] - middle[:, c, None]) < wide[:, c, None]
            near &= np.abs(seen.edges_px[mine, TOP] - edges[:, c, TOP, None]) < high[:, c, None]
            near &= b.free[:, mine]
            t, n = np.nonzero(near)
            found.append((t, n + mine.start))
        if not found:
            return np.zeros(0, int), np.zeros(0, int)
        return tuple(np.concatenate(part) for part in zip(*found, strict=True))

    def _match(self, block: np.ndarray, others: np.ndarray, who: np.ndarray, begin: bool = False) -> None:
        """Match a block of cameras anew, in the light of all others: everything but their own word. `who`: bool (T,),
        for whom; nobody else's boxes are touched. `begin`: nothing is known but where to start."""
        if not len(block):
            return
        b, s, seen = self._bodies, self._s, self._seen
        mean, covariance, _ = solve(
            b.mean, self._prior, self._information[others].sum(0), self._vector[others].sum(0)
        )  # fmt: skip
        if begin:
            mean = np.concatenate([b.start, mean[:, 2:]], 1)
        mine = who[self._pairs[0]] & np.isin(seen.camera[self._pairs[1]], block)
        t, n = self._pairs[0][mine], self._pairs[1][mine]
        if not who.all():
            taken = np.zeros((int(b.world.max()) + 1, len(seen)), bool)
            i, at = np.nonzero((self._box >= 0) & ~who[:, None])
            taken[b.world[i], self._box[i, at]] = True
            left = ~taken[b.world[t], n]
            t, n = t[left], n[left]
        place = np.full(len(seen.looked), -1)
        place[block] = np.arange(len(block))
        c = place[seen.camera[n]]
        expected = expect(self._bank.only(block), self._states(mean, block), self._body)
        visible = self._visible.only(block)
        found = _gains(seen, t, n, c, expected, visible, self._spread(covariance, block), s)
        t, n, c = found.body, found.box, place[seen.camera[found.box]]
        value = found.gain if b.extra is None else found.gain + b.extra[t, n]
        pairs = Pairs(b.world[t], c, t, n, value)
        k = choose(pairs, seen.score[n] >= s.sure_score, b.weak)
        sure = chance(pairs)[k] if self._soft else np.ones(len(k))
        cells, turned = np.ix_(np.flatnonzero(who), block), np.ix_(block, np.flatnonzero(who))
        self._box[cells] = -1
        for array in (self._quality, self._heads, self._squares, self._factor):
            array[cells] = 0.0
        self._information[turned], self._vector[turned] = 0.0, 0.0
        i, j, at = t[k], n[k], block[c[k]]
        self._box[i, at], self._heads[i, at] = j, found.used[k, TOP]
        self._quality[i, at] = sure * seen.score[j] * ~seen.twin[j]
        information, vector, squares, factor = _measurement(seen, found, k, c[k], expected, mean, self._body)
        self._information[at, i], self._vector[at, i] = information * sure[:, None, None], vector * sure[:, None]
        self._squares[i, at] = squares * sure
        # In the evidence the edges' density is that of the measurement, not the one that chose it.
        self._factor[i, at] = factor + found.hidden[k] + value[k] - found.shape[k]

    def _spread(self, covariance: np.ndarray, block: np.ndarray) -> np.ndarray:
        """Covariance (T, C or 1, 4, 4) of (x, y, h, r) at each camera's instant."""
        offset = self._seen.offset_s[block]
        if not offset.any():
            return covariance[:, None, :4, :4]
        lift = np.zeros((len(block), 4, 6))
        lift[:, range(4), range(4)] = 1.0
        lift[:, 0, 4] = lift[:, 1, 5] = offset
        return lift @ covariance[:, None] @ lift.swapaxes(-1, -2)


@dataclass(frozen=True)
class _Gains:
    """Of K pairs of a body and a box: `gain`: float64 (K,), of which `shape` is the density of the edges. `used`:
    float64 (K, 4), 1 where the box's edge is taken for the body's own, and `hidden` (K,) the log odds of that.
    `residual`: float64 (K, 4) in heights."""

    body: np.ndarray
    box: np.ndarray
    gain: np.ndarray
    shape: np.ndarray
    used: np.ndarray
    hidden: np.ndarray
    residual: np.ndarray


def _gains(
    seen: Sightings, t: np.ndarray, n: np.ndarray, c: np.ndarray, expected: Expectation, visible: Visibility,
    spread: np.ndarray, s: AssociationSettings,
) -> _Gains:  # fmt: skip
    j = expected.jacobian
    innovation = j @ spread @ j.swapaxes(-1, -2)
    innovation[..., range(4), range(4)] += expected.noise
    residual = (seen.edges_px[n] - expected.edges_px[t, c]) / expected.tall_px[t, c, None]
    # A box cut off by the picture's edge says that the body goes on there, no more.
    cut = seen.cut[n]
    residual[:, :2] = np.where(cut[:, :2], np.minimum(residual[:, :2], 0.0), residual[:, :2])
    residual[:, 2:] = np.where(cut[:, 2:], np.maximum(residual[:, 2:], 0.0), residual[:, 2:])
    own = innovation[..., range(3), range(3)][t, c]
    keep = np.flatnonzero((residual[:, :3] ** 2 < NEAR_SIGMAS**2 * own).sum(1) >= 2)
    t, n, c, residual = t[keep], n[keep], c[keep], residual[keep]
    weights, logdets = spd_inverse(innovation)
    weight, logdet = weights[t, c], logdets[t, c]
    pulled = (weight @ residual[..., None])[..., 0]
    d2 = (residual * pulled).sum(1)
    log_chance = visible.log_hidden[t, c]
    best, hidden, used = -0.5 * (d2 + logdet + 4 * LOG_2PI), np.zeros(len(t)), np.ones((len(t), 4))

    def take(value: np.ndarray, odds: np.ndarray, edges: tuple[int, ...]) -> None:
        better = value + odds > best + hidden
        best[better], hidden[better] = value[better], odds[better]
        used[better] = 1.0
        for edge in edges:
            used[better, edge] = 0.0

    own = weight[:, range(4), range(4)]
    single = -0.5 * (d2[:, None] - pulled**2 / own + logdet[:, None] + np.log(own) + 3 * LOG_2PI)
    for edge in (LEFT, TOP, RIGHT, BOTTOM):
        take(single[:, edge], log_chance[:, edge], (edge,))
    for edge in (LEFT, RIGHT):
        cross = weight[:, edge, BOTTOM]
        det = own[:, edge] * own[:, BOTTOM] - cross**2
        a, b = pulled[:, edge], pulled[:, BOTTOM]
        less = (own[:, BOTTOM] * a**2 - 2 * cross * a * b + own[:, edge] * b**2) / det
        value = -0.5 * (d2 - less + logdet + np.log(det) + 2 * LOG_2PI)
        take(value, log_chance[:, edge] + log_chance[:, BOTTOM], (edge, BOTTOM))
    shape = best + hidden
    p = visible.detected[t, c]
    gain = shape + np.log(p / (1 - p)) - np.log(s.clutter)
    sharp = visible.sharp[t, c]
    gain += np.log((1 - s.odd_score) * sharp * seen.score[n] ** (sharp - 1) + s.odd_score)
    gain -= s.twin_penalty * seen.twin[n]
    return _Gains(t, n, gain, shape, used, hidden, residual)


def _measurement(
    seen: Sightings, found: _Gains, chosen: np.ndarray, c: np.ndarray, expected: Expectation, at_mean: np.ndarray,
    body: BodySettings,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:  # fmt: skip
    """Of K matched boxes, of their edges or their key points: information (K, 6, 6), vector (K, 6), sum of squares (K,)
    at the origin, and log of the densities' factors (K,)."""
    i, n, residual = found.body[chosen], found.box[chosen], found.residual[chosen]
    # A cut edge that the body passes, as it should, has nothing to say.
    keep = found.used[chosen] * ~(seen.cut[n] & (residual == 0))
    # A detector that is not sure of a body is not sure of its edges either.
    trust = np.clip(seen.score[n], 0.2, 1.0) ** 2
    weight = body.independent * keep * trust[:, None] / expected.noise[i, c]
    j = np.zeros((len(i), 4, 6))
    j[..., :4] = expected.jacobian[i, c]
    j[..., 4:] = j[..., :2] * seen.offset_s[seen.camera[n], None, None]
    weighted = (j * weight[..., None]).swapaxes(-1, -2)
    y = residual + (j @ at_mean[i][..., None])[..., 0]
    information, vector = weighted @ j, (weighted @ y[..., None])[..., 0]
    squares = (weight * y**2).sum(1)
    factor = 0.5 * (np.where(keep > 0, np.log(np.maximum(weight, 1e-12)) - LOG_2PI, 0.0)).sum(1)
    posed = seen.posed[n]
    if posed.any():
        rows = n[posed]
        lift = np.zeros((posed.sum(), 3, 6))
        lift[:, [0, 1, 2], [0, 1, 2]] = 1.0
        lift[:, 0, 4] = lift[:, 1, 5] = seen.offset_s[seen.camera[rows]]
        # The width is in the box alone.
        across, weigh = j[posed][..., 3], weight[posed]
        width = (across**2 * weigh).sum(1)
        wide = residual[posed] + across * at_mean[i[posed], 3, None]
        information[posed] = body.keypoint_independent * (lift.swapaxes(1, 2) @ seen.information[rows] @ lift)
        vector[posed] = body.keypoint_independent * (lift.swapaxes(1, 2) @ seen.vector[rows][..., None])[..., 0]
        information[posed, 3, 3] += width
        vector[posed, 3] += (across * weigh * wide).sum(1)
        theta = np.linalg.solve(seen.information[rows] + 1e-6 * np.eye(3), seen.vector[rows][..., None])[..., 0]
        squares[posed] = body.keypoint_independent * (theta * seen.vector[rows]).sum(1) + (weigh * wide**2).sum(1)
    return information, vector, squares, factor
