# SPDX-License-Identifier: AGPL-3.0-or-later
"""Labels that leap to one another's places: a tracker that has found out who is who. Nobody moves like that."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from pipeline.messages import FloorTrack
from pipeline.perception.identity.history import History
from pipeline.perception.identity.settings import IdentitySettings


def leapt(
    tracks: Sequence[FloorTrack], histories: Mapping[str, History], settings: IdentitySettings
) -> list[list[tuple[str, str]]]:
    """Of each ring of labels that have changed places (mostly two), pairs: exchanged one after the other they make of
    the labels before this window those of now.

    `histories`: without this window. All labels of a ring leapt, each to the place that the next one left.
    """
    before = {k: h.moments[-1].xy_m for k, h in histories.items() if h.moments}
    now = {t.track_id: t.floor_xy_m for t in tracks if t.track_id in before}
    away = {k: float(np.hypot(*(xy - before[k]))) for k, xy in now.items()}
    leaping = sorted(k for k, m in away.items() if m > settings.leap_m)
    goes_to: dict[str, str] = {}
    for label in leaping:
        gaps = {k: float(np.hypot(*(now[label] - before[k]))) for k in leaping if k != label}
        if gaps and min(gaps.values()) < settings.landed_m:
            goes_to[label] = min(gaps, key=gaps.__getitem__)
    return _rings(goes_to)


def _rings(goes_to: Mapping[str, str]) -> list[list[tuple[str, str]]]:
    out, done = [], set()
    for first in sorted(goes_to):
        ring = [first]
        while (follows := goes_to.get(ring[-1])) is not None and follows not in ring:
            ring.append(follows)
        if follows == first and not done & set(ring):
            out.append([(first, other) for other in ring[1:]])
            done |= set(ring)
    return out
