# SPDX-License-Identifier: AGPL-3.0-or-later
"""Where everybody truly is, made comparable with tracks: at the tracks' instants, on the shop's floor, stay by stay."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

import numpy as np
from scipy.spatial.distance import cdist
from shapely import contains_xy

from calibration.layout import StoreLayout
from sim.tracking_score import Positions

AWAY_NS = 2_000_000_000
"""Who has no place for longer than this has gone. Identities end with the visit: who comes back is somebody else."""


def by_stay(truth: Positions) -> Positions:
    """The truth's rows with everybody's second stay under another name, and so on."""
    last_ns: dict[str, int] = {}
    stays: Counter[str] = Counter()
    named = {}
    for at_ns in sorted(truth):
        people, xy = truth[at_ns]
        for person in people:
            stays[person] += at_ns - last_ns.get(person, at_ns) > AWAY_NS
            last_ns[person] = at_ns
        named[at_ns] = ([f"{p}, stay {stays[p] + 1}" if stays[p] else p for p in people], xy)
    return named


def truth_at(truth: Positions, instants: Iterable[int]) -> Positions:
    """Where everybody is at the given instants, interpolated between the truth's rows."""
    series: dict[str, list[tuple[int, float, float]]] = {}
    for at_ns, (names, xy) in truth.items():
        for name, (x, y) in zip(names, xy, strict=True):
            series.setdefault(name, []).append((at_ns, x, y))
    instants = np.array(list(instants), np.int64)
    here: dict[int, tuple[list[str], list]] = {int(t): ([], []) for t in instants}
    for name, rows in sorted(series.items()):
        table = np.array(sorted(rows), dtype=object)
        times = table[:, 0].astype(np.int64)
        x = np.interp(instants, times, table[:, 1].astype(float))
        y = np.interp(instants, times, table[:, 2].astype(float))
        there = (instants >= times[0]) & (instants <= times[-1])
        for t, px, py in zip(instants[there], x[there], y[there], strict=True):
            here[int(t)][0].append(name)
            here[int(t)][1].append((px, py))
    return {t: (names, np.reshape(np.array(xy, float), (-1, 2))) for t, (names, xy) in here.items()}


def inside_the_shop(
    truth: Positions, tracks: Positions, layout: StoreLayout, gate_m: float
) -> tuple[Positions, Positions]:
    """Leave out who is not on the shop's floor, and the tracks out there.

    People in front of the door may be followed or not: neither is a mistake. A track outside counts only while it may
    belong to somebody inside, that is within the gate.
    """
    kept_truth, kept_tracks = {}, {}
    nobody = ([], np.zeros((0, 2)))
    for instant in set(truth) | set(tracks):
        names, xy = truth.get(instant, nobody)
        track_names, track_xy = tracks.get(instant, nobody)
        indoors = contains_xy(layout.floor, xy[:, 0], xy[:, 1])
        near = (cdist(track_xy, xy[indoors]) <= gate_m).any(axis=1)
        counted = near | contains_xy(layout.floor, track_xy[:, 0], track_xy[:, 1])
        kept_truth[instant] = ([n for n, keep in zip(names, indoors, strict=True) if keep], xy[indoors])
        kept_tracks[instant] = ([n for n, keep in zip(track_names, counted, strict=True) if keep], track_xy[counted])
    return kept_truth, kept_tracks
