# SPDX-License-Identifier: AGPL-3.0-or-later
"""How far back the row of items in a slot begins, before and after: comparing two pictures of it plane by plane."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pipeline.shelf.change import difference
from pipeline.shelf.views import FRONT_INSET_M, SlotView, visible_front

MOST_PLACES = 6
_MIN_VISIBLE = 0.2
_SLACK_M = (0.006, 0.004)  # items do not stand exactly one behind the other: so much, and so much more an item
_STEP_M = 0.004


@dataclass(frozen=True)
class RowMatch:
    """How alike the item at place a before is to the one at place b after, places counted from the front.

    `match`: float64 (K, K), [a, b], 1 is the same picture, about 0 an unrelated one. `seen`: float64 (K, K), share of
    the item's front that boards and neighbours leave visible in both; 0 where nothing can be said. The diagonal says
    how little changed at each place.
    """

    match: np.ndarray
    seen: np.ndarray


def places(view: SlotView, pitch_m: float) -> int:
    """How many places from the front on are compared."""
    return int(np.clip((view.shelf.depth_m - FRONT_INSET_M) / pitch_m + 0.2, 1, MOST_PLACES))


def match_rows(view: SlotView, before: np.ndarray, after: np.ndarray, pitch_m: float) -> RowMatch:
    """Plane sweep (Collins, 1996) over the places of a row.

    What stands behind a taken item mostly shows the same label, deeper in the shelf. Both pictures are crops of
    `view.rect_px`; `pitch_m` is the distance from one item's front to the next one's.
    """
    count = places(view, pitch_m)
    visible = [visible_front(view, k * pitch_m) for k in range(count)]
    sweeps = [[_planes(view, picture, k, pitch_m) for k in range(count)] for picture in (before, after)]
    match, seen = np.zeros((count, count)), np.zeros((count, count))
    for a in range(count):
        for b in range(count):
            both = visible[a] & visible[b]
            seen[a, b] = both.mean()
            if seen[a, b] < _MIN_VISIBLE:
                seen[a, b] = 0.0
                continue
            if a == b:
                middle = len(sweeps[0][a]) // 2
                gaps = [difference(sweeps[0][a][middle][both], sweeps[1][b][middle][both])]
            elif a < b:
                middle = sweeps[0][a][len(sweeps[0][a]) // 2][both]
                gaps = [difference(middle, plane[both]) for plane in sweeps[1][b]]
            else:
                middle = sweeps[1][b][len(sweeps[1][b]) // 2][both]
                gaps = [difference(plane[both], middle) for plane in sweeps[0][a]]
            match[a, b] = max(1 - min(gaps), 0.0)
    return RowMatch(match, seen)


def _planes(view: SlotView, picture: np.ndarray, place: int, pitch_m: float) -> list[np.ndarray]:
    """The picture rectified on planes about where an item at `place` has its front; the middle one is the exact one."""
    slack = _SLACK_M[0] + _SLACK_M[1] * place
    steps = int(slack / _STEP_M)
    return [
        view.rectify(picture, max(place * pitch_m + k * _STEP_M, -FRONT_INSET_M)).astype(np.float32)
        for k in range(-steps, steps + 1)
    ]
