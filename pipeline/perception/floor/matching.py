# SPDX-License-Identifier: AGPL-3.0-or-later
"""The best assignment of boxes to bodies, in every camera of every world at once."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from scipy.optimize import linear_sum_assignment
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components


@dataclass(frozen=True)
class Pairs:
    """K pairs of a body and a box. `world`, `camera`, `body`, `box`: int (K,); a body is in one world, a box in one
    camera. `value`: float64 (K,), above 0 where a match is better than none."""

    world: np.ndarray
    camera: np.ndarray
    body: np.ndarray
    box: np.ndarray
    value: np.ndarray

    def __getitem__(self, rows: np.ndarray) -> Pairs:
        return Pairs(self.world[rows], self.camera[rows], self.body[rows], self.box[rows], self.value[rows])

    def of_body(self) -> np.ndarray:
        """int (K,): which body in which camera."""
        return self.body * (int(self.camera.max()) + 1) + self.camera

    def of_box(self) -> np.ndarray:
        """int (K,): which box in which world."""
        return self.world * (int(self.box.max()) + 1) + self.box


_HOPELESS = 8.0


def choose(pairs: Pairs, sure: np.ndarray, weak_allowed: np.ndarray) -> np.ndarray:
    """Indices of the pairs to match: in every camera of every world the sure boxes first, then weak ones for who has
    none. `sure`: bool (K,). `weak_allowed`: bool (T,), who may have weak boxes."""
    good = pairs.value > 0
    if good.any():
        # What is far from the best of its body and the best of its box decides nothing, and makes one tangle of all.
        least = np.minimum(_greatest(pairs.of_body(), pairs.value), _greatest(pairs.of_box(), pairs.value))
        good &= pairs.value > least - _HOPELESS
    first = np.flatnonzero(good & sure)
    chosen = first[_best(pairs[first])]
    second = np.flatnonzero(good & ~sure & weak_allowed[pairs.body])
    if len(second):
        key = pairs.of_body()
        taken = np.zeros(int(key.max()) + 1, bool)
        taken[key[chosen]] = True
        second = second[~taken[key[second]]]
        chosen = np.concatenate([chosen, second[_best(pairs[second])]])
    return chosen


def _best(pairs: Pairs) -> np.ndarray:
    """Indices of the assignment of greatest total value: of one or two contenders by hand, of more by search."""
    if not len(pairs.body):
        return np.zeros(0, int)
    mine, theirs = (np.unique(k, return_inverse=True)[1] for k in (pairs.of_body(), pairs.of_box()))
    bodies, boxes = int(mine.max()) + 1, int(theirs.max()) + 1
    graph = coo_array((np.ones(len(mine), bool), (mine, bodies + theirs)), shape=(bodies + boxes,) * 2)
    part = connected_components(graph, directed=False)[1]
    contenders = np.bincount(part[:bodies])
    # A body's best and second best pair; having none is worth 0.
    order = np.lexsort((-pairs.value, mine))
    begins = np.flatnonzero(np.diff(mine[order], prepend=-1))
    first = order[begins]
    after = np.minimum(begins + 1, len(order) - 1)
    second = np.where((begins + 1 < len(order)) & (mine[order[after]] == np.arange(bodies)), order[after], -1)
    out = [first[contenders[part[:bodies]] == 1]]
    twos = np.flatnonzero(contenders[part[:bodies]] == 2)
    if len(twos):
        a, b = twos[np.argsort(part[twos], kind="stable")].reshape(-1, 2).T
        spare = np.where(second >= 0, pairs.value[second], 0.0)
        same = theirs[first[a]] == theirs[first[b]]
        a_yields = same & (spare[a] + pairs.value[first[b]] > pairs.value[first[a]] + spare[b])
        out += [np.where(a_yields, second[a], first[a]), np.where(same & ~a_yields, second[b], first[b])]
    many = np.flatnonzero(contenders[part[mine]] > 2)
    many = many[np.argsort(part[mine[many]], kind="stable")]
    row, column = _place_in(part[:bodies])[mine[many]], _place_in(part[bodies:])[theirs[many]]
    ends = [0, *(np.flatnonzero(np.diff(part[mine[many]])) + 1).tolist(), len(many)]
    for begin, end in pairwise(ends):
        if begin == end:
            continue
        i, k, rows = row[begin:end], column[begin:end], many[begin:end]
        table = np.zeros((i.max() + 1, k.max() + 1))
        index = np.full(table.shape, -1)
        table[i, k], index[i, k] = pairs.value[rows], rows
        out.append(index[linear_sum_assignment(table, maximize=True)])
    chosen = np.concatenate(out)
    return chosen[chosen >= 0]


def _greatest(key: np.ndarray, value: np.ndarray) -> np.ndarray:
    """float64 (K,): the greatest value of each key."""
    out = np.full(int(key.max()) + 1, -np.inf)
    np.maximum.at(out, key, value)
    return out[key]


def _place_in(part: np.ndarray) -> np.ndarray:
    """int (K,): how many of the same part come before each."""
    order = np.argsort(part, kind="stable")
    begins = np.flatnonzero(np.diff(part[order], prepend=-1))
    out = np.empty(len(part), int)
    out[order] = np.arange(len(part)) - np.repeat(begins, np.diff([*begins, len(part)]))
    return out


def chance(pairs: Pairs) -> np.ndarray:
    """float64 (K,): how sure each pair is, among the body's other boxes in that camera and the box's other bodies.

    Fitzgerald's cheap joint probabilistic data association (1985): what two people contend for moves neither much.
    """
    if not len(pairs.body):
        return np.zeros(0)
    likelihood = np.exp(np.minimum(pairs.value, 30.0))
    mine, theirs = pairs.of_body(), pairs.of_box()
    total = np.bincount(mine, likelihood)[mine] + np.bincount(theirs, likelihood)[theirs]
    return likelihood / (total - likelihood + 1.0)
