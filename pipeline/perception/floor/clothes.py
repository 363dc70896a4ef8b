# SPDX-License-Identifier: AGPL-3.0-or-later
"""What people wear, where there are pictures: how well each box looks like each person, and who was exchanged.

Somebody's look is learnt while nobody is near, so that it is nobody else's, and again when they have taken their jacket
off. How a part of a body looks differs from one box to the next by an exponentially distributed amount, and now and
then by anything (a jacket, an arm, somebody who is in the way).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from scipy.optimize import linear_sum_assignment

from pipeline.perception.appearance import differences
from pipeline.perception.floor.person import Person, distances_m, places_m
from pipeline.perception.floor.settings import FloorSettings, anew
from pipeline.perception.floor.sightings import Sightings

FAR = -1e6


class Clothes:
    """One window of `dt_s` seconds."""

    def __init__(self, seen: Sightings, dt_s: float, settings: FloorSettings) -> None:
        self._seen, self._s = seen, settings.appearance
        self._keep = float(np.exp(-dt_s / settings.appearance.recent_s))
        self._anew = anew(dt_s, settings.association.clothes_lasting_s)
        self._known: dict[int, tuple[np.ndarray, np.ndarray]] = {}

    def gains(self, group: Sequence[Person]) -> np.ndarray | None:
        """float64 (T, N): log-likelihoods of each box being each person's by what they wear, against the
        difference that is usual; 0 of who is not known, None where nobody is."""
        if self._seen.look is None or all(p.look is None for p in group):
            return None
        out = np.zeros((len(group), len(self._seen)))
        for k, person in enumerate(group):
            if person.look is not None:
                # Many lives of one person share a look.
                if id(person.look) not in self._known:
                    self._known[id(person.look)] = (person.look, self._gain(person.look))
                out[k] = self._known[id(person.look)][1]
        return out

    def _gain(self, look: np.ndarray) -> np.ndarray:
        s = self._s
        differs, _ = differences(self._seen.look, look[None])
        seen = self._seen.look.sum(-1) * np.minimum(look.sum(-1) / s.enough, 1)
        fits = np.log((1 - s.changed) * np.exp(-differs / s.scale) + s.changed)
        return (seen * (fits + s.usual)).sum(-1)

    def learn(self, people: Sequence[Person], nearest_m: np.ndarray) -> None:
        """`nearest_m`: (T,), to whoever is next to each. Who is known is learnt anew only where they can be exchanged
        with nobody: or each would soon be taken for who the other was."""
        if self._seen.look is None:
            return
        s = self._s
        for person, away_m in zip(people, nearest_m.tolist(), strict=True):
            known = person.look is not None and person.look.sum() > s.most
            if person.boxes and away_m > (s.exchange_m if known else s.alone_m):
                found = self._seen.look[list(person.boxes.values())].sum(0)
                total = (0 if person.look is None else person.look) + self._anew * found
                person.look = total * np.minimum(1, s.most / np.maximum(total.sum(-1, keepdims=True), 1e-9))

    def note(self, bodies: Sequence[Person], people: Sequence[Person]) -> bool:
        """How far the boxes that each body had lately look like each of the people; False where nobody is known."""
        gain = self.gains(people) if bodies else None
        if gain is None:
            return False
        for body in bodies:
            said = gain[:, list(body.boxes.values())].sum(1).tolist()
            body.alike = {
                other.track_id: self._keep * body.alike.get(other.track_id, 0.0) + self._anew * now
                for other, now in zip(people, said, strict=True)
            }
        return True

    def alike(self, body: Person, person: Person, people: Sequence[Person]) -> float:
        """Nats by which the boxes that a body had lately look more like this person than like anybody else near it; 0
        of who is not known."""
        if person.look is None or not body.alike:
            return 0.0
        near = np.hypot(*(places_m(people) - body.xy_m).T) < self._s.exchange_m
        others = [
            body.alike.get(other.track_id, 0.0) for other, here in zip(people, near, strict=True)
            if here and other is not person and other.look is not None
        ]  # fmt: skip
        return body.alike.get(person.track_id, 0.0) - max(others, default=0.0)

    def better(self, body: Person, person: Person) -> float:
        """Nats by which the boxes that a body had lately look more like this person than those of their own body."""
        if person.look is None:
            return 0.0
        return body.alike.get(person.track_id, 0.0) - person.alike.get(person.track_id, 0.0)

    def exchanged(self, people: Sequence[Person]) -> Mapping[str, str]:
        """Track id -> whose body it is, of people who must have been exchanged: the boxes that each body had
        lately look like the other person's. Rings as well as pairs, of people who are near one another."""
        if not self.note(people, people):
            return {}
        known = [p for p in people if p.look is not None]
        value = np.array([[body.alike[other.track_id] for other in known] for body in known])
        xy = places_m(known)
        value += np.where(np.eye(len(known), dtype=bool), self._s.exchange_nats, 0.0)
        value[distances_m(xy, xy) > self._s.exchange_m] = FAR
        body, name = linear_sum_assignment(value, maximize=True)
        return {known[i].track_id: known[k].track_id for i, k in zip(body, name, strict=True) if i != k}
