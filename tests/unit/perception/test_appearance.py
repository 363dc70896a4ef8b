# SPDX-License-Identifier: AGPL-3.0-or-later
"""What people wear, as colours of upper and lower body."""

import numpy as np
import pytest

from pipeline.perception.appearance import BINS, differences, looks, together

NOBODY = np.zeros((17, 3))
BOX = np.array([100.0, 20.0, 180.0, 220.0])


def picture(upper, lower, shade=1.0, seed=0):
    """Somebody in `BOX` before a grey wall, BGR, with some noise."""
    image = np.full((240, 320, 3), 128.0)
    image[20:120, 100:180], image[120:220, 100:180] = upper, lower
    image = image * shade + np.random.default_rng(seed).normal(0, 6, image.shape)
    return np.clip(image, 0, 255).astype(np.uint8)


def look(image, box, keypoints):
    return looks(image, box[None], keypoints[None])[0]


def difference(a, b):
    return differences(a, b)[0].sum()


def test_a_look_is_two_histograms():
    found = look(picture((40, 40, 200), (170, 60, 40)), BOX, NOBODY)
    assert found.shape == (2, BINS) and found.sum(-1) == pytest.approx([1, 1], abs=1e-5)


def test_one_person_in_shade_is_nearer_to_themselves_than_to_somebody_else():
    red = look(picture((40, 40, 200), (170, 60, 40)), BOX, NOBODY)
    shaded = look(picture((40, 40, 200), (170, 60, 40), shade=0.7, seed=1), BOX, NOBODY)
    green = look(picture((60, 160, 60), (170, 60, 40), seed=2), BOX, NOBODY)
    assert difference(red, red) == pytest.approx(0, abs=1e-5)
    assert difference(red, shaded) < 0.6 * difference(red, green)


def test_key_points_say_where_the_body_is():
    """A box that also holds somebody else's shoulder: the key points of the body decide."""
    image = picture((40, 40, 200), (170, 60, 40))
    image[20:120, 180:240] = (60, 160, 60)
    wide = np.array([100.0, 20.0, 240.0, 220.0])
    points = np.zeros((17, 3))
    points[[5, 6, 11, 12, 13, 14]] = [
        [120, 45, 0.9], [160, 45, 0.9], [125, 115, 0.9], [155, 115, 0.9], [125, 165, 0.9], [155, 165, 0.9],
    ]  # fmt: skip
    own = look(picture((40, 40, 200), (170, 60, 40), seed=1), BOX, NOBODY)
    assert difference(look(image, wide, points), own) < 0.5 * difference(look(image, wide, NOBODY), own)


def test_what_is_beyond_the_picture_is_not_known():
    below = look(picture((40, 40, 200), (170, 60, 40)), np.array([100.0, 120.0, 180.0, 480.0]), NOBODY)
    assert 0.4 < below[0].sum() < 0.6 and not below[1].any()
    assert together([]) is None and together([np.zeros((2, BINS), np.float32)]) is None
    whole = look(picture((40, 40, 200), (170, 60, 40)), BOX, NOBODY)
    assert together([below, whole])[1] == pytest.approx(whole[1])


def test_who_is_in_the_way_is_not_what_somebody_wears():
    """Somebody in green stands before the left half of somebody in red, and their box ends lower."""
    image = picture((40, 40, 200), (170, 60, 40))
    image[60:230, 66:134] = (60, 160, 60)
    nearer = np.array([44.0, 60.0, 156.0, 230.0])  # arms: a body fills the middle of its box
    alone = look(picture((40, 40, 200), (170, 60, 40), seed=1), BOX, NOBODY)
    before, behind = looks(image, np.stack([nearer, BOX]), np.stack([NOBODY, NOBODY]))
    assert difference(behind, alone) < 0.3 * difference(look(image, BOX, NOBODY), alone)
    assert behind[1].sum() < 0.7 and before.sum(-1) == pytest.approx([1, 1], abs=1e-5)


def test_nobody_has_no_look():
    assert looks(picture((0, 0, 0), (0, 0, 0)), np.zeros((0, 4)), np.zeros((0, 17, 3))).shape == (0, 2, BINS)
