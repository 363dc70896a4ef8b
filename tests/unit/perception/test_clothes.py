# SPDX-License-Identifier: AGPL-3.0-or-later
"""Who was exchanged, by what people wear."""

from dataclasses import replace

import numpy as np
import pytest

from pipeline.perception.appearance import BINS
from pipeline.perception.floor.tracker import FloorTracker
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

    def __init__(self, layout) -> None:
        self.dazed = False
        self.world, self.tracker, self.now_ns = World(layout), FloorTracker(layout), START_NS

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
    """Also beside somebody else, and what is beneath it is learnt when they are alone."""
    store = Shop(shop)
    names = labels(store.stand([LEFT, RIGHT], [RED, BLUE], 3.0), LEFT, RIGHT)
    assert labels(store.stand([LEFT, RIGHT], [GREY, BLUE], 6.0), LEFT, RIGHT) == names
    store.dark(0.5)
    assert labels(store.stand([RIGHT, LEFT], [GREY, BLUE], 2.0), RIGHT, LEFT) == names


def test_nobody_takes_the_name_of_somebody_far_away(shop):
    before, after = exchange(shop, [LEFT, (4.6, 2.0)], [LEFT, (4.6, 2.0)], [RED, BLUE])
    assert after == before
    store = Shop(shop)
    names = labels(store.stand([LEFT, (4.6, 2.0)], [RED, BLUE], 3.0), LEFT, (4.6, 2.0))
    assert labels(store.stand([LEFT, (4.6, 2.0)], [BLUE, RED], 3.0), LEFT, (4.6, 2.0)) == names
