# SPDX-License-Identifier: AGPL-3.0-or-later
"""What a window's matches mean for a person: state, when they were seen, how tall they are, and the memory of which of
a camera's own tracks they were."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from pipeline.perception.floor.associate import Matches
from pipeline.perception.floor.bodies import H
from pipeline.perception.floor.clothes import Clothes
from pipeline.perception.floor.person import Moment, Person, limit
from pipeline.perception.floor.settings import AssociationSettings, FloorSettings
from pipeline.perception.floor.sightings import Sightings
from pipeline.perception.floor.stature import note_posture, other_posture

FADING_S = 3.5
"""Memory of support."""
TALL_S = 0.8
"""Memory of `Person.tall_m`."""


@dataclass(frozen=True)
class Upkeep:
    """One window: its sightings, time and length. `association`: those settings, with what scores are known to mean.
    `word`, `word_ns`: (N,), what the cameras' own tracks say of each box, see `CameraWords`."""

    seen: Sightings
    camera_ids: tuple[str, ...]
    now_ns: int
    dt_s: float
    settings: FloorSettings
    association: AssociationSettings
    word: np.ndarray
    word_ns: np.ndarray
    clothes: Clothes

    def settle(self, people: Sequence[Person], rows: np.ndarray, matches: Matches) -> None:
        """Give people the outcome of rows (K,) of the matches."""
        box = matches.box[rows]
        has = box >= 0
        mean, covariance = limit(matches.mean[rows], self.settings.body), matches.covariance[rows]
        chance = np.where(self.seen.looked, matches.detected[rows], 0.0)
        fade = float(np.exp(-self.dt_s / FADING_S))
        latest = 1 - float(np.exp(-self.dt_s / TALL_S))
        changed = matches.changed[rows].tolist()
        count, quality, tall_m = has.sum(1).tolist(), matches.quality[rows].tolist(), matches.tall_m[rows].tolist()
        expected = np.where(has, 1.0, chance).sum(1).tolist()
        evidence = (has - 0.8 * chance * ~has).sum(1).tolist()
        of, cameras = np.nonzero(has)
        ends = np.searchsorted(of, np.arange(len(rows) + 1)).tolist()
        mine = box[of, cameras]
        posed = (np.bincount(of, self.seen.posed[mine], len(rows)) > 0).tolist()
        score = np.zeros(len(rows))
        np.maximum.at(score, of, np.where(self.seen.twin[mine], 0.0, self.seen.score[mine]))
        score, source, track = score.tolist(), self.seen.row[mine].tolist(), self.seen.track[mine].tolist()
        cameras, mine = cameras.tolist(), mine.tolist()
        for k, person in enumerate(people):
            due = None if changed[k] else (float(person.mean[H]), float(person.covariance[H, H]))
            person.mean, person.covariance = mean[k], covariance[k]
            then = person.trail[-1]
            person.trail[-1] = Moment(
                then.at_ns, mean[k], covariance[k], then.predicted_mean, then.predicted_covariance, then.transition,
                count[k] > 0,
            )  # fmt: skip
            if count[k] or not person.track_id:
                # Somebody whom nobody sees is hidden: that says nothing about whose boxes they had.
                person.views = person.views * fade + count[k]
                person.quality = person.quality * fade + quality[k]
                person.expected = person.expected * fade + expected[k]
            person.evidence += evidence[k]
            person.bent ^= changed[k]
            if count[k]:
                person.posed = posed[k]
            if tall_m[k] == tall_m[k]:
                was_m = person.tall_m if person.tall_m == person.tall_m else tall_m[k]
                person.tall_m = was_m + latest * (tall_m[k] - was_m)
            note_posture(person, self.settings.body, self.dt_s, due)
            part = slice(ends[k], ends[k + 1])
            person.boxes = dict(zip(cameras[part], mine[part], strict=True))
            person.sources = {self.camera_ids[c]: row for c, row in zip(cameras[part], source[part], strict=True)}
            if count[k]:
                self._seen(person, score[k], zip(cameras[part], track[part], strict=True))

    def _seen(self, person: Person, score: float, tracks: Iterable[tuple[int, int]]) -> None:
        person.seen_ns = self.now_ns
        person.hits += 1
        if score >= self.settings.association.sure_score:
            person.sure_ns = self.now_ns
        for c, track in tracks:
            if track >= 0:
                person.camera_tracks[c] = (track, self.now_ns)

    def other_posture(self, group: Sequence[Person]) -> tuple[np.ndarray, ...]:
        """Where people would be had they bent down or got up, how likely that is, who is bent now and who has key
        points: (T, ...); and the window's length."""
        bent = np.array([p.bent for p in group], bool)
        posed = np.array([p.posed for p in group], bool)
        return *other_posture(group, self.dt_s, self.settings.body), bent, posed, self.dt_s

    def continuity(self, group: Sequence[Person]) -> np.ndarray | None:
        """Gains (T, N) from the cameras' own trackers: of who had a track's last box, on its next one; None where
        cameras track nothing."""
        if not self.word.any():
            return None
        seen = self.seen
        row = {(int(seen.camera[n]), int(seen.track[n])): n for n in np.flatnonzero(self.word)}
        gain = np.zeros((len(group), len(seen)))
        for k, person in enumerate(group):
            for c, (track, when) in person.camera_tracks.items():
                n = row.get((c, track))
                if n is not None and when == self.word_ns[n]:
                    gain[k, n] = self.word[n]
        return gain
