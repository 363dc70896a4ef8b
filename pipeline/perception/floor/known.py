# SPDX-License-Identifier: AGPL-3.0-or-later
"""Who of the people known a candidate is: somebody lost, or somebody whose track lives on others' boxes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pipeline.perception.floor.bodies import H
from pipeline.perception.floor.clothes import Clothes
from pipeline.perception.floor.person import Person
from pipeline.perception.floor.settings import BodySettings, FloorSettings
from pipeline.perception.floor.stature import misfit, note_posture

NS = 1_000_000_000


@dataclass(frozen=True)
class Known:
    """The people of one window, and what they wear."""

    people: Sequence[Person]
    clothes: Clothes
    settings: FloorSettings

    def recognised(self, candidate: Person) -> Person | None:
        """The lost person, or the one whose track may live on others' boxes, whom a candidate surely looks like."""
        s = self.settings
        if candidate.hits < s.least_hits or not candidate.alike:
            return None
        missing = [p for p in self.people if (p.lost_ns or self._suspect(p)) and self._way(p, candidate) < 1]
        nats, best = max(((self._alike(candidate, p), p) for p in missing), key=lambda one: one[0], default=(0.0, None))
        return best if nats >= s.appearance.exchange_nats else None

    def lost_near(self, candidate: Person) -> Person | None:
        """Of the people lost since before the candidate appeared, the one who had the shortest way for their time and
        is as tall."""
        s = self.settings
        height_m, variance = float(candidate.mean[H]), float(candidate.covariance[H, H])
        told = not (candidate.bent or candidate.posed)
        best, least = None, np.inf
        for person in self.people:
            if not person.lost_ns and (candidate.born_ns - person.seen_ns) / NS < s.lost_s:
                continue
            ratio = self._way(person, candidate)
            apart = misfit(person, height_m, variance, s.body) if told else 0.0
            if ratio < 1 and apart < s.reattach_misfit and ratio + apart / s.reattach_misfit < least:
                best, least = person, ratio + apart / s.reattach_misfit
        return best

    def suspected(self, candidate: Person) -> Person | None:
        """Nobody appears in the middle of a shop: it is somebody near whose track lives on others' boxes. The one whom
        the candidate looks more like than their body does, or of a candidate seen well, the one who does so most.
        (Names of those in between are put right by what they wear.)"""
        s = self.settings
        near = [
            p for p in self.people if self._suspect(p) and np.linalg.norm(p.xy_m - candidate.xy_m) < s.suspect_m
        ]  # fmt: skip
        alike = [p for p in near if self.clothes.alike(candidate, p, self.people) > 0]
        better = [self.clothes.better(candidate, p) for p in alike]
        if max(better, default=0.0) >= s.appearance.exchange_nats:
            return alike[int(np.argmax(better))]
        if candidate.views < s.suspect_support * candidate.expected:
            return None
        return min(near, key=lambda p: p.quality / p.expected, default=None)

    def _suspect(self, person: Person) -> bool:
        return person.quality < self.settings.suspect_quality * person.expected

    def _alike(self, candidate: Person, person: Person) -> float:
        """Nats by which a candidate looks like this person: more than like others, and more than their body does."""
        nats = self.clothes.alike(candidate, person, self.people)
        return nats if person.lost_ns else min(nats, self.clothes.better(candidate, person))

    def _way(self, person: Person, candidate: Person) -> float:
        """How far it is to the candidate, as a share of what they can have walked since they were lost or seen."""
        s = self.settings
        unseen_s = (candidate.born_ns - (person.lost_ns or person.seen_ns)) / NS
        way_m = float(np.linalg.norm(person.xy_m - candidate.xy_m))
        return way_m / (s.reattach_m + s.reattach_speed_m_s * max(unseen_s, 0.0))


def take_over(lost: Person, found: Person, body: BodySettings) -> None:
    """A person goes on where a candidate was found."""
    lost.mean, lost.covariance, lost.trail = found.mean, found.covariance, found.trail
    lost.seen_ns, lost.sure_ns, lost.sources = found.seen_ns, found.sure_ns, found.sources
    lost.hits += found.hits
    lost.bent = found.bent
    note_posture(lost, body)
    lost.views, lost.expected, lost.quality, lost.lost_ns = found.views, found.expected, found.quality, 0
    lost.camera_tracks, lost.alike = found.camera_tracks, found.alike
    lost.look = lost.look if lost.look is not None else found.look
