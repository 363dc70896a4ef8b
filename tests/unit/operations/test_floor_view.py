# SPDX-License-Identifier: AGPL-3.0-or-later
"""One moment of a run's floor, with what staff noted about it."""

import pytest

from pipeline import runtime
from pipeline.operations.floor_view import FloorView
from pipeline.operations.notes import OperatorNotes
from pipeline.operations.recorded_floor import RecordedFloor
from pipeline.review import audit
from pipeline.shop import Shop
from pipeline.state import Database
from tests.scripted_shop import BREAD, START_NS, S, stages, write_recording


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("view")
    runtime.run(write_recording(folder / "recording"), folder / "run", video=False, progress=False, stages=stages())
    return folder


@pytest.fixture
def view(run, tmp_path):
    database = Database(f"sqlite:///{tmp_path / 'state.sqlite'}")
    shop = Shop.open(run / "recording")
    notes = OperatorNotes(database, shop.layout.store_id)
    yield FloorView(shop, RecordedFloor(run / "run"), notes, None)
    database.close()


def at(second: float) -> int:
    return START_NS + round(second * S)


def test_a_moment_has_what_had_happened_by_then(view):
    assert view.moment(at(0.5)).visits == () and view.moment(at(0.5)).events == ()
    later = view.moment(at(4.8))
    assert len(later.visits) == 2 and [e.type for e in later.events].count("visit-opened") == 2
    assert sorted(view.cart(v.visit_id, at(4.8)).total_minor for v in later.visits) == [0, 250]
    end = view.moment(view.source.span()[1])
    assert end.visits == () and len(end.receipts) == 2 and end.gates[0].exits == 2
    with pytest.raises(KeyError):
        view.cart(later.visits[0].visit_id, view.source.span()[1])


def test_dots_have_their_visit(view):
    people = view.people(view.source.frame_at(at(4.8)))
    assert {visit for *_, visit in people} == set(view.state(at(4.8)).visits)


def test_a_count_holds_from_its_moment_on_whatever_was_looked_at_before(view):
    for second in (5.0, 12.0, 13.0):
        assert view.moment(at(second)).low == ()
    view.notes.count("g-1", 1, "olga", at_ns=at(12.5))
    assert view.moment(at(12.0)).low == ()
    (low,) = view.moment(at(12.6)).low
    assert (low.gtin, low.units) == (BREAD, 1)
    assert view.version(at(12.0)) != view.version(at(12.6))
    view.notes.count("g-1", 10_000, "olga", at_ns=at(12.5))  # filled up in the same moment
    assert view.moment(at(12.6)).low == ()


def test_goods_that_were_dealt_with_are_noted_once_and_in_the_trail(view):
    assert view.notes.handle("misplaced-1", "olga") and not view.notes.handle("misplaced-1", "omar")
    assert view.notes.handled() == {"misplaced-1"}
    with view.notes._database.transaction() as db:
        audit.verify(db)
        assert [(e.kind, e.by) for e in audit.parse(audit.export(db))] == [("goods-handled", "olga")]


def test_a_file_waits_for_an_hour_and_only_so_many_do(tmp_path):
    clock = [1_700_000_000 * S]
    database = Database(f"sqlite:///{tmp_path / 'state.sqlite'}")
    notes = OperatorNotes(database, "shop", lambda: clock[0])

    def keep(name):
        clock[0] += S
        return notes.keep_import("catalogue", name, b"gtin", "olga", remove_missing=True, base_digest="d")

    ids = [keep(f"{k}.csv") for k in range(25)]
    assert notes.waiting_import(ids[-1]).name == "24.csv" and notes.waiting_import(ids[-1]).remove_missing
    assert sum(notes.waiting_import(i) is not None for i in ids) == 20
    assert OperatorNotes(database, "other").waiting_import(ids[-1]) is None
    notes.drop_import(ids[-1])
    assert notes.waiting_import(ids[-1]) is None
    clock[0] += 3700 * S
    assert notes.waiting_import(ids[-2]) is None
    database.close()
