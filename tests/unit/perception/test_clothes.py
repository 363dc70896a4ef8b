# SPDX-License-Identifier: AGPL-3.0-or-later
"""Who was exchanged, by what people wear."""

from dataclasses import replace

import numpy as np
import pytest

from pipeline.messages import Frame
from pipeline.perception.appearance import BINS
from pipeline.perception.floor.settings import AppearanceSettings, FloorSettings
from pipeline.perception.floor.tracker import FloorTracker
from pipeline.perception.people import PeopleTracker
from tests.unit.perception.conftest import World

START_NS, STEP_NS = 1_700_000_000_000_000_000, 100_000_000
LEFT, RIGHT, THIRD = np.array((2.3, 2.0)), np.array((3.1, 2.0)), np.array((2.7, 1.2))
RED, BLUE, GREEN, GREY = 10, 40, 70, 100


def worn(*colours):
    """Looks (N, 2, BINS) of people in one colour each."""
    out = np.zeros((len(colours), 2, BINS), np.float32)
    for k, colour in enumerate(colours):
        out[k, :, colour] = 1.0
    return out


class Shop:
    """A shop whose lights go out while people change places, after which no camera's own tracker knows anybody."""

    def __init__(self, layout, settings=None) -> None:
        self.dazed = False
        self.world, self.tracker, self.now_ns = World(layout), FloorTracker(layout, settings), START_NS

    def stand(self, places, colours, seconds, cameras=None):
        """Track id -> place after so long."""
        for _ in range(round(10 * seconds)):
            seen = self.world.look(self.now_ns, places, cameras)
            if self.dazed:
                seen = [replace(s, track_id=np.full(len(s.detections), -1)) for s in seen]
            assert all(len(s.detections) == len(places) for s in seen)
            if colours:
                seen = [replace(s, looks=worn(*colours)) for s in seen]
            tracks = self.tracker.update(seen, self.now_ns)
            self.now_ns += STEP_NS
        return {t.track_id: t.floor_xy_m for t in tracks}

    def dark(self, seconds):
        self.stand([], [], seconds, cameras=[])
        self.dazed = True


def labels(found, *places):
    """The label at each place."""
    return [next(t for t, xy in found.items() if np.hypot(*(xy - place)) < 0.2) for place in places]


def exchange(layout, before, after, wear):
    """Labels before and after people have changed places in the dark, in the order of the people."""
    shop = Shop(layout)
    names = labels(shop.stand(before, wear, 3.0), *before)
    shop.dark(0.5)
    return names, labels(shop.stand(after, wear, 2.0), *after)


def test_two_who_changed_places_unseen_get_their_names_back_by_what_they_wear(shop):
    before, after = exchange(shop, [LEFT, RIGHT], [RIGHT, LEFT], [RED, BLUE])
    assert after == before


@pytest.mark.parametrize("wear", [None, [RED, RED]])
def test_nothing_tells_two_apart_who_wear_the_same_or_are_not_pictured(shop, wear):
    before, after = exchange(shop, [LEFT, RIGHT], [RIGHT, LEFT], wear)
    assert after == before[::-1]


def test_three_in_a_ring_get_their_names_back(shop):
    before, after = exchange(shop, [LEFT, RIGHT, THIRD], [RIGHT, THIRD, LEFT], [RED, BLUE, GREEN])
    assert after == before


def test_who_takes_a_jacket_off_keeps_their_name(shop):
    """Also beside somebody else; and what is beneath it is learnt when they are alone, not before."""
    store = Shop(shop)
    names = labels(store.stand([LEFT, RIGHT], [RED, BLUE], 3.0), LEFT, RIGHT)

    def known(colour):
        (look,) = (p.look for p in store.tracker.people if p.track_id == names[0])
        return float(look[0, colour] / look[0].sum())

    assert labels(store.stand([LEFT, RIGHT], [GREY, BLUE], 6.0), LEFT, RIGHT) == names
    assert known(RED) == pytest.approx(1)
    store.dark(0.5)
    assert labels(store.stand([RIGHT, LEFT], [GREY, BLUE], 2.0), RIGHT, LEFT) == names
    away = [RIGHT + (0.1 * k, 0.0) for k in range(14)]
    for place in away:
        store.stand([place, LEFT], [GREY, BLUE], 0.1)
    store.stand([away[-1], LEFT], [GREY, BLUE], 3.0)
    assert known(GREY) > 0.7


@pytest.mark.parametrize("crossing", [True, False])
def test_of_two_who_met_in_one_place_their_clothes_tell_who_went_where(shop, crossing):
    """The same boxes, of people as tall as one another, of whom no camera's tracker knows anything, and no name is ever
    given back: what each box looks like decides whose it is."""
    settings = FloorSettings(appearance=AppearanceSettings(exchange_nats=1e9))
    store = Shop(shop, settings)
    names = labels(store.stand([LEFT, RIGHT], [RED, BLUE], 3.0), LEFT, RIGHT)
    store.dazed = True
    middle = (LEFT + RIGHT) / 2
    for share in np.linspace(1, 0, 6):
        store.stand([middle + share * (LEFT - middle), middle + share * (RIGHT - middle)], [RED, BLUE], 0.1)
    wear = [BLUE, RED] if crossing else [RED, BLUE]
    for share in np.linspace(0, 1, 6):
        store.stand([middle + share * (LEFT - middle), middle + share * (RIGHT - middle)], wear, 0.1)
    found = store.stand([LEFT, RIGHT], wear, 1.0)
    assert labels(found, LEFT, RIGHT) == (names[::-1] if crossing else names)


def test_looks_are_taken_where_two_can_be_taken_for_one_another(shop):
    """Of a picture's people, once more than one is known."""
    tracker, world, now_ns = PeopleTracker(shop), World(shop), START_NS
    dressed = []
    for places in [[LEFT]] * 15 + [[LEFT, RIGHT]] * 20:
        found = {c: (now_ns, world.detect(c, places)) for c in shop.camera_by_id}
        frames = {c: Frame(c, now_ns, np.full((720, 1280, 3), 90, np.uint8)) for c in shop.camera_by_id}
        seen, _ = tracker.update(found, now_ns, frames)
        dressed.append([s.looks is not None and s.looks.shape == (len(places), 2, BINS) for s in seen.values()])
        now_ns += STEP_NS
    assert not np.any(dressed[:15]) and np.all(dressed[-1])


def test_nobody_takes_the_name_of_somebody_far_away(shop):
    before, after = exchange(shop, [LEFT, (4.6, 2.0)], [LEFT, (4.6, 2.0)], [RED, BLUE])
    assert after == before
    store = Shop(shop)
    names = labels(store.stand([LEFT, (4.6, 2.0)], [RED, BLUE], 3.0), LEFT, (4.6, 2.0))
    assert labels(store.stand([LEFT, (4.6, 2.0)], [BLUE, RED], 3.0), LEFT, (4.6, 2.0)) == names


def lose(shop, *names):
    """As after a while on others' boxes."""
    for person in shop.tracker.people:
        if person.track_id in names:
            person.lost_ns = shop.now_ns


def test_who_is_found_again_is_whom_they_look_like_and_not_who_was_lost_nearest(shop):
    floor = Shop(shop)
    red, blue = labels(floor.stand([LEFT, RIGHT], [RED, BLUE], 3.0), LEFT, RIGHT)
    lose(floor, red, blue)
    floor.dark(0.5)
    assert labels(floor.stand([LEFT], [BLUE], 1.5), LEFT) == [blue]


@pytest.mark.parametrize(("wear", "found"), [(RED, True), (GREEN, False)])
def test_somebody_unknown_inside_is_whose_track_lives_on_anothers_boxes(shop, wear, found):
    """Red's body is grey now, and not much of one: red is whoever turns up in red, not whoever turns up in green."""
    floor = Shop(shop, FloorSettings(suspect_quality=2.0, suspect_support=2.0))
    red, _ = labels(floor.stand([LEFT, RIGHT], [RED, BLUE], 3.0), LEFT, RIGHT)
    floor.stand([LEFT, RIGHT], [GREY, BLUE], 1.0)
    third = labels(floor.stand([LEFT, RIGHT, THIRD], [GREY, BLUE, wear], 4.0), THIRD)[0]
    assert (third == red) is found


@pytest.mark.parametrize(("least", "people"), [(0.0, 3), (2.0, 2)])
def test_somebody_unknown_whom_all_cameras_see_is_somebody_whose_boxes_are_too_few(shop, least, people):
    """Without pictures too; `least`: of how many of the boxes due nobody is suspected any more."""
    floor = Shop(shop, FloorSettings(suspect_quality=least))
    floor.stand([LEFT, RIGHT], None, 3.0)
    floor.stand([LEFT, RIGHT, THIRD], None, 2.0)
    assert len(floor.tracker.people) == people


@pytest.mark.parametrize(("wear", "lost"), [(RED, False), (BLUE, True)])
def test_whose_few_boxes_look_like_them_is_not_lost(shop, wear, lost):
    """Everybody's boxes are too few from some moment on."""
    floor = Shop(shop)
    red, _ = labels(floor.stand([LEFT, RIGHT], [RED, BLUE], 3.0), LEFT, RIGHT)
    floor.tracker._settings = FloorSettings(doubtful_quality=2.0)
    floor.stand([LEFT], [wear], 2.0)
    assert any(p.track_id == red and bool(p.lost_ns) for p in floor.tracker.people) is lost
