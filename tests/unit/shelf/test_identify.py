# SPDX-License-Identifier: AGPL-3.0-or-later
from __future__ import annotations

import numpy as np
import pytest

from pipeline.shelf.identify import PLACES, CameraClue, Identifier, RowHistory, fresh_places
from pipeline.shelf.rows import RowMatch
from pipeline.shelf.settings import ShelfSettings
from pipeline.shelf.sight import Front, InHand

PITCH_M = 0.08


@pytest.fixture
def identifier(catalogue):
    return Identifier(catalogue, ShelfSettings())


def at(place):
    """The row surely begins at a place."""
    out = np.full(PLACES, 1e-3)
    out[place] = 1
    return out / out.sum()


def clue(catalogue, best, before=None, after=None, n=4, px=3.5, places=None):
    """A camera to which the front moved from place best[0] to best[1]."""
    match = np.full((n, n), 0.1)
    match[best] = 0.9
    nothing = Front(float("nan"), 0.0, np.zeros(len(catalogue.gtins)))
    return CameraClue("cam1", px, 0.8, RowMatch(match, np.ones((n, n))), before or nothing, after or nothing, places)


def front(catalogue, gtin, behind_m, score=0.9):
    scores = np.zeros(len(catalogue.gtins))
    scores[catalogue.gtins.index(gtin)] = score
    return Front(behind_m, score, scores)


def test_a_front_that_moved_back_is_a_pick_of_what_is_planned(identifier, catalogue):
    gtin = catalogue.gtins[1]
    verdict = identifier.decide([clue(catalogue, (0, 1))], gtin, PITCH_M, fresh_places(), {}, 1)
    assert verdict.kind == "pick"
    assert verdict.pick > 0.95
    assert verdict.products[0][0] == gtin
    assert verdict.quantities[0][0] == 1
    assert verdict.places.argmax() == 1
    assert verdict.pick + verdict.put_back + verdict.nothing == pytest.approx(1)


def test_a_front_that_came_forward_is_a_put_back_of_what_was_held(identifier, catalogue):
    gtin = catalogue.gtins[1]
    verdict = identifier.decide([clue(catalogue, (1, 0))], gtin, PITCH_M, at(1), {gtin: 1.0}, 1)
    assert verdict.kind == "put_back"
    assert verdict.put_back > 0.9
    assert verdict.products[0][0] == gtin


def test_nothing_moved_is_nothing(identifier, catalogue):
    verdict = identifier.decide([clue(catalogue, (0, 0))], catalogue.gtins[0], PITCH_M, fresh_places(), {}, 1)
    assert verdict.nothing > 0.8


@pytest.mark.parametrize("taken", [1, 2, 3])
def test_quantity_is_how_far_the_row_moved(identifier, catalogue, taken):
    verdict = identifier.decide([clue(catalogue, (0, taken))], catalogue.gtins[0], PITCH_M, fresh_places(), {}, taken)
    assert verdict.quantities[0][0] == taken


def test_a_row_that_was_full_cannot_get_fuller(identifier, catalogue):
    held = {catalogue.gtins[0]: 1.0}
    verdict = identifier.decide([clue(catalogue, (2, 0))], catalogue.gtins[0], PITCH_M, at(0), held, 1)
    assert verdict.put_back < 0.05


def test_the_network_overrules_the_planogram(identifier, catalogue):
    planned, other = catalogue.gtins[0], catalogue.gtins[2]
    clues = [clue(catalogue, (0, 1), before=front(catalogue, other, 0.0)) for _ in range(3)]
    verdict = identifier.decide(clues, planned, PITCH_M, fresh_places(), {}, 1)
    assert verdict.products[0][0] == other


def test_boxes_of_the_network_tell_where_the_row_begins(identifier, catalogue):
    gtin = catalogue.gtins[0]
    blank = RowMatch(np.full((4, 4), 0.3), np.ones((4, 4)))
    seen = [
        CameraClue(f"cam{i}", 3.5, 0.8, blank, front(catalogue, gtin, 0.0), front(catalogue, gtin, PITCH_M))
        for i in range(2)
    ]
    verdict = identifier.decide(seen, gtin, PITCH_M, fresh_places(), {}, 1)
    assert verdict.kind == "pick"
    assert verdict.places.argmax() == 1


def test_hands_decide_when_the_shelf_does_not(identifier, catalogue):
    gtin = catalogue.gtins[0]
    empty, full = InHand(0.0, np.zeros(len(catalogue.gtins))), InHand(0.9, np.zeros(len(catalogue.gtins)))
    known = ((), gtin, PITCH_M, at(1), {gtin: 1.0}, 1)
    out_full = identifier.decide(*known, [empty] * 3, [full] * 3)
    out_empty = identifier.decide(*known, [full] * 3, [empty] * 3)
    assert out_full.pick > out_empty.pick
    assert out_empty.put_back > out_full.put_back


def test_a_camera_blind_meanwhile_is_asked_about_the_whole_of_it(identifier, catalogue):
    # One item is known to be gone; this camera saw the row full before and finds it two places back now.
    late = clue(catalogue, (0, 2), places=at(0))
    verdict = identifier.decide([late], catalogue.gtins[0], PITCH_M, at(1), {}, 1)
    assert verdict.kind == "pick"
    assert verdict.quantities[0][0] == 1
    assert verdict.places.argmax() == 2


def test_history_knows_the_row_at_an_earlier_time():
    rows = RowHistory()
    assert rows.before("s", 5) is None
    rows.add("s", 10, at(1))
    rows.add("s", 20, at(2))
    assert rows.now("s").argmax() == 2
    assert rows.before("s", 5).argmax() == 0
    assert rows.before("s", 15).argmax() == 1
    assert rows.before("s", 20) is None
