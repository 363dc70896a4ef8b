# SPDX-License-Identifier: AGPL-3.0-or-later
"""What a detector's scores mean is learnt from the boxes of people who are seen whole."""

import numpy as np
import pytest

from pipeline.perception.floor.scores import STEEPEST, Sharpness


@pytest.mark.parametrize("exponent", [1.5, 3.0, 8.0])
def test_the_exponent_of_scores_is_found(exponent):
    random, sharpness = np.random.default_rng(0), Sharpness(4.0)
    for _ in range(60):
        score = random.random(50) ** (1 / exponent)
        sharpness.learn(np.arange(50).reshape(10, 5), np.ones((10, 5)), score)
    assert sharpness.exponent == pytest.approx(exponent, rel=0.15)


def test_who_is_hidden_or_not_found_says_nothing():
    sharpness = Sharpness(4.0)
    sharpness.learn(np.array([[0, -1]]), np.array([[0.5, 1.0]]), np.array([0.1, 0.1]))
    assert sharpness.exponent == pytest.approx(4.0)


def test_a_detector_that_is_always_sure_is_believed_no_more_than_so_much():
    sharpness = Sharpness(4.0)
    for _ in range(100):
        sharpness.learn(np.zeros((1, 50), int), np.ones((1, 50)), np.array([1.0]))
    assert sharpness.exponent == STEEPEST
