# SPDX-License-Identifier: AGPL-3.0-or-later
"""How likely is it that two labels were exchanged while they were together?

Four things speak, as a log-likelihood ratio of exchanged against kept: how near the two came (where their places were
one, either is as likely); the cameras' own trackers, each of which saw the two from elsewhere and mostly went on with
the right one; how tall each was before and is afterwards; and what each wore. None is believed without end: people
bend down, and take their jacket off.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from pipeline.perception.appearance import differences, together
from pipeline.perception.identity.history import Moment, looks, owners, stature_m
from pipeline.perception.identity.settings import IdentitySettings

UNSEEN = 0.5
"""By how much what is not seen of two looks differs."""

Moments = Mapping[str, Sequence[Moment]]
"""Two labels -> their moments."""


def met(d2: float) -> float:
    """Nats for an exchange from the least Mahalanobis distance squared alone; 0 where the places were one."""
    chance = max(0.5 * float(np.exp(-d2 / 2)), 1e-6)
    return float(np.log(chance / (1 - chance)))


def votes(before: Moments, after: Moments, settings: IdentitySettings) -> float:
    """Nats for an exchange from the cameras' own tracks.

    Each that was one label's before speaks once, by the difference of its looks with one and the other label since. At
    least log `together`: the floor tracker follows them, also where they were exchanged.
    """
    owner = owners({label: looks(moments) for label, moments in before.items()}, settings.pure)
    a, b = after
    now = {label: looks(moments) for label, moments in after.items()}
    total = 0.0
    for track, label in owner.items():
        other = b if label == a else a
        seen = now[label][track] + now[other][track]
        if seen:
            total += settings.vote * (now[other][track] - now[label][track]) / seen
    return max(total, float(np.log(settings.together)))


def statures(before: Moments, after: Moments, settings: IdentitySettings) -> float:
    """Nats for an exchange from heights; 0 if one of the four is not known."""
    was, now = (
        {label: stature_m(moments, settings.stature_share, settings.least_heights) for label, moments in side.items()}
        for side in (before, after)
    )
    a, b = before
    if None in (was[a], was[b], now[a], now[b]):
        return 0.0

    def fits(then_m: float, now_m: float) -> float:
        sigma_m = np.sqrt(2) * settings.stature_sigma_m
        upright = np.exp(-((now_m - then_m) ** 2) / (2 * sigma_m**2)) / (np.sqrt(2 * np.pi) * sigma_m)
        return float(np.log((1 - settings.bent) * upright + settings.bent / settings.bent_spread_m))

    return fits(was[a], now[b]) + fits(was[b], now[a]) - fits(was[a], now[a]) - fits(was[b], now[b])


def clothes(before: Moments, after: Moments, settings: IdentitySettings) -> float:
    """Nats for an exchange from the colours of what people wear; 0 if one of the four looks is not known."""
    was, now = (
        {label: together([m.look for m in moments if m.look is not None]) for label, moments in side.items()}
        for side in (before, after)
    )
    a, b = before
    if any(look is None for look in (was[a], was[b], now[a], now[b])):
        return 0.0

    def fits(then: np.ndarray, since: np.ndarray) -> float:
        differs, seen = differences(then, since)
        total = np.where(seen > 0, differs, UNSEEN).sum()
        same = np.exp(-total / settings.colour_scale) / settings.colour_scale
        return float(np.log((1 - settings.changed) * same + settings.changed / 2))

    return fits(was[a], now[b]) + fits(was[b], now[a]) - fits(was[a], now[a]) - fits(was[b], now[b])


def chance(nats: float) -> float:
    """Probability of a log-likelihood ratio."""
    return float(1 / (1 + np.exp(-np.clip(nats, -30, 30))))
