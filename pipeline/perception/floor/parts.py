# SPDX-License-Identifier: AGPL-3.0-or-later
"""Which people of a cluster have to do with one another: what some may have done says nothing of what others did.

Stories of people who are independent multiply: two who may be exchanged here and two there are four worlds together,
and two and two apart. So many worlds of few people are followed instead of few of many.
"""

from __future__ import annotations

from itertools import combinations

import numpy as np
from scipy.sparse.csgraph import connected_components

TELLS = 0.1
"""Groups belong together if one tells so much of what there is to know of the other (mutual information against the
lesser of the two entropies)."""


def variants(mean: np.ndarray, same_m: float, same_m_s: float) -> np.ndarray:
    """int (H, n): of people with states (H, n, 6) in H worlds, the first world in which each is where they are here."""
    gap = np.abs(mean[:, None] - mean)
    same = (gap[..., :2].max(-1) < same_m) & (gap[..., 4:].max(-1) < same_m_s)
    return same.argmax(1)


def parts(chance: np.ndarray, variant: np.ndarray, near: np.ndarray) -> list[np.ndarray]:
    """Groups of people, int each. `chance`: float64 (H,), of the worlds; `variant`: (H, n), see `variants`; `near`:
    bool (n, n), who may be taken for one another, and so belongs together at once."""
    count, group = connected_components(near, directed=False)
    groups = [np.flatnonzero(group == g) for g in range(count)]
    while True:
        stories = [_stories(variant[:, rows]) for rows in groups]
        merge = next(
            ((a, b) for a, b in combinations(range(len(groups)), 2) if _tells(chance, stories[a], stories[b])), None
        )
        if merge is None:
            return groups
        a, b = merge
        groups[a] = np.sort(np.concatenate([groups[a], groups.pop(b)]))


def _stories(variant: np.ndarray) -> np.ndarray:
    """int (H,): worlds in which people (H, n) do the same have the same number."""
    number: dict[bytes, int] = {}
    return np.array([number.setdefault(row.tobytes(), len(number)) for row in np.ascontiguousarray(variant)])


def _tells(chance: np.ndarray, a: np.ndarray, b: np.ndarray) -> bool:
    """Whether the stories (H,) of one group say something of another's."""
    if not a.any() or not b.any():
        return False  # one story only
    table = np.zeros((a.max() + 1, b.max() + 1))
    np.add.at(table, (a, b), chance)
    own = _entropy(table.sum(1)), _entropy(table.sum(0))
    return sum(own) - _entropy(table.ravel()) > TELLS * min(own)


def _entropy(chance: np.ndarray) -> float:
    chance = chance[chance > 0]
    return float(-(chance * np.log(chance)).sum())
