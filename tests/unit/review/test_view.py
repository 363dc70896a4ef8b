# SPDX-License-Identifier: AGPL-3.0-or-later
"""What a reviewer sees of a case."""

import pytest

from pipeline.errors import UnknownCaseError
from pipeline.evidence import open_evidence
from pipeline.evidence.clip import Clip, clip_id_of
from pipeline.messages import EvidenceRef
from pipeline.review.around import Around
from pipeline.review.desk import ReviewDesk
from pipeline.review.path import points_between, tracks_file
from tests.unit.cart.events import BREAD, COLA, T0, WATER, S, pick, visit

TWO = {"t3": 0.6, "t1": 0.3}
SEEN = (EvidenceRef(camera_id="cam1", t0_ns=T0, t1_ns=T0 + 2 * S),)


def unsure():
    """Carla's bread, which Anna may have taken, with a film of it."""
    event = pick(5, {BREAD: 0.62, COLA: 0.3}, person=TWO, event_id="c1").model_copy(update={"evidence": SEEN})
    anna = visit()[1].model_copy(update={"event_id": "v1-bound"})
    return visit(event, track="t3", shopper="carla", visit_id="v3", others=(anna,), until_s=90)


@pytest.fixture
def desk(shop, tmp_path):
    """With evidence and tracks."""
    evidence = open_evidence(tmp_path / "evidence", shop.database)
    clip = Clip(clip_id_of("c1", "clip", "cam1"), "shop", "c1", "clip", "cam1", "v3", ("v3",), T0, T0 + S, (64, 48), 10)
    evidence.put(clip, b"film", {"frames": []})
    away = Clip(clip_id_of("c1", "clip", "cam2"), "shop", "c1", "clip", "cam2", "v3", ("v3",), T0, T0 + S, rank=1)
    evidence.put_without(away, "missing", "the camera was away")
    rows = [f"{T0 + k * S // 10},{track},{k / 100:.4f},1.0000" for k in range(-600, 1200) for track in ("t1", "t3")]
    (tmp_path / "tracks.csv").write_text("\n".join(["at_ns,track,x_m,y_m", *rows]) + "\n")
    shop.tell(unsure())
    around = Around(evidence=evidence, folders=(tmp_path,))
    return ReviewDesk(shop.database, shop.staff, shop.prices, clock=lambda: shop.now_ns, around=around)


def test_all_that_there_is_to_look_at(shop, desk):
    (case,) = shop.held("v3")
    view = desk.view(case.case_id)
    (line,) = view.lines
    assert line.asked and not line.gone and line.line.reason in str(line.why)
    assert [(p.gtin, p.name, p.probability) for p in line.products] == [(BREAD, "Bread", 0.62), (COLA, "Cola", 0.3)]
    assert [(p.visit_id, p.shopper_id, p.mine) for p in line.persons] == [
        ("v3", None, True),
        ("v1", "anna", False),
    ] or [(p.visit_id, p.shopper_id, p.mine) for p in line.persons] == [("v3", "carla", True), ("v1", "anna", False)]
    assert line.persons[0].probability == pytest.approx(0.6)
    assert line.took_probability == pytest.approx(0.6 * 0.62 * 0.95)
    assert "Probability that this visit took Bread: 35 %" in str(line.why)
    (event,) = line.events
    why = str(event.why)
    assert "seen by cam1" in why and "this visit 60 %, anna 30 %" in why and "Bread 62 %" in why
    assert [(c.camera_id, c.state) for c in event.clips] == [("cam1", "ready"), ("cam2", "missing")]
    assert "clip of cam2, missing: the camera was away" in view.missing
    assert case.cameras == ("cam1",)
    assert [p.shopper_id for p in view.others] == ["anna", "ben"]
    assert view.others[0].receipt_id == shop.receipt("v1").receipt_id
    assert view.moments_ns == (T0 + 5 * S,)
    mine, other = view.path
    assert (mine.track_id, mine.mine, other.track_id, other.visit_id) == ("t3", True, "t1", "v1")
    times = [at_ns for at_ns, _, _ in mine.points]
    assert times[0] >= T0 - 10 * S and times[-1] == T0 + 20 * S and len(times) > 250


def test_history_tells_what_happened(shop, desk):
    (case,) = shop.held("v3")
    desk.claim(case.case_id, "rita")
    desk.resolve(case.case_id, "product", "rita", "k1", gtin=COLA, reason="blue can")
    view = desk.view(case.case_id)
    assert [h.what for h in view.history] == [
        "opened: the line was held for review", "took the case", "version 2: Cola instead of Bread",
        "decided: product, 1.49 EUR",
    ]  # fmt: skip
    assert [v.version for v in view.versions] == [1, 2] and view.receipt == view.versions[-1]


def test_a_line_that_is_gone_is_still_shown(shop):
    case_id, other = shop.dispute(), shop.dispute(BREAD)
    shop.desk.resolve(case_id, "remove", "rita", "k1")
    view = shop.desk.view(case_id)
    gone = [line for line in view.lines if line.gone]
    assert [line.line.gtin for line in gone] == [COLA] and gone[0].asked
    assert str(gone[0].why).startswith("Not on the receipt any more. It was billed")
    assert [c.case_id for c in view.related if c.origin == "dispute"] == [other]
    assert "no evidence is kept here: there are no clips" in view.missing
    assert any(m.startswith("no floor path: this shop's tracks.csv is not here") for m in view.missing)


def test_a_whole_receipt_and_an_unknown_case(shop):
    view = shop.desk.view(shop.desk.open_dispute("anna", shop.receipt().receipt_id, None, "missing-item", "", WATER, 2))
    assert view.why == "the whole receipt: the shopper says something is missing" and view.case.amount_minor == 110
    assert len(view.lines) == 3 and not any(line.asked for line in view.lines)
    with pytest.raises(UnknownCaseError):
        shop.desk.view("nothing")


@pytest.mark.parametrize(("t0", "t1"), [(0, 10), (300, 302), (0, 1000), (999, 2000), (-50, -1), (5000, 6000)])
def test_rows_of_a_long_file_are_found(tmp_path, t0, t1):
    at = [k for k in range(1000) for _ in range(5)]
    lines = ["at_ns,track,x_m,y_m", *(f"{k * S},t{n % 5},0.5,{n}" for n, k in enumerate(at)), "99"]
    (tmp_path / "tracks.part.csv").write_text("\n".join(lines))  # a run that goes on, caught in the middle of a row
    file = tracks_file(None, tmp_path / "nothing", tmp_path)
    found = points_between(file, t0 * S, t1 * S)
    expected = [k for k in range(1000) if t0 <= k <= t1]
    assert set(found) == ({f"t{n}" for n in range(5)} if expected else set())
    for points in found.values():
        assert [at_ns // S for at_ns, _, _ in points] == expected
