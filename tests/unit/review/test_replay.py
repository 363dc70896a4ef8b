# SPDX-License-Identifier: AGPL-3.0-or-later
"""A recorded visit run again, and kept as a regression case: on a scripted recording, with the whole runtime."""

import dataclasses
import json

import pytest

from pipeline import runtime
from pipeline.cart.desk import Desk
from pipeline.errors import CaseError, UnknownCaseError
from pipeline.evidence import open_evidence
from pipeline.review import audit
from pipeline.review.again import Again
from pipeline.review.around import Around
from pipeline.review.desk import ReviewDesk
from pipeline.review.kept import load_cases, score_case, summary_of
from pipeline.shop import Shop
from pipeline.state import Database
from tests.scripted_shop import ANNA, BEN, BREAD, COLA, Visitor, stages, write_recording

BETTER = dataclasses.replace(BEN, takes=((3, "pick", BREAD, 0.95), (3.2, "pick", COLA, 0.9)))
"""A build that is sure of Ben's cola."""


@pytest.fixture(scope="module")
def recording(tmp_path_factory):
    return write_recording(tmp_path_factory.mktemp("recording") / "tiny")


@pytest.fixture
def site(recording, tmp_path):
    """`site(stages)`: the desk of a run of Anna and Ben, and what runs it again on a build with these stages."""
    runtime.run(recording, tmp_path / "run", video=False, progress=False, stages=stages())
    shop, database = Shop.open(recording), Database(f"sqlite:///{tmp_path}/run/state.sqlite")
    evidence = open_evidence(tmp_path / "run" / "evidence", database)

    def desk(make):
        around = Around(shop, tmp_path / "run", evidence, stages=make)
        return ReviewDesk(database, Desk(database, shop.prices), shop.prices, around=around), Again(database, around)

    desk.evidence, desk.database, desk.folder = evidence, database, tmp_path / "run"
    yield desk
    database.close()


def case_of(desk, shopper="ben"):
    return next(c for c in desk.queue() if c.shopper_id == shopper)


def test_the_run_itself_has_made_the_case(site):
    (case,) = site(stages())[0].queue()
    assert (case.kind, case.shopper_id, case.gtin) == ("held-line", "ben", COLA)


def test_the_same_build_makes_the_same_receipt_out_of_the_visits_part(site):
    desk, film = site(stages())
    found = film.replay(case_of(desk).case_id, "rita")
    assert found.same and found.now.receipt_id == found.then.receipt_id
    assert (found.from_s, found.to_s) == (0, 13)
    assert [e.kind for e in site.database.run(lambda db: audit.history(db, visit_id=found.visit_id))][-1] == (
        "visit-replayed"
    )


def test_only_the_visits_part_of_a_long_recording_is_run(tmp_path):
    late = Visitor("carl", 16.0, takes=((2, "pick", COLA, 0.95),))
    recording = write_recording(tmp_path / "long", (ANNA, late), duration_s=40.0)
    runtime.run(recording, tmp_path / "run", video=False, progress=False, stages=stages(ANNA, late))
    shop, database = Shop.open(recording), Database(f"sqlite:///{tmp_path}/run/state.sqlite")
    around = Around(shop, tmp_path / "run", stages=stages(ANNA, late))
    film = Again(database, around)
    receipts = json.loads((tmp_path / "run" / "receipts.json").read_text())["receipts"]
    carl = next(r for r in receipts if r["shopper_id"] == "carl")
    found = film.replay_visit(carl["visit_id"], "rita", out=tmp_path / "again")
    database.close()
    assert found.same and found.now.total_minor == 149
    assert (found.from_s, found.to_s) == (11, pytest.approx(16 + late.stay_s + 2 + 6, abs=0.3))
    assert json.loads((tmp_path / "again" / "run.json").read_text())["footage_s"] < 25, "not all of the 40 s"


def test_a_better_build_shows_what_differs(site):
    desk, film = site(stages(ANNA, BETTER, renamed=5))
    case = case_of(desk)
    found = film.replay(case.case_id)
    assert found.now.total_minor == found.then.total_minor + 149 and not found.as_agreed
    assert any("Cola, held: 1 -> 0" in line for line in found.differences)
    desk.resolve(case.case_id, "confirm", "rita", "k1")
    assert film.replay(case.case_id).as_agreed


def test_a_build_that_does_not_find_the_visit_says_so(site):
    found = site(stages(ANNA))[1].replay(case_of(site(stages())[0]).case_id)
    assert found.now is None or found.now.total_minor == 0
    assert not found.same and not found.as_agreed


def test_an_erased_visit_is_not_run_again(site):
    desk, film = site(stages())
    case = case_of(desk)
    desk.resolve(case.case_id, "remove", "rita", "k1")
    folder = film.keep_as_case(case.case_id, "rita")
    site.evidence.erase_visit(case.visit_id, "ben", "asked for it")
    for again in (film.replay, lambda case_id: film.keep_as_case(case_id, "rita")):
        with pytest.raises(CaseError, match="was erased"):
            again(case.case_id)
    assert film.forget_erased("ben") == [folder.resolve()] and not folder.exists()
    assert film.forget_erased("ben") == []
    assert site.database.run(audit.verify)


def test_what_cannot_be_run_again(site, recording, tmp_path):
    desk, film = site(stages())
    with pytest.raises(UnknownCaseError, match="no visit v-9"):
        film.replay_visit("v-9", "rita")
    store = Shop.open(recording)
    live = dataclasses.replace(store, recording=None)
    around = Around(live)
    with pytest.raises(CaseError, match="is a live store, of which clips are kept and no recording"):
        Again(site.database, around).replay(case_of(desk).case_id)
    with pytest.raises(CaseError, match="no shop's files"):
        Again(site.database, Around()).replay(case_of(desk).case_id)


def test_kept_cases_are_scored_on_todays_build(site):
    desk, film = site(stages())
    case = case_of(desk)
    with pytest.raises(CaseError, match="held for review: decide it"):
        film.keep_as_case(case.case_id, "rita")
    desk.resolve(case.case_id, "confirm", "rita", "k1")
    folder = film.keep_as_case(case.case_id, "rita")
    anna = next(r["visit_id"] for r in json.loads((site.folder / "receipts.json").read_text())["receipts"])
    film.keep_visit(anna, "rita")
    assert film.keep_as_case(case.case_id, "rita") == folder, "again replaces it"
    assert not (folder / "recording" / "truth").exists()
    first, second = cases = load_cases(film.cases_folder)
    assert {first.visit_id, second.visit_id} == {case.visit_id, anna} and folder.parent == site.folder / "cases"

    def verdicts(make):
        return {c.visit_id: score_case(c, make) for c in cases}

    today = verdicts(stages())
    assert (today[anna].verdict, today[case.visit_id].verdict) == ("right", "held")
    assert today[case.visit_id].missing == today[case.visit_id].held == {"Cola": 1}
    assert {s.verdict for s in verdicts(stages(ANNA, BETTER)).values()} == {"right"}
    worse = dataclasses.replace(ANNA, takes=((3, "pick", COLA, 0.95),))
    wrong = verdicts(stages(worse, BETTER))[anna]
    assert (wrong.verdict, wrong.missing, wrong.extra) == ("wrong", {"Bread": 1}, {"Cola": 1})
    assert summary_of([wrong, today[anna]])["wrong"] == 1
    (folder / "recording" / "video" / "cam1.mp4").unlink()
    assert "is missing" in verdicts(stages())[case.visit_id].reason


def test_folders_that_are_no_cases(tmp_path):
    with pytest.raises(CaseError, match="there is no folder of kept cases"):
        load_cases(tmp_path / "nothing")
    (tmp_path / "c").mkdir()
    (tmp_path / "c" / "case.json").write_text("{}")
    with pytest.raises(CaseError, match="not a kept case"):
        load_cases(tmp_path)
