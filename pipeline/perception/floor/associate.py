# SPDX-License-Identifier: AGPL-3.0-or-later
"""Which box of which camera is whose: all cameras together, in several worlds at once.

A world is a set of bodies that may be there together (a hypothesis); worlds know nothing of one another. The gain of
giving box j of camera c to body i is a log-likelihood ratio: the box as the body's (its edges around the predicted
ones, or with one or two edges hidden), against a false box and a missed body. Each camera is a linear assignment, made
one block of cameras after the other with the states that all *other* cameras' matches lead to, and then once more: one
wrong match does not hold itself up (coordinate ascent on the joint assignment). Where the ascent begins decides where
it ends: `Bodies.start`.

People stand upright or are bent down, see `_reconsider`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pipeline.perception.floor.bodies import LEFT, RIGHT, TOP, CameraBank, Outlines, outlines
from pipeline.perception.floor.expect import expect, visibility
from pipeline.perception.floor.gains import gains, measurement
from pipeline.perception.floor.matching import Pairs, chance, choose
from pipeline.perception.floor.settings import AssociationSettings, BodySettings
from pipeline.perception.floor.sightings import Sightings
from pipeline.perception.floor.small import solve, spd_inverse

GATE_HEIGHTS = 0.5
"""Pairs whose boxes' upper edges or middles are further apart than this, beyond the uncertainty, are not looked at."""


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
    other_mean: np.ndarray
    other_covariance: np.ndarray
    odds: np.ndarray
    bent: np.ndarray
    posed: np.ndarray
    dt_s: float
    extra: np.ndarray | None = None


@dataclass
class Matches:
    """Who has which box. `box`: int (T, C), index into the sightings or -1. `mean` (T, 6), `covariance` (T, 6, 6): the
    posterior. `quality`, `detected`: (T, C), see `Person`. `changed`: bool (T,), who has bent down or got up.
    `evidence`: (T,), log-likelihood of what the cameras saw and missed of each body."""

    box: np.ndarray
    mean: np.ndarray
    covariance: np.ndarray
    quality: np.ndarray
    detected: np.ndarray
    changed: np.ndarray
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
        self._mean = bodies.mean.copy()
        self._prior, self._prior_logdet = spd_inverse(bodies.covariance)
        self._changed = np.zeros(t, bool)
        self._independent = 1 - float(np.exp(-max(bodies.dt_s, 0.02) / body.lasting_s))
        self._box = np.full((t, cameras), -1)
        self._quality, self._heads = np.zeros((t, cameras)), np.zeros((t, cameras))
        # Of each camera's matched box: what it says, its sum of squares, and its density's factors.
        self._information, self._vector = np.zeros((cameras, t, 6, 6)), np.zeros((cameras, t, 6))
        self._value, self._squares, self._factor = (
            np.zeros((t, cameras)),
            np.zeros((t, cameras)),
            np.zeros((t, cameras)),
        )
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
        risen = self._reconsider()
        before = self._box.copy()
        self._match(first, then, everybody)
        changed = (before != self._box).any(1) | risen
        if changed.any():
            self._match(then, first, changed)
        mean, covariance, logdet = solve(self._mean, self._prior, self._information.sum(0), self._vector.sum(0))
        covariance = (covariance + np.swapaxes(covariance, -1, -2)) / 2
        return Matches(
            self._box, mean, covariance, self._quality, self._visible.detected, self._changed,
            self._evidence(mean, logdet),
        )  # fmt: skip

    def _evidence(self, mean: np.ndarray, logdet: np.ndarray) -> np.ndarray:
        b, p = self._bodies, self._visible.detected[:, self._looked]
        prior = np.einsum("ti,tij,tj->t", self._mean, self._prior, self._mean)
        total = self._prior + self._information.sum(0)
        least = prior + self._squares.sum(1) - np.einsum("ti,tij,tj->t", mean, total, mean)
        posture = np.where(self._changed, b.odds, 0.0)
        return posture + self._factor.sum(1) + np.log1p(-p).sum(1) - 0.5 * least + 0.5 * (logdet - self._prior_logdet)

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
            self._mean, self._prior, self._information[others].sum(0), self._vector[others].sum(0)
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
        found = gains(seen, t, n, c, expected, visible, self._spread(covariance, block), self._states(mean, block), s)
        t, n, c = found.body, found.box, place[seen.camera[found.box]]
        value = found.gain if b.extra is None else found.gain + b.extra[t, n]
        pairs = Pairs(b.world[t], c, t, n, value)
        k = choose(pairs, seen.score[n] >= s.odd_quantile ** (1 / s.sharp), b.weak)
        sure = chance(pairs)[k] if self._soft else np.ones(len(k))
        cells, turned = np.ix_(np.flatnonzero(who), block), np.ix_(block, np.flatnonzero(who))
        self._box[cells] = -1
        for array in (self._quality, self._heads, self._value, self._squares, self._factor):
            array[cells] = 0.0
        self._information[turned], self._vector[turned] = 0.0, 0.0
        i, j, at = t[k], n[k], block[c[k]]
        self._box[i, at], self._heads[i, at], self._value[i, at] = j, found.used[k, TOP], value[k]
        # Against the score that somebody seen whole has on average.
        self._quality[i, at] = sure * np.minimum(seen.score[j] * (1 + 1 / s.sharp), 1.0) * ~seen.twin[j]
        information, vector, squares, factor = measurement(
            seen, found, k, c[k], expected, mean, self._body, s.posed_volume, self._independent
        )
        self._information[at, i], self._vector[at, i] = information * sure[:, None, None], vector * sure[:, None]
        self._squares[i, at] = squares * sure
        # In the evidence the edges' density is that of the measurement, not the one that chose it.
        self._factor[i, at] = factor + found.hidden[k] + value[k] - found.shape[k]

    def _reconsider(self) -> np.ndarray:
        """Who has few boxes that fit a head where it should be may have bent down; who was bent may have got up. Each
        posture is worth what its best boxes are worth beyond what they are to others. bool (T,): who changed."""
        b = self._bodies
        due = self._visible.detected[:, self._looked].sum(1)
        headless = (due > 1) & (self._heads.sum(1) < self._s.heads_due * due)
        doubt = np.flatnonzero(b.bent | (headless & ~b.posed))
        if len(doubt):
            stay = self._worth(doubt, b.mean, b.covariance)
            change = self._worth(doubt, b.other_mean, b.other_covariance) + b.odds[doubt]
            self._changed[doubt] = change > stay
        new = np.flatnonzero(self._changed)
        if len(new):
            self._mean[new] = b.other_mean[new]
            self._mean[new, :2] = b.start[new]
            self._prior[new], self._prior_logdet[new] = spd_inverse(b.other_covariance[new])
            self._box[new] = -1
            for array in (self._quality, self._heads, self._value, self._squares, self._factor):
                array[new] = 0.0
            self._information[:, new], self._vector[:, new] = 0.0, 0.0
        return self._changed

    def _worth(self, doubt: np.ndarray, mean: np.ndarray, covariance: np.ndarray) -> np.ndarray:
        """Of bodies (K,) in some posture: sum over the cameras of their best boxes' gains, each less the gain that the
        box has where it is now."""
        b, seen = self._bodies, self._seen
        mine = np.isin(self._pairs[0], doubt)
        i, n = np.searchsorted(doubt, self._pairs[0][mine]), self._pairs[1][mine]
        worlds = int(b.world.max()) + 1
        claim, owner = np.zeros((worlds, len(seen))), np.full((worlds, len(seen)), -1)
        who, c = np.nonzero(self._box >= 0)
        at = b.world[who], self._box[who, c]
        claim[at], owner[at] = self._value[who, c], who
        every = np.arange(len(self._bank.ids))
        state = self._states(np.concatenate([b.start, mean[:, 2:]], 1)[doubt], every)
        found = gains(
            seen, i, n, seen.camera[n], expect(self._bank, state, self._body), self._visible.of(doubt),
            self._spread(covariance[doubt], every), state, self._s,
        )  # fmt: skip
        at = b.world[doubt[found.body]], found.box
        gain = found.gain - np.where(owner[at] == doubt[found.body], 0.0, claim[at])
        best = np.zeros((len(doubt), len(every)))
        np.maximum.at(best, (found.body, seen.camera[found.box]), gain)
        return best.sum(1)

    def _spread(self, covariance: np.ndarray, block: np.ndarray) -> np.ndarray:
        """Covariance (T, C or 1, 4, 4) of (x, y, h, r) at each camera's instant."""
        offset = self._seen.offset_s[block]
        if not offset.any():
            return covariance[:, None, :4, :4]
        lift = np.zeros((len(block), 4, 6))
        lift[:, range(4), range(4)] = 1.0
        lift[:, 0, 4] = lift[:, 1, 5] = offset
        return lift @ covariance[:, None] @ lift.swapaxes(-1, -2)
