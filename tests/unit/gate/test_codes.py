# SPDX-License-Identifier: AGPL-3.0-or-later
"""Codes as a camera at the gate sees them."""

import cv2
import numpy as np
import pytest

from pipeline.gate.codes import CodeWatch, read_codes
from pipeline.passes import KeyRing, PassChecker, PassIssuer
from pipeline.passes.picture import pixels_of, save_picture, svg_of
from tests.benchmarks.code_read_rate import NOW_S, SIZE_PX, photographed

S = 1_000_000_000
RING = KeyRing.new(NOW_S)
TOKEN = PassIssuer(RING).issue("shopper-anna", "nanostore", NOW_S)


def test_a_drawn_pass_is_read_and_believed():
    (text,) = read_codes(pixels_of(TOKEN, 4))
    assert PassChecker(lambda: RING, "nanostore").check(text, NOW_S).shopper_id == "shopper-anna"


def test_saved_pictures_are_read(tmp_path):
    save_picture(TOKEN, tmp_path / "pass.png", 5)
    assert read_codes(cv2.imread(str(tmp_path / "pass.png"))) == [TOKEN]
    save_picture(TOKEN, tmp_path / "pass.svg")
    assert "<svg" in (tmp_path / "pass.svg").read_text() and "<svg" in svg_of(TOKEN)


@pytest.mark.parametrize(
    "seen",
    [{}, {"tilt_deg": 40}, {"light": 0.2}, {"side_px": 180}, {"blur_px": 1.0}, {"turn_deg": 135}],
    ids=lambda seen: next(iter(seen), "plain"),
)
def test_a_photographed_pass_is_read(seen):
    read = [read_codes(photographed(TOKEN, np.random.default_rng(seed), **seen)) == [TOKEN] for seed in range(4)]
    assert sum(read) >= 3


def test_two_phones_in_one_picture():
    other = PassIssuer(RING).issue("shopper-ben", "nanostore", NOW_S)
    both = np.hstack([pixels_of(TOKEN, 4), pixels_of(other, 4)])
    assert set(read_codes(both)) == {TOKEN, other}


@pytest.mark.parametrize("grey", [0, 128, 255])
def test_a_picture_without_a_code_has_none(grey):
    assert read_codes(np.full((*SIZE_PX[::-1], 3), grey, np.uint8)) == []


def test_noise_is_no_code():
    rng = np.random.default_rng(0)
    assert read_codes(rng.integers(0, 255, SIZE_PX[::-1], np.uint8).astype(np.uint8)) == []


def test_a_code_that_is_held_up_is_said_once():
    watch, picture = CodeWatch(again_s=3), pixels_of(TOKEN, 3)
    said = [watch.update(picture, k * S) for k in range(4)]
    assert said == [[TOKEN], [], [], []]
    assert watch.update(picture, 10 * S) == [TOKEN]
