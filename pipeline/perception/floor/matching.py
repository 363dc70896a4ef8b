# SPDX-License-Identifier: AGPL-3.0-or-later
"""The best assignment of boxes to bodies, in every camera of every world at once."""

from __future__ import annotations

from dataclasses import dataclass

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
    good = np.flatnonzero(pairs.value > 0)
    if not len(good):
        return good
    body, box, value = pairs.of_body().take(good), pairs.of_box().take(good), pairs.value.take(good)
    # What is far from the best of its body and the best of its box decides nothing, and makes one tangle of all.
    least = np.minimum(_greatest(body, value), _greatest(box, value))
    close = value > least - _HOPELESS
    first = np.flatnonzero(close & sure.take(good))
    chosen = first[_best(body[first], box[first], value[first])]
    second = np.flatnonzero(close & ~sure.take(good) & weak_allowed[pairs.body.take(good)])
    if len(second):
        taken = np.zeros(int(body.max()) + 1, bool)
        taken[body[chosen]] = True
        second = second[~taken[body[second]]]
        chosen = np.concatenate([chosen, second[_best(body[second], box[second], value[second])]])
    return good[chosen]


def _best(body: np.ndarray, box: np.ndarray, value: np.ndarray) -> np.ndarray:
    """Indices of the assignment of greatest total value, of pairs (K,) that are all worth more than none.

    Everybody takes their best box. Of those who want the same one, who would lose most by their second best keeps it
    and the others take that, which may be none. Where nobody is in anybody's way then, no assignment is better: the
    box's price, what the last to yield would have paid for it, makes everybody content (the duality behind Bertsekas'
    auction, 1988). Only what still hangs together with a box that two want is searched.
    """
    if not len(body):
        return np.zeros(0, int)
    order = np.lexsort((-value, body))
    begins = np.flatnonzero(_leads(body[order]))
    first, runner_up = order[begins], np.append(order, -1)[begins + 1]
    second = np.where(np.diff(begins, append=len(order)) > 1, runner_up, -1)
    loss = value[first] - np.where(second >= 0, value[second], 0.0)
    wish = np.lexsort((-loss, box[first]))
    keeps = np.empty(len(first), bool)
    keeps[wish] = _leads(box[first][wish])
    chosen = np.where(keeps, first, second)
    contested = np.bincount(box[chosen[chosen >= 0]], minlength=int(box.max()) + 1) > 1
    if contested.any():
        tangled = _hang_together(body, box, contested)
        chosen = np.concatenate([chosen[~tangled[first]], _searched(body, box, value, np.flatnonzero(tangled))])
    return chosen[chosen >= 0]


def _hang_together(body: np.ndarray, box: np.ndarray, begin: np.ndarray) -> np.ndarray:
    """bool (K,): the pairs connected with some boxes. `begin`: bool, by box."""
    bodies = int(body.max()) + 1
    count = bodies + len(begin)
    graph = coo_array((np.ones(len(body), bool), (body, bodies + box)), shape=(count, count))
    part = connected_components(graph, directed=False)[1]
    tangled = np.zeros(count, bool)
    tangled[part[bodies:][begin]] = True
    return tangled[part[body]]


def _searched(body: np.ndarray, box: np.ndarray, value: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Which of some pairs to match; -1 for a body that gets no box. `rows`: int, their indices."""
    i, k = (np.unique(key[rows], return_inverse=True)[1] for key in (body, box))
    table = np.zeros((i.max() + 1, k.max() + 1))
    index = np.full(table.shape, -1)
    table[i, k], index[i, k] = value[rows], rows
    return index[linear_sum_assignment(table, maximize=True)]


def _leads(key: np.ndarray) -> np.ndarray:
    """bool (K,): the first of every run of equal keys."""
    leads = np.ones(len(key), bool)
    np.not_equal(key[1:], key[:-1], out=leads[1:])
    return leads


def _greatest(key: np.ndarray, value: np.ndarray) -> np.ndarray:
    """float64 (K,): the greatest value of each key."""
    out = np.full(int(key.max()) + 1, -np.inf)
    np.maximum.at(out, key, value)
    return out[key]


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
