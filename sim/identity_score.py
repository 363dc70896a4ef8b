# SPDX-License-Identifier: AGPL-3.0-or-later
"""Does one track stay with one person from the gate to the exit, and was it said beforehand where it might not?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from scipy.optimize import linear_sum_assignment
from scipy.spatial.distance import cdist

from sim.tracking_score import Positions

SHORT_NS = 500_000_000
"""A label that somebody has for less is a slip: it bills nobody."""
_BEFORE_NS, _AFTER_NS = 10_000_000_000, 1_000_000_000


@dataclass(frozen=True)
class Flag:
    """A tracker's warning that these tracks may have been exchanged from `since_ns` to `until_ns`."""

    track_ids: tuple[str, ...]
    since_ns: int
    until_ns: int


@dataclass(frozen=True)
class Change:
    """At `at_ns` a person's label turned from one into another."""

    person: str
    at_ns: int
    before: str
    after: str
    xy_m: tuple[float, float]
    flagged: bool


@dataclass(frozen=True)
class VisitIdentity:
    """`labels`: what the person was called in turn, slips left out. `held`: one label all the way, and there was one.
    `flagged`: a warning names one of the labels during the visit."""

    person: str
    labels: tuple[str, ...]
    changes: tuple[Change, ...]
    flagged: bool

    @property
    def held(self) -> bool:
        return len(self.labels) == 1


def visit_identities(
    truth: Positions, tracks: Positions, visits: Sequence[dict], flags: Sequence[Flag] = (), gate_m: float = 0.5
) -> list[VisitIdentity]:
    """Labels of every visit in `truth/receipts.json`'s form (one per person of a party; none where it names nobody).

    At each instant people and tracks are paired for the least sum of distances, none further apart than `gate_m`.
    """
    paired = _pairs(truth, tracks, gate_m)
    out = []
    for visit in visits:
        for person in visit.get("members") or ([visit["person"]] if "person" in visit else ()):
            begin, end = visit["entered_at_ns"], visit["left_at_ns"]
            rows = [r for r in paired.get(person, ()) if (begin or 0) <= r[0] <= (end or np.iinfo(np.int64).max)]
            out.append(_identity(person, rows, flags))
    return out


def _pairs(truth: Positions, tracks: Positions, gate_m: float) -> dict[str, list[tuple[int, str, np.ndarray]]]:
    out: dict[str, list] = {}
    for at_ns in sorted(set(truth) & set(tracks)):
        names, xy = truth[at_ns]
        labels, places = tracks[at_ns]
        if not len(names) or not len(labels):
            continue
        distance = cdist(xy, places)
        rows, columns = linear_sum_assignment(np.where(distance <= gate_m, distance, 1e3))
        for r, c in zip(rows, columns, strict=True):
            if distance[r, c] <= gate_m:
                out.setdefault(names[r], []).append((at_ns, labels[c], xy[r]))
    return out


def _identity(person: str, rows: list[tuple[int, str, np.ndarray]], flags: Sequence[Flag]) -> VisitIdentity:
    runs: list[list] = []  # label, first, last, place
    for at_ns, label, xy in rows:
        if runs and runs[-1][0] == label:
            runs[-1][2] = at_ns
        else:
            runs.append([label, at_ns, at_ns, xy])
    runs = [r for r in runs if r[2] - r[1] >= SHORT_NS]
    joined: list[list] = []
    for run in runs:
        if joined and joined[-1][0] == run[0]:
            joined[-1][2] = run[2]
        else:
            joined.append(list(run))
    changes = []
    for before, after in pairwise(joined):
        at_ns, names = after[1], {before[0], after[0]}
        warned = any(
            names & set(f.track_ids) and f.since_ns <= at_ns + _AFTER_NS and f.until_ns >= at_ns - _BEFORE_NS
            for f in flags
        )
        changes.append(
            Change(person, int(at_ns), before[0], after[0], (float(after[3][0]), float(after[3][1])), warned)
        )
    labels = tuple(r[0] for r in joined)
    begin, end = (joined[0][1], joined[-1][2]) if joined else (0, 0)
    flagged = any(set(labels) & set(f.track_ids) and f.since_ns <= end and f.until_ns >= begin for f in flags)
    return VisitIdentity(person, labels, tuple(changes), flagged)
