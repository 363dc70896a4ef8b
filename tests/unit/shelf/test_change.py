# SPDX-License-Identifier: AGPL-3.0-or-later
from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.shelf.change import SlotWatch, difference
from pipeline.shelf.rows import match_rows
from pipeline.shelf.settings import ShelfSettings
from pipeline.shelf.views import slot_views

SETTINGS = ShelfSettings()
STEP_NS = 200_000_000
SLOT, NEIGHBOUR = "g1.2.5", "g1.2.6"
NOBODY = np.zeros((0, 4))
PITCH_M = 0.08  # as painted: items 7 cm deep, 1 cm apart


@pytest.fixture(scope="module")
def views(layout, catalogue, planogram):
    return slot_views(layout, catalogue, planogram, SETTINGS)


def crop(view, image):
    x1, y1, x2, y2 = view.rect_px
    return image[y1:y2, x1:x2]


@pytest.fixture(scope="module")
def painted(layout, planogram, views, paint):
    """(view, n missing, seed) -> crop, of the best view of SLOT."""

    def paint_slot(missing, seed=0, brightness=1.0, slot=SLOT):
        view = views[slot][0]
        image = paint(
            layout, view.camera_id, missing, planogram.slots, rng=np.random.default_rng(seed), brightness=brightness
        )
        return crop(view, image)

    return paint_slot


def test_every_slot_is_watched_best_camera_first(views):
    assert all(len(v) >= 2 for v in views.values())
    for slot_views_ in views.values():
        sharp = [v.px_per_cm for v in slot_views_]
        assert sharp == sorted(sharp, reverse=True)
        assert min(sharp) >= SETTINGS.min_px_per_cm


def front(view, picture):
    return view.rectify(picture, 0.0).astype(np.float32)


@pytest.mark.parametrize("brightness", [0.6, 0.85, 1.15])
def test_light_and_noise_are_no_change(views, painted, brightness):
    view = views[SLOT][0]
    assert difference(front(view, painted({}, 1)), front(view, painted({}, 2, brightness))) < SETTINGS.same_view


@pytest.mark.parametrize("missing", [1, 2, 5])
def test_a_missing_item_is_a_change_and_its_neighbour_is_not(views, painted, missing):
    for slot, changed in ((SLOT, True), (NEIGHBOUR, False)):
        view = views[slot][0]
        a, b = (front(view, painted(m, 1, slot=slot)) for m in ({}, {SLOT: missing}))
        assert (difference(a, b) > 2 * SETTINGS.same_view) == changed


@given(seed=st.integers(0, 2**16))
def test_difference_is_symmetric_and_bounded(seed):
    rng = np.random.default_rng(seed)
    a, b = (rng.uniform(0, 255, (6, 5, 3)).astype(np.float32) for _ in range(2))
    assert difference(a, a) == 0
    assert difference(a, b) == pytest.approx(difference(b, a), abs=0.05)
    assert 0 <= difference(a, b) <= 2


@pytest.mark.parametrize(("before", "after"), [(0, 1), (0, 2), (1, 2), (1, 0), (2, 0), (2, 1)])
def test_plane_sweep_finds_the_places_where_the_row_began(views, painted, before, after):
    view = views[SLOT][0]
    rows = match_rows(view, painted({SLOT: before}, 1), painted({SLOT: after}, 2), PITCH_M)
    assert rows.match[before, after] > 0.6
    assert rows.match[before, after] > rows.match[before, before] + 0.2
    assert rows.seen[0, 0] == 1


def watch_pictures(layout, planogram, views, paint, sequence):
    """Changes of SLOT's best camera over (missing, boxes) instants."""
    watch = SlotWatch(views, SETTINGS)
    camera_id = views[SLOT][0].camera_id
    out = []
    for i, (missing, boxes) in enumerate(sequence):
        image = paint(layout, camera_id, missing, planogram.slots, rng=np.random.default_rng(i))
        out += watch.observe(camera_id, i * STEP_NS, image, boxes, None)
    return watch, out


def test_change_is_dated_between_the_last_old_and_the_first_new_look(layout, planogram, views, paint):
    everywhere = np.array([[0.0, 0, 1280, 720]])
    sequence = [({}, NOBODY)] * 4 + [({}, everywhere)] * 5 + [({SLOT: 1}, NOBODY)] * 5
    _, changes = watch_pictures(layout, planogram, views, paint, sequence)
    # A neighbour may look a little different too: what the missing item hid of it.
    change = max(changes, key=lambda c: c.difference)
    assert change.view.slot_id == SLOT
    assert change.before_ns == 3 * STEP_NS
    assert change.after_ns == 9 * STEP_NS


def test_what_passes_by_is_not_reported(layout, planogram, views, paint):
    sequence = [({}, NOBODY)] * 3 + [({SLOT: 1}, NOBODY)] * 2 + [({}, NOBODY)] * 4
    assert watch_pictures(layout, planogram, views, paint, sequence)[1] == []


def test_hurry_reports_what_has_not_lasted(layout, planogram, views, paint):
    sequence = [({}, NOBODY)] * 3 + [({SLOT: 1}, NOBODY)]
    watch, changes = watch_pictures(layout, planogram, views, paint, sequence)
    assert changes == []
    assert [c.view.slot_id for c in watch.hurry({SLOT})] == [SLOT]
    assert watch.hurry({SLOT}) == []
