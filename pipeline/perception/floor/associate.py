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

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from pipeline.perception.floor.blocks import Block, Said, near
from pipeline.perception.floor.bodies import CameraBank, outlines
from pipeline.perception.floor.expect import expect, visibility
from pipeline.perception.floor.gains import gains, measurement
from pipeline.perception.floor.keypoints import KeyPoints
from pipeline.perception.floor.matching import Pairs, chance, choose
from pipeline.perception.floor.settings import AssociationSettings, BodySettings, anew
from pipeline.perception.floor.sightings import Sightings
from pipeline.perception.floor.small import solve, spd_inverse


@dataclass(frozen=True)
class Bodies:
    """T bodies. `mean` (T, 6), `covariance` (T, 6, 6): predictions. `start` (T, 2): where to look first, metres.
    `world`: int (T,). `shown`: bool (T, C, 4), what shelves leave of them. `weak`: bool (T,), who may have weak boxes.
    `others`: float64 (M, 6), of people who are there too and need no boxes. `before`: bool (T, T + M), may the second
    hide the first? `free`: bool (T, N) or (1, N), which boxes they may have.
    `extra`: float64 (T, N) or None, added to the gains, from cameras' own tracks; `clothes`: the same, from what people
    wear (`Clothes.gains`)."""

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
    clothes: np.ndarray | None = None


@dataclass
class Matches:
    """Who has which box. `box`: int (T, C), index into the sightings or -1. `mean` (T, 6), `covariance` (T, 6, 6): the
    posterior. `quality`: (T,), see `Person`; `tall_m`: (T,), the height that the boxes' upper edges show, NaN if
    none does; `detected`: (T, C), the chance of a box. `changed`: bool (T,), who has bent down or got up. `evidence`:
    (T,), log-likelihood of what the cameras saw and missed of each body."""

    box: np.ndarray
    mean: np.ndarray
    covariance: np.ndarray
    quality: np.ndarray
    tall_m: np.ndarray
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
        t, every = len(bodies.mean), np.arange(len(bank.ids))
        self._mean, self._covariance = bodies.mean.copy(), bodies.covariance.copy()
        self._prior, self._prior_logdet = spd_inverse(bodies.covariance)
        self._key_points = KeyPoints(seen, body, s)
        self._changed = np.zeros(t, bool)
        self._independent = anew(bodies.dt_s, body.lasting_s)
        self._worn_anew = anew(bodies.dt_s, s.clothes_lasting_s)
        self._box, self._value = np.full((t, len(every)), -1), np.zeros((t, len(every)))
        start = np.concatenate([bodies.start, bodies.mean[:, 2:]], 1)
        out = outlines(bank, self._states(np.concatenate([start, bodies.others]), every))
        self._visible = visibility(bank, out, bodies.shown, bodies.before, s)
        pairs = near(seen, out, bodies.covariance, bodies.free)
        self._looked = np.flatnonzero(seen.looked)
        early = np.arange(len(self._looked)) % s.first_share == 0
        parts, self._early = (self._looked[early], self._looked[~early]), 1
        self._few = 1 < len(self._looked) < 2 * s.least_rest
        if self._few:
            parts, self._early = np.concatenate(parts)[:, None], int(early.sum())
        self._blocks = tuple(Block.of(cameras, bank, self._visible, pairs) for cameras in parts)

    def run(self) -> Matches:
        everybody = np.ones(len(self._mean), bool)
        early, late = self._blocks[: self._early], self._blocks[self._early :]
        for block in early:
            self._match(block, (), everybody, begin=True)
        for block in late:
            self._match(block, early, everybody)
        changed = self._reconsider()
        if self._few:
            self._look_again()
        sweep = everybody
        for _ in range(self._s.sweeps if self._few else 1):
            before = self._box.copy()
            for block in self._blocks:
                self._match(block, [other for other in self._blocks if other is not block], sweep)
                if not self._few:
                    # Of many cameras each says little that is new: those whose boxes are the same are done.
                    sweep = (before != self._box).any(1) | changed
            sweep = (before != self._box).any(1)
        information, vector = _sum("information", self._blocks), _sum("vector", self._blocks)
        mean, covariance, logdet = solve(self._mean, self._prior, information, vector)
        covariance = (covariance + np.swapaxes(covariance, -1, -2)) / 2
        looks = _sum("looks", self._blocks)
        tall_m = np.where(looks > 0, _sum("tall", self._blocks) / np.maximum(looks, 1), np.nan)
        return Matches(
            self._box, mean, covariance, _sum("quality", self._blocks), tall_m,
            self._visible.detected.T, self._changed, self._evidence(mean, information, logdet),
        )  # fmt: skip

    def _look_again(self) -> None:
        """Who hides whom, from where the boxes are so far: where the search began says nothing about it."""
        said = _sum("information", self._blocks), _sum("vector", self._blocks)
        mean = solve(self._mean, self._prior, *said)[0]
        every, b = np.arange(len(self._bank.ids)), self._bodies
        out = outlines(self._bank, self._states(np.concatenate([mean, b.others]), every))
        self._visible = visibility(self._bank, out, b.shown, b.before, self._s)
        self._blocks = tuple(replace(block, visible=self._visible.only(block.cameras)) for block in self._blocks)

    def _evidence(self, mean: np.ndarray, information: np.ndarray, logdet: np.ndarray) -> np.ndarray:
        b, p = self._bodies, self._visible.detected[self._looked]
        prior = np.einsum("ti,tij,tj->t", self._mean, self._prior, self._mean)
        least = prior + _sum("squares", self._blocks)
        least -= np.einsum("ti,tij,tj->t", mean, self._prior + information, mean)
        posture = np.where(self._changed, b.odds, 0.0)
        if b.extra is not None:
            # A camera's track that goes on costs nothing, one that goes to somebody else what it says.
            posture = posture - b.extra.sum(1)
        factor = _sum("factor", self._blocks)
        return posture + factor + np.log1p(-p).sum(0) - 0.5 * least + 0.5 * (logdet - self._prior_logdet)

    def _states(self, mean: np.ndarray, cameras: np.ndarray) -> np.ndarray:
        """float64 (T, C, 4), at each camera's own instant; (T, 1, 4) if that is the same for all."""
        offset_s = self._seen.offset_s[cameras]
        state = mean[:, None, :4]
        if offset_s.any():
            state = np.repeat(state, len(cameras), axis=1)
            state[..., :2] += offset_s[:, None] * mean[:, None, 4:]
        return state

    def _match(self, block: Block, others: Sequence[Block], who: np.ndarray, begin: bool = False) -> None:
        """Match a block of cameras anew, in the light of all others: everything but their own word. `who`: bool (T,),
        for whom; nobody else's boxes are touched. `begin`: nothing is known but where to start."""
        b, s, seen = self._bodies, self._s, self._seen
        mine = who[block.body]
        if not mine.any():
            return
        rows = np.flatnonzero(who)
        if begin:
            mean, covariance = np.concatenate([b.start, self._mean[:, 2:]], 1), self._covariance
        else:
            mean, covariance, _ = solve(
                self._mean[rows], self._prior[rows], _sum("information", others)[rows], _sum("vector", others)[rows]
            )  # fmt: skip
        if len(rows) < len(who):
            mine &= ~self._taken(~who)[b.world[block.body], block.box]
        t, n, c = (np.cumsum(who) - 1)[block.body[mine]], block.box[mine], block.camera[mine]
        state, spread = self._states(mean, block.cameras), self._spread(covariance, block.cameras)
        expected = expect(block.bank, state, self._body)
        found = gains(seen, t, n, c, expected, block.visible.of(rows), spread, state, s)
        t, n = rows[found.body], found.box
        value = found.gain if b.extra is None else found.gain + b.extra[t, n]
        worn = np.zeros(len(t)) if b.clothes is None else s.clothes_word * b.clothes[t, n]
        value = value + worn
        pairs = Pairs(b.world[t], found.camera, t, n, value)
        k = choose(pairs, seen.score[n] >= s.odd_quantile ** (1 / s.sharp), b.weak)
        sure = chance(pairs)[k] if self._soft else np.ones(len(k))
        at = t[k], block.cameras[found.camera[k]]
        self._box[np.ix_(rows, block.cameras)] = -1
        self._box[at], self._value[at] = n[k], value[k]
        said = measurement(
            seen,
            found.only(k),
            sure,
            expected,
            mean,
            seen.offset_s[block.cameras],
            self._key_points,
            s,
            self._independent,
        )
        # In the evidence the edges' density is that of the measurement, not the one that chose it.
        # How somebody looks in one picture they look in the next: little of that is new.
        factor = found.hidden[k] + value[k] - found.shape[k] - (1 - self._worn_anew) * worn[k]
        said.factor += np.bincount(found.body[k], factor, len(rows))
        block.said.put(rows, said)

    def _taken(self, whose: np.ndarray) -> np.ndarray:
        """bool (worlds, N): the boxes that some bodies have."""
        taken = np.zeros((int(self._bodies.world.max()) + 1, len(self._seen)), bool)
        i, at = np.nonzero((self._box >= 0) & whose[:, None])
        taken[self._bodies.world[i], self._box[i, at]] = True
        return taken

    def _reconsider(self) -> np.ndarray:
        """Who has few boxes that fit a head where it should be may have bent down; who was bent may have got up. Each
        posture is worth what its best boxes are worth beyond what they are to others. bool (T,): who changed."""
        b = self._bodies
        due = self._visible.detected[self._looked].sum(0)
        heads = sum(block.said.heads for block in self._blocks)
        headless = (due > 1) & (heads < self._s.heads_due * due)
        # Whoever has no box near speaks for nothing.
        near = np.zeros(len(b.mean), bool)
        for block in self._blocks:
            near[block.body] = True
        doubt = np.flatnonzero(near & (b.bent | (headless & ~b.posed)))
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
            for block in self._blocks:
                block.said.put(new, Said.nothing(len(new)))
        return self._changed

    def _worth(self, doubt: np.ndarray, mean: np.ndarray, covariance: np.ndarray) -> np.ndarray:
        """Of bodies (K,) in some posture: sum over the cameras of their best boxes' gains, each less the gain that the
        box has where it is now."""
        b, seen = self._bodies, self._seen
        place = np.full(len(b.mean), -1)
        place[doubt] = np.arange(len(doubt))
        i = np.concatenate([place[block.body] for block in self._blocks])
        n = np.concatenate([block.box for block in self._blocks])
        i, n = i[i >= 0], n[i >= 0]
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
        np.maximum.at(best, (found.body, found.camera), gain)
        return best.sum(1)

    def _spread(self, covariance: np.ndarray, block: np.ndarray) -> np.ndarray:
        """Covariance (4, 4, C or 1, T) of (x, y, h, r) at each camera's instant."""
        offset = self._seen.offset_s[block]
        if offset.any():
            lift = np.zeros((len(block), 1, 4, 6))
            lift[..., range(4), range(4)] = 1.0
            lift[:, 0, 0, 4] = lift[:, 0, 1, 5] = offset
            spread = lift @ covariance @ lift.swapaxes(-1, -2)
        else:
            spread = covariance[None, :, :4, :4]
        return np.ascontiguousarray(np.moveaxis(spread, (-2, -1), (0, 1)))


def _sum(what: str, blocks: Sequence[Block]) -> np.ndarray:
    """What all of some blocks say of every body."""
    return sum(getattr(block.said, what) for block in blocks)
