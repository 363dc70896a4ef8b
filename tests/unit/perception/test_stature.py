# SPDX-License-Identifier: AGPL-3.0-or-later
"""People are told apart by how tall they are: that is remembered for as long as they are there."""

import numpy as np
import pytest

from pipeline.perception.floor.bodies import H
from pipeline.perception.floor.person import begin, predict
from pipeline.perception.floor.settings import BodySettings
from pipeline.perception.floor.stature import exchanged, note_posture, renamed
from tests.unit.perception.test_postures import follow

BODY = BodySettings()
DT_S = 0.25


def look(person, height_m, sigma_m=0.03):
    """One window: predicted, and seen to be so tall."""
    predict([person], DT_S, 1, lambda p: False, BODY)
    expected = float(person.mean[H]), float(person.covariance[H, H])
    row = person.covariance[H].copy()
    gain = row / (row[H] + sigma_m**2)
    person.mean = person.mean + gain * (height_m - person.mean[H])
    person.covariance = person.covariance - np.outer(gain, row)
    person.tall_m = height_m
    note_posture(person, BODY, DT_S, expected)


def known(height_m, seconds, random, alone_s=10.0):
    person = begin(np.array([1.0, 1.0, height_m]), np.diag([0.01, 0.01, 0.0025]), 0, False, BODY)
    person.alone_s = alone_s
    for _ in range(round(seconds / DT_S)):
        look(person, height_m + random.normal(0, 0.03))
    return person


def test_what_is_known_is_what_a_filter_of_both_heights_knows():
    """Against a Kalman filter with the height that they have now and their own as two states."""
    random = np.random.default_rng(1)
    person = begin(np.array([1.0, 1.0, 1.6]), np.diag([0.01, 0.01, 0.0025]), 0, False, BODY)
    person.alone_s = 1e9
    own, sway = BODY.height_sigma_m**2, BODY.sway_m**2
    first = float(person.covariance[H, H])
    # The first look, in that filter: a prior of both, and a measurement that leads to the same height and variance.
    prior = np.array([[own + sway, own], [own, own]])
    noise = 1 / (1 / first - 1 / prior[0, 0])
    seen_m = first * (1.6 / first - BODY.height_m / prior[0, 0]) * noise / first
    mean, covariance = np.array([BODY.height_m] * 2), prior
    keep = np.exp(-DT_S / BODY.sway_s)
    f = np.array([[keep, 1 - keep], [0, 1]])
    q = np.diag([sway * (1 - keep**2), BODY.stature_drift_m**2 * DT_S])

    def update(mean, covariance, at_m, variance):
        gain = covariance[0] / (covariance[0, 0] + variance)
        return mean + gain * (at_m - mean[0]), covariance - np.outer(gain, covariance[0])

    mean, covariance = update(mean, covariance, seen_m, noise)
    for _ in range(40):
        at_m = 1.6 + random.normal(0, 0.03)
        look(person, at_m)
        mean, covariance = update(f @ mean, f @ covariance @ f.T + q, at_m, 0.03**2)
    assert person.mean[H] == pytest.approx(mean[0], abs=1e-6)
    assert person.stature_m == pytest.approx(mean[1], abs=1e-6)
    assert person.stature_sigma_m**2 == pytest.approx(covariance[1, 1], rel=1e-3)
    assert person.stature_tie_m2 == pytest.approx(covariance[0, 1], rel=1e-3)


def test_ten_seconds_of_looks_are_worth_more_than_one():
    random = np.random.default_rng(0)
    short, long = (known(1.6, seconds, random) for seconds in (1, 20))
    assert long.stature_sigma_m < 0.011 < 0.017 < short.stature_sigma_m
    assert long.stature_m == pytest.approx(1.6, abs=0.025)


def test_who_is_known_for_long_is_not_as_tall_as_the_last_second_says():
    """A second in somebody else's body moves their own height by less than a third."""
    person = known(1.6, 20, np.random.default_rng(0))
    was_m = person.stature_m
    for _ in range(4):
        look(person, 1.7)
    assert 0 < person.stature_m - was_m < 0.033


def test_who_has_just_come_in_is_as_tall_as_they_seem_now():
    """Half a body at the picture's edge says little: it is not remembered."""
    person = known(1.5, 2, np.random.default_rng(0), alone_s=0.5)
    for _ in range(12):
        look(person, 1.65)
    assert person.stature_m == pytest.approx(1.65, abs=0.03)


def test_bodies_under_each_others_names_are_told_by_how_tall_they_seem():
    random = np.random.default_rng(0)
    a, b = known(1.75, 15, random), known(1.6, 15, random)
    assert exchanged(a, b, BODY) < -5
    a.tall_m, b.tall_m = 1.6, 1.75
    assert exchanged(a, b, BODY) > 5
    a.mean[:2] = (3.0, 2.0)
    other = renamed(a, b, BODY)
    assert other.track_id == b.track_id and other.xy_m == pytest.approx((3.0, 2.0))
    assert other.mean[H] == b.stature_m == other.stature_m
    assert other.covariance[H, H] == pytest.approx(b.stature_sigma_m**2 + BODY.sway_m**2)
    a.bent = True
    assert exchanged(a, b, BODY) == 0


@pytest.mark.parametrize("seed", range(3))
def test_an_exchange_is_put_right_by_heights_after_the_two_have_parted(seed):
    """The tracker is made to be wrong while they stand together; they walk away from one another at once."""
    heights = {0: 1.78, 1: 1.6}

    def people(t):
        away = max(abs(t - 5.0) - 0.3, 0.0) * 0.8
        return [(4 - away - 0.1, 3.0, heights[0], 0.3), (4 + away + 0.1, 3.05, heights[1], 0.3)]

    exchanged_at, right = None, {}
    for t, tracker, tracks in follow(people, 10, seed):
        if len(tracks) < 2:
            continue
        at = [np.array(p[:2]) for p in people(t)]
        now = {k: min((0, 1), key=lambda i: np.linalg.norm(at[i] - xy)) for k, xy in tracks.items()}
        if t == 4.0:
            right = now
        if exchanged_at is None and t >= 6.2:
            exchanged_at = t
            a, b = tracker.people
            tracker.people, tracker._worlds.clusters = [renamed(b, a, BODY), renamed(a, b, BODY)], []
            wrong = {p.track_id: min((0, 1), key=lambda i: np.linalg.norm(at[i] - p.xy_m)) for p in tracker.people}
            assert wrong != right
    assert exchanged_at and now == right
