# SPDX-License-Identifier: AGPL-3.0-or-later
"""When could two people have been taken for one another? Between which instants, and how likely is it?

Two tracks cannot be told apart by where they are when the distance of their predicted places is small against what is
known of those places. That begins an encounter; it ends when they are clearly apart again. The chance that the labels
are exchanged afterwards follows from the least distance: 1/2 where the two places were one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pipeline.perception.floor.person import Person


@dataclass(frozen=True)
class EncounterSettings:
    """Mahalanobis distances squared (2 degrees of freedom), metres, seconds."""

    close_d2: float = 6.0
    clear_d2: float = 20.0
    clear_s: float = 0.3
    measured_sigma_m: float = 0.10
    """How well one window's boxes place somebody in a crowd: added to what is predicted."""
    forget_s: float = 20.0
    """An encounter that does not end is reported after so long."""


@dataclass(frozen=True)
class Encounter:
    """Two tracks that may have been exchanged between `since_ns` and `until_ns`."""

    track_ids: tuple[str, str]
    since_ns: int
    until_ns: int
    exchange_probability: float


@dataclass
class _Open:
    since_ns: int
    close_ns: int
    least_d2: float


class Encounters:
    """`update` once a window with all people; gives the encounters that are over."""

    def __init__(self, settings: EncounterSettings | None = None) -> None:
        self._settings = settings or EncounterSettings()
        self._open: dict[tuple[str, str], _Open] = {}

    def close_to(self, track_id: str) -> tuple[str, ...]:
        """Who could at this moment be taken for this person."""
        return tuple(sorted(a if b == track_id else b for a, b in self._open if track_id in (a, b)))

    def update(self, people: Sequence[Person], now_ns: int) -> list[Encounter]:
        """`people`: everybody with a label, after this window's update."""
        s = self._settings
        known = sorted((p for p in people if p.trail), key=lambda p: p.track_id)
        over: list[Encounter] = []
        distance = _distances(known, s.measured_sigma_m)
        here = {p.track_id: k for k, p in enumerate(known)}
        for i, k in zip(*np.nonzero(np.triu(distance < s.close_d2, 1)), strict=True):
            pair = (known[i].track_id, known[k].track_id)
            meeting = self._open.setdefault(pair, _Open(now_ns, now_ns, np.inf))
            meeting.close_ns = now_ns
            meeting.least_d2 = min(meeting.least_d2, float(distance[i, k]))
        for pair, meeting in list(self._open.items()):
            both = pair[0] in here and pair[1] in here
            if both and now_ns - meeting.since_ns < s.forget_s * 1e9:
                if distance[here[pair[0]], here[pair[1]]] < s.clear_d2:
                    continue
                if now_ns - meeting.close_ns < s.clear_s * 1e9:
                    continue
            chance = 0.5 * float(np.exp(-meeting.least_d2 / 2))
            over.append(Encounter(pair, meeting.since_ns, meeting.close_ns, chance))
            del self._open[pair]
        return over


def _distances(people: Sequence[Person], measured_sigma_m: float) -> np.ndarray:
    """Mahalanobis distances squared (T, T) of predicted places."""
    if not people:
        return np.zeros((0, 0))
    mean = np.stack([p.trail[-1].predicted_mean[:2] for p in people])
    spread = np.stack([p.trail[-1].predicted_covariance[:2, :2] for p in people])
    total = spread[:, None] + spread[None] + 2 * measured_sigma_m**2 * np.eye(2)
    away = mean[:, None] - mean[None]
    # A 2x2 inverse by hand: this is done for all pairs.
    a, b, d = total[..., 0, 0], total[..., 0, 1], total[..., 1, 1]
    x, y = away[..., 0], away[..., 1]
    return (d * x * x - 2 * b * x * y + a * y * y) / (a * d - b * b)
