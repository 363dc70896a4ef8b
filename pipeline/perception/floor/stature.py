# SPDX-License-Identifier: AGPL-3.0-or-later
"""How tall people are, which is what tells them apart best: their own height, which stays, and the one they have now.

Who stands upright has a height that sways around their own (an Ornstein-Uhlenbeck process): a look at them a moment ago
says nearly the same as a look now, and ten seconds of looks say ten times as much as one. The own height is a seventh
state that only the sixth's height depends on, so its mean, variance and covariance with that are all there is to keep.
Who bends, squats, sits or lies is of any height, and as tall as before when they get up.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from pipeline.perception.floor.bodies import H, R
from pipeline.perception.floor.settings import BodySettings

if TYPE_CHECKING:
    from pipeline.perception.floor.person import Person

RISEN_S = 1.0
"""How long it takes to see that somebody has got up."""
OUTLANDISH = 2.8
"""Heights further from the mean than so many deviations are of people who do not stand."""


def sway(
    people: Sequence[Person], variance: np.ndarray, dt_s: float, s: BodySettings
) -> tuple[float, np.ndarray, np.ndarray, np.ndarray]:
    """Of people who stand upright, with `variance` (n,) of the heights they have: what share of those is left after
    `dt_s` and what each falls back to (n,); the same as a part of the transition (n,) and its noise (n,). What is known
    of their own heights moves on."""
    keep = float(np.exp(-dt_s / s.sway_s))
    known = [(p.stature_m, p.stature_sigma_m, p.stature_tie_m2) for p in people]
    own_m, sigma_m, tie = np.reshape(known, (-1, 3)).T
    # Of their own height the one they have now tells a part.
    told = tie / variance
    noise = (1 - keep) ** 2 * np.maximum(sigma_m**2 - told * tie, 0) + s.sway_m**2 * (1 - keep**2)
    tied = (1 - keep) * sigma_m**2 + keep * tie
    young = np.exp(-np.array([p.alone_s for p in people]) / s.stature_young_s)
    drift_m = s.stature_drift_m + (s.stature_doubt_m - s.stature_drift_m) * young
    later_m = np.sqrt(sigma_m**2 + drift_m**2 * dt_s)
    for person, *values in zip(people, tied.tolist(), later_m.tolist(), strict=True):
        person.stature_tie_m2, person.stature_sigma_m = values
    return keep, own_m, keep + (1 - keep) * told, noise


def note_posture(
    person: Person, s: BodySettings, dt_s: float = 0.0, expected: tuple[float, float] | None = None
) -> None:  # fmt: skip
    """Who stands upright shows how tall they are; nobody who stands is as small or as tall as few people are. Who is
    bent, though as tall as they are or as people are, has got up: a bent body of no height of its own is never
    contradicted by its boxes. `expected`: height and variance before this look, of who stood upright already."""
    if person.bent:
        if not _is_up(person, s, dt_s):
            person.stature_tie_m2 = 0.0
            return
        expected = None
    height_m, variance = float(person.mean[H]), float(person.covariance[H, H])
    person.bent = False
    if person.posed:
        person.stature_m, person.stature_sigma_m, person.stature_tie_m2 = height_m, variance**0.5, variance
    elif abs(height_m - s.height_m) > OUTLANDISH * s.height_sigma_m:
        person.bent = True
        person.stature_m, person.stature_sigma_m, person.stature_tie_m2 = s.height_m, s.height_sigma_m, 0.0
    else:
        own, tie = person.stature_sigma_m**2, person.stature_tie_m2
        if expected is None:
            expected, tie = (person.stature_m, own + s.sway_m**2), own
        expected_m, before = expected
        gain = tie / before
        person.stature_m += gain * (height_m - expected_m)
        person.stature_sigma_m = max(own - gain * gain * (before - variance), 1e-8) ** 0.5
        person.stature_tie_m2 = gain * variance


def _is_up(person: Person, s: BodySettings, dt_s: float) -> bool:
    height_m, variance = person.mean[H], person.covariance[H, H]
    if dt_s <= 0 or variance > s.risen_sigma_m**2:
        return False
    odds = np.log(s.rise_hz * RISEN_S)
    upright = person.stature_m, np.hypot(person.stature_sigma_m, s.sway_m), 1
    for mean_m, sigma_m, sign in (upright, (s.bent_share * person.stature_m, s.bent_sigma_m, -1)):
        spread = sigma_m**2 + variance
        odds -= sign * 0.5 * ((height_m - mean_m) ** 2 / spread + np.log(spread))
    return odds > 0


def misfit(person: Person, height_m: float, variance: float, s: BodySettings) -> float:
    """How far somebody of that height is from being this person: squared, in deviations. 0 where one of the two says
    nothing: who is bent, or has key points."""
    own = person.stature_sigma_m**2 + s.sway_m**2 + variance
    return 0.0 if person.bent or person.posed else (height_m - person.stature_m) ** 2 / own


def renamed(body: Person, name: Person, s: BodySettings) -> Person:
    """A life of `name` that goes on with a body which was taken for somebody else: it is as tall as `name` is."""
    mean, covariance = body.mean.copy(), body.covariance.copy()
    own = name.stature_sigma_m**2
    mean[H] = name.stature_m
    covariance[H] = covariance[:, H] = 0.0
    covariance[H, H] = own + s.sway_m**2
    out = body.clone()
    out.mean, out.covariance = mean, covariance
    out.trail[-1] = replace(
        out.trail[-1], mean=mean, covariance=covariance, predicted_mean=mean, predicted_covariance=covariance
    )  # fmt: skip
    out.track_id, out.born_ns, out.alone_s = name.track_id, name.born_ns, name.alone_s
    out.stature_m, out.stature_sigma_m, out.stature_tie_m2 = name.stature_m, name.stature_sigma_m, own
    out.look, out.alike = name.look, name.alike
    return out


def seems(body: Person, name: Person, s: BodySettings) -> float:
    """How far a body, by how tall it seems of late, is from being that of `name`: squared, in deviations; 0 where one
    says nothing of that."""
    if not (_tells(body) and _tells(name)):
        return 0.0
    return (body.tall_m - name.stature_m) ** 2 / (s.seen_sigma_m**2 + name.stature_sigma_m**2)


def exchanged(a: Person, b: Person, s: BodySettings) -> float:
    """Nats for two people having each other's bodies, by how tall those seem of late."""
    if not (_tells(a) and _tells(b)):
        return 0.0
    return 0.5 * (seems(a, a, s) + seems(b, b, s) - seems(a, b, s) - seems(b, a, s))


def _tells(person: Person) -> bool:
    """Who is bent or has key points shows no height of their own, nor does who was not seen yet (NaN)."""
    return not person.bent and not person.posed and person.tall_m == person.tall_m


def other_posture(people: Sequence[Person], dt_s: float, s: BodySettings) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(mean (T, 6), covariance (T, 6, 6), log odds (T,)) of predicted people, had each bent down or got up just now."""
    mean = np.reshape([p.mean for p in people], (-1, 6)).copy()
    covariance = np.reshape([p.covariance for p in people], (-1, 6, 6)).copy()
    bent = np.array([p.bent for p in people], bool)
    stature_m = np.array([p.stature_m for p in people])
    mean[:, H] = np.where(bent, stature_m, s.bent_share * stature_m)
    mean[:, R] = np.where(bent, s.half_width_m, mean[:, R])
    for axis, upright in ((H, np.hypot([p.stature_sigma_m for p in people], s.sway_m)), (R, s.half_width_sigma_m)):
        covariance[:, axis, :] = covariance[:, :, axis] = 0.0
        covariance[:, axis, axis] = np.where(bent, upright, s.bent_sigma_m / (1 + (axis == R))) ** 2
    chance = np.where(bent, s.rise_hz, s.bend_hz) * max(dt_s, 1e-3)
    return mean, covariance, np.log(chance / (1 + chance))
