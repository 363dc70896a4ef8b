# SPDX-License-Identifier: AGPL-3.0-or-later
"""One person's state over time, and the linear algebra over many of them.

State: (x, y, height, half width, vx, vy), `bodies.X` to `bodies.VY`. Prediction: nearly constant velocity, height and
width drawn back to the person's own; update in information form, so that any number of cameras adds up (Bar-Shalom, Li
& Kirubarajan, Estimation with Applications, 6.2 and 7.2).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from pipeline.perception.floor.bodies import VX, VY, H, R
from pipeline.perception.floor.settings import BodySettings

COASTING_S = 0.3
OUTLANDISH = 2.8
"""Heights further from the mean than so many deviations are of people who do not stand."""


@dataclass(frozen=True)
class Moment:
    """A state as it was filtered at one instant, and the prediction that led to it: what a smoother needs."""

    at_ns: int
    mean: np.ndarray
    covariance: np.ndarray
    predicted_mean: np.ndarray
    predicted_covariance: np.ndarray
    transition: np.ndarray
    seen: bool


@dataclass(eq=False)
class Person:
    """A candidate or a person; `track_id` is empty until confirmed."""

    mean: np.ndarray
    covariance: np.ndarray
    born_ns: int
    seen_ns: int
    sure_ns: int
    stature_m: float
    stature_sigma_m: float
    """Their height when they stand upright, as far as it is known; `mean[H]` is the height they have now."""
    bent: bool = False
    """Bent, squatting, sitting or lying: of any height and width, until they stand up."""
    posed: bool = False
    """Last seen with key points: those follow whoever bends down, so nothing is asked about it."""
    track_id: str = ""
    evidence: float = 0.0
    hits: int = 0
    views: float = 0.0
    expected: float = 0.0
    quality: float = 0.0
    """Like `views`, each box weighed by how surely it is this person's."""
    near: int = 0
    apart: int = 0
    at_door: bool = False
    lost_ns: int = 0
    """Since when it is known to have no boxes of its own; 0 while it has."""
    alone_s: float = 0.0
    """How long it was seen well, and apart from everybody."""
    sources: dict[str, int] = field(default_factory=dict)
    boxes: dict[int, int] = field(default_factory=dict)
    """Camera's index -> index of its box among this window's sightings."""
    views_before: int = 0
    """How many cameras saw them in the window before."""
    look: np.ndarray | None = None
    """What they wear, float32 (2, BINS), as far as it is known; never changed, but replaced."""
    alike: dict[str, float] = field(default_factory=dict)
    """Track id -> nats for this body's boxes of the last seconds being that person's; never changed, but replaced."""
    trail: list[Moment] = field(default_factory=list)
    camera_tracks: dict[int, tuple[int, int]] = field(default_factory=dict)
    """Camera's index -> (the camera's own track, when it last was this person)."""

    @property
    def xy_m(self) -> np.ndarray:
        return self.mean[:2]


def begin(theta: np.ndarray, covariance: np.ndarray, now_ns: int, posed: bool, s: BodySettings) -> Person:
    """Somebody seen for the first time at theta (x, y, height)."""
    mean = np.array([*theta[:2], np.clip(theta[2], 0.5, 2.1), s.half_width_m, 0.0, 0.0])
    spread = np.zeros((6, 6))
    spread[:3, :3] = covariance
    spread[R, R] = s.half_width_sigma_m**2
    spread[VX, VX] = spread[VY, VY] = s.speed_sigma_m_s**2
    person = Person(mean, spread, now_ns, now_ns, now_ns, s.height_m, s.height_sigma_m, posed=posed)
    note_posture(person, s)
    return person


def note_posture(person: Person, s: BodySettings, dt_s: float = 0.0) -> None:
    """Who stands upright shows how tall they are; nobody who stands is as small or as tall as few people are. Who is
    bent, though as tall as they are or as people are, has got up: a bent body of no height of its own is never
    contradicted by its boxes."""
    if person.bent and not _is_up(person, s, dt_s):
        return
    person.bent = False
    if not person.posed and abs(person.mean[H] - s.height_m) > OUTLANDISH * s.height_sigma_m:
        person.bent = True
        person.stature_m, person.stature_sigma_m = s.height_m, s.height_sigma_m
    else:
        person.stature_m, person.stature_sigma_m = float(person.mean[H]), float(np.sqrt(person.covariance[H, H]))


def _is_up(person: Person, s: BodySettings, dt_s: float) -> bool:
    height_m, variance = person.mean[H], person.covariance[H, H]
    if dt_s <= 0 or variance > s.risen_sigma_m**2:
        return False
    odds = np.log(s.rise_hz * dt_s)
    for mean_m, sigma_m, sign in (
        (person.stature_m, person.stature_sigma_m, 1), (s.bent_share * person.stature_m, s.bent_sigma_m, -1),
    ):  # fmt: skip
        spread = sigma_m**2 + variance
        odds -= sign * 0.5 * ((height_m - mean_m) ** 2 / spread + np.log(spread))
    return odds > 0


def places_m(people: Sequence[Person]) -> np.ndarray:
    """float64 (T, 2)."""
    return np.reshape([p.xy_m for p in people], (-1, 2))


def distances_m(a_xy_m: np.ndarray, b_xy_m: np.ndarray) -> np.ndarray:
    """float64 (T, U) between places (T, 2) and (U, 2)."""
    x, y = (a_xy_m[:, None, axis] - b_xy_m[:, axis] for axis in (0, 1))
    return np.sqrt(x * x + y * y)


def predict(
    people: list[Person], dt_s: float, now_ns: int, has_left: Callable[[Person], bool], s: BodySettings
) -> None:  # fmt: skip
    """Move everybody on by `dt_s`. Who is unseen slows down, unless they are on the way out, which `has_left` tells."""
    if not people:
        return
    mean = np.stack([p.mean for p in people])
    covariance = np.stack([p.covariance for p in people])
    coasting = np.array([(now_ns - p.seen_ns) / 1e9 > COASTING_S + dt_s for p in people])
    slower = np.array([unseen and not has_left(p) for p, unseen in zip(people, coasting.tolist(), strict=True)])
    n = len(people)
    keep_v = np.where(slower, np.exp(-dt_s / s.coast_damping_s), np.exp(-dt_s / s.steady_s))
    f = np.zeros((n, 6, 6)) + np.eye(6)
    f[:, 0, VX] = f[:, 1, VY] = dt_s
    f[:, VX, VX] = f[:, VY, VY] = keep_v
    predicted = np.einsum("tij,tj->ti", f, mean)
    q = s.wander_m2_s3
    noise = np.zeros((n, 6, 6))
    noise[:, [0, 1], [0, 1]] = q * dt_s**3 / 3 + np.where(coasting, s.coast_drift_m**2 * dt_s, 0.0)[:, None]
    noise[:, [0, 1, VX, VY], [VX, VY, 0, 1]] = q * dt_s**2 / 2
    noise[:, [VX, VY], [VX, VY]] = q * dt_s
    bent = np.array([p.bent for p in people])
    posed = np.array([p.posed for p in people])
    noise[:, H, H] = np.where(bent, s.bent_drift_m, np.where(posed, s.posed_drift_m, s.stature_drift_m)) ** 2 * dt_s
    noise[:, R, R] = np.where(bent, s.bent_drift_m / 2, s.width_drift_m) ** 2 * dt_s
    spread = f @ covariance @ f.transpose(0, 2, 1) + noise
    too_wide = np.sqrt(np.maximum((spread[:, 0, 0] + spread[:, 1, 1]) / 2 / s.greatest_sigma_m**2, 1.0))
    shrink = np.ones((n, 6))
    shrink[:, :2] /= too_wide[:, None]
    spread *= shrink[:, :, None] * shrink[:, None, :]
    for k, person in enumerate(people):
        person.mean, person.covariance = predicted[k], spread[k]
        person.trail.append(Moment(now_ns, predicted[k], spread[k], predicted[k], spread[k], f[k], False))
        person.views_before = len(person.boxes)
        person.sources, person.boxes = {}, {}


def other_posture(people: Sequence[Person], dt_s: float, s: BodySettings) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(mean (T, 6), covariance (T, 6, 6), log odds (T,)) of predicted people, had each bent down or got up just now."""
    mean = np.reshape([p.mean for p in people], (-1, 6)).copy()
    covariance = np.reshape([p.covariance for p in people], (-1, 6, 6)).copy()
    bent = np.array([p.bent for p in people], bool)
    stature_m = np.array([p.stature_m for p in people])
    mean[:, H] = np.where(bent, stature_m, s.bent_share * stature_m)
    mean[:, R] = np.where(bent, s.half_width_m, mean[:, R])
    for axis, upright in ((H, np.array([p.stature_sigma_m for p in people])), (R, s.half_width_sigma_m)):
        covariance[:, axis, :] = covariance[:, :, axis] = 0.0
        covariance[:, axis, axis] = np.where(bent, upright, s.bent_sigma_m / (1 + (axis == R))) ** 2
    chance = np.where(bent, s.rise_hz, s.bend_hz) * max(dt_s, 1e-3)
    return mean, covariance, np.log(chance / (1 + chance))


def limit(mean: np.ndarray, s: BodySettings) -> np.ndarray:
    """States (T, 6) within what people are."""
    mean = mean.copy()
    mean[:, H] = np.clip(mean[:, H], 0.4, 2.2)
    mean[:, R] = np.clip(mean[:, R], 0.15, 0.7)
    speed = np.linalg.norm(mean[:, VX:], axis=1)
    mean[:, VX:] *= np.minimum(1.0, s.greatest_speed_m_s / np.maximum(speed, 1e-9))[:, None]
    return mean


def smooth(trail: list[Moment], steps: int) -> tuple[np.ndarray, np.ndarray]:
    """State and covariance `steps` before the end of a trail, from all of it (Rauch, Tung & Striebel, 1965)."""
    mean, covariance = trail[-1].mean, trail[-1].covariance
    for k in range(len(trail) - 2, len(trail) - 2 - steps, -1):
        now, then = trail[k + 1], trail[k]
        gain = np.linalg.solve(now.predicted_covariance, now.transition @ then.covariance).T
        mean = then.mean + gain @ (mean - now.predicted_mean)
        covariance = then.covariance + gain @ (covariance - now.predicted_covariance) @ gain.T
    return mean, covariance
