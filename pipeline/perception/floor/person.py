# SPDX-License-Identifier: AGPL-3.0-or-later
"""One person's state over time, and the linear algebra over many of them.

State: (x, y, height, half width, vx, vy), `bodies.X` to `bodies.VY`. Prediction: nearly constant velocity, height and
width drawn back to the person's own; update in information form, so that any number of cameras adds up (Bar-Shalom, Li
& Kirubarajan, Estimation with Applications, 6.2 and 7.2).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from pipeline.perception.floor.bodies import VX, VY, H, R
from pipeline.perception.floor.settings import BodySettings
from pipeline.perception.floor.stature import note_posture, sway

COASTING_S = 0.3


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
    stature_tie_m2: float = 0.0
    """Covariance of the two."""
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
    tall_m: float = np.nan
    """The height that the upper edges of their boxes have shown of late, whether it can be theirs or not."""
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

    def clone(self) -> Person:
        """Another life of the same person; moments are shared, as they do not change."""
        return replace(
            self, sources=dict(self.sources), boxes=dict(self.boxes), trail=list(self.trail),
            camera_tracks=dict(self.camera_tracks),
        )  # fmt: skip


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
    noise[:, H, H] = np.where(bent, s.bent_drift_m, s.posed_drift_m) ** 2 * dt_s
    up = np.flatnonzero(~bent & ~posed)
    keep, own_m, f[up, H, H], noise[up, H, H] = sway([people[k] for k in up], covariance[up, H, H], dt_s, s)
    predicted[up, H] += (1 - keep) * (own_m - predicted[up, H])
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
