# SPDX-License-Identifier: AGPL-3.0-or-later
"""The wiring of one shop, with scripted stages: what is written, twice the same, and what happens when it fails."""

import csv
import dataclasses
import json

import av
import numpy as np
import pytest

from pipeline import runtime
from pipeline.errors import LayoutError, RecordingError
from tests.scripted_shop import ANNA, BEN, BREAD, COLA, START_NS, S, ScriptedShelf, Visitor, stages, write_recording


@pytest.fixture(scope="module")
def recording(tmp_path_factory):
    return write_recording(tmp_path_factory.mktemp("recording") / "tiny")


def run(recording, out, make=None, **kwargs):
    return runtime.run(recording, out, **({"video": False, "progress": False, "stages": make or stages()} | kwargs))


def receipts(out):
    return json.loads((out / "receipts.json").read_text())["receipts"]


def items(receipt, status="billed"):
    return {line["gtin"]: line["quantity"] for line in receipt["lines"] if line["status"] == status}


@pytest.fixture(scope="module")
def finished(recording, tmp_path_factory):
    out = tmp_path_factory.mktemp("run")
    return out, run(recording, out, video=True, progress=True)


def test_each_shopper_who_leaves_gets_a_receipt(finished):
    out, summary = finished
    anna, ben = receipts(out)
    assert (anna["shopper_id"], items(anna), anna["total_minor"]) == ("anna", {BREAD: 1}, 101)
    assert (ben["shopper_id"], items(ben), items(ben, "held")) == ("ben", {BREAD: 1}, {COLA: 1})
    assert not anna["held_for_review"] and ben["held_for_review"]
    assert abs(anna["left_at_ns"] - START_NS - ANNA.leaves_s * S) <= 0.2 * S
    assert (summary.visits, summary.receipts, summary.held_for_review) == (2, 2, 1)


class HiddenShelf(ScriptedShelf):
    """Nothing can be said until `until_s`, when those who stand before the shelf have gone; `waits`: and it says so."""

    until_s, waits, now_ns = 9.4, True, 0

    def update(self, perceived):
        self.now_ns = perceived.frame_set.mid_ns
        return super().update(perceived)

    def awaits(self, track_id, left_ns):
        return self.waits and self._is_hidden()

    def _is_hidden(self):
        return self.now_ns < START_NS + self.until_s * S

    def _until(self, at_ns, track_id):
        return [] if self._is_hidden() else super()._until(at_ns, track_id)


@pytest.mark.parametrize(("waits", "billed"), [(True, {BREAD: 1}), (False, {})])
def test_a_bill_waits_for_shelves_that_others_hide(recording, tmp_path, waits, billed):
    def make(shop):
        made = stages()(shop)
        shelf = HiddenShelf(made.shelf.visitors)
        shelf.waits = waits
        return dataclasses.replace(made, shelf=shelf)

    run(recording, tmp_path, make)
    anna = next(r for r in receipts(tmp_path) if r["shopper_id"] == "anna")
    assert items(anna) == billed
    assert abs(anna["left_at_ns"] - START_NS - ANNA.leaves_s * S) <= 0.2 * S


def test_each_receipt_is_paid_with_the_test_provider(finished):
    out, _ = finished
    anna, ben = json.loads((out / "payments.json").read_text())["payments"]
    for payment, receipt in zip((anna, ben), sorted(receipts(out), key=lambda r: r["visit_id"]), strict=True):
        assert (payment["receipt_id"], payment["due_minor"]) == (receipt["receipt_id"], receipt["total_minor"])
        assert payment["state"] == "paid"
        made = [(call["kind"], call["amount_minor"]) for call in payment["calls"]]
        assert made == [("authorize", receipt["total_minor"]), ("capture", receipt["total_minor"])]


def test_every_receipt_is_there_for_people_too(finished):
    out, _ = finished
    pages = {path.stem: path.read_text(encoding="utf-8") for path in (out / "receipts").iterdir()}
    assert pages.keys() == {r["receipt_id"] for r in receipts(out)}
    for receipt in receipts(out):
        assert all(line["name"] in pages[receipt["receipt_id"]] for line in receipt["lines"])


def test_events_and_tracks_are_written(finished):
    out, _ = finished
    events = [json.loads(line) for line in (out / "events.jsonl").read_text().splitlines()]
    kinds = [e["type"] for e in events]
    assert {k: kinds.count(k) for k in set(kinds)} == {
        "visit-opened": 2, "track-bound": 2, "shelf-event": 5, "visit-closed": 2,
    }  # fmt: skip
    closing = next(e for e in events if e["type"] == "visit-closed")
    assert set(closing["event_ids"]) <= {e["event_id"] for e in events[: events.index(closing)]}
    rows = list(csv.DictReader((out / "tracks.csv").read_text().splitlines()))
    assert list(rows[0]) == ["at_ns", "track", "x_m", "y_m"]
    assert {r["track"] for r in rows} == {"t0", "t1"}
    looked = np.load(out / "detections.npz")["cam1.looked_ns"]
    assert len(looked) == 130


def test_the_summary_says_what_ran_and_how_fast(finished):
    out, summary = finished
    written = json.loads((out / "run.json").read_text())
    assert written == json.loads(json.dumps(dataclasses.asdict(summary)))
    assert written["camera_frames"] == 130 and written["windows"] >= 130
    assert written["cameras"]["cam1"] == {"frames": 130, "state": "ended", "reason": "end of cam1.mp4"}
    assert written["weights"] == {"scripted": True}
    assert written["footage_s"] == pytest.approx(13, abs=0.2)
    assert written["camera_frames_per_s"] == pytest.approx(130 / written["wall_s"], rel=0.01)
    beside = {"capture", "perception"}
    for some in (beside, written["stages_s"].keys() - beside):
        assert sum(written["stages_s"][stage] for stage in some) <= written["wall_s"] * 1.01
    assert "python" in written["versions"]


def test_pictures_are_written(finished):
    out, _ = finished
    with av.open(str(out / "mosaic.mp4")) as film:
        assert sum(1 for _ in film.decode(video=0)) >= 130
    assert (out / "floorplan.png").read_bytes().startswith(b"\x89PNG")
    assert not [p.name for p in out.iterdir() if ".part" in p.name or p.suffix == ".tmp"]


def test_two_runs_are_the_same_bytes(finished, recording, tmp_path):
    out, _ = finished
    run(recording, tmp_path, video=True)
    data = ("receipts.json", "payments.json", "events.jsonl", "tracks.csv", "detections.npz")
    for name in (*data, "floorplan.png", "mosaic.mp4"):
        assert (tmp_path / name).read_bytes() == (out / name).read_bytes(), name


def test_running_again_into_the_same_folder_starts_from_scratch(recording, tmp_path):
    run(recording, tmp_path)
    first = (tmp_path / "receipts.json").read_bytes()
    run(recording, tmp_path)
    assert (tmp_path / "receipts.json").read_bytes() == first


def test_two_runs_on_one_log_do_not_see_each_other(recording, tmp_path):
    url = f"sqlite:///{tmp_path}/shared.sqlite"
    run(recording, tmp_path / "a", log_url=url)
    run(recording, tmp_path / "b", log_url=url, make=stages(ANNA))
    assert [r["shopper_id"] for r in receipts(tmp_path / "a")] == ["anna", "ben"]
    assert [r["shopper_id"] for r in receipts(tmp_path / "b")] == ["anna"]


def test_replay_of_the_same_says_so(finished, recording):
    out, _ = finished
    difference = runtime.replay(recording, out, stages=stages(), progress=False)
    assert not difference
    assert difference.text() == "No difference: receipts, events and tracks are the same."


def test_replay_shows_what_differs(finished, recording, tmp_path):
    out, _ = finished
    changed = dataclasses.replace(ANNA, y_m=1.1, takes=ANNA.takes[:2])
    late = Visitor("carl", 9.0, 0.2)
    difference = runtime.replay(
        recording, out, out_dir=tmp_path / "new", stages=stages(changed, BEN, late), progress=False
    )
    text = difference.text()
    assert "anna" in text and "Cola, billed: 0 -> 1" in text
    assert "ben" not in text
    assert "- 1700000005.00 s put_back of 2000000000015 at g-0 by t0" in text
    assert "t2: only now" in text and "0.100 m (t0" in text
    assert (tmp_path / "new" / "receipts.json").exists()


def test_replay_onto_the_run_itself_is_refused(finished, recording):
    with pytest.raises(RecordingError, match="cannot overwrite"):
        runtime.replay(recording, finished[0], out_dir=finished[0], stages=stages(), progress=False)


def test_replay_against_something_else_is_one_line(recording, tmp_path):
    with pytest.raises(RecordingError, match=r"is .* a run"):
        runtime.replay(recording, tmp_path, stages=stages(), progress=False)


def test_who_is_still_inside_gets_no_receipt(tmp_path):
    recording = write_recording(tmp_path / "rec", visitors=(ANNA,), duration_s=6)
    run(recording, tmp_path / "out", make=stages(ANNA))
    assert receipts(tmp_path / "out") == []
    assert "shelf-0-2" in (tmp_path / "out" / "events.jsonl").read_text()  # and nothing that was seen is lost


def test_a_tailgaters_things_are_seen_and_billed_to_nobody(recording, tmp_path):
    tailgater = Visitor("nobody", 5.5, 1.8, stay_s=3, takes=((2, "pick", COLA, 0.95),))
    run(recording, tmp_path, make=stages(ANNA, BEN, tailgater))
    found = receipts(tmp_path)
    assert [items(r).get(COLA, 0) for r in found] == [0, 0, 0]
    (theirs,) = [r for r in found if r["shopper_id"] is None]
    assert [line["status"] for line in theirs["lines"]] == ["held"] and theirs["total_minor"] == 0
    assert "shelf-2-0" in (tmp_path / "events.jsonl").read_text()


def test_store_settings_change_what_is_billed(tmp_path):
    recording = write_recording(tmp_path / "rec")
    (recording / "settings.yaml").write_text("billing:\n  product: 0.96\n")
    run(recording, tmp_path / "out")
    assert [items(r) for r in receipts(tmp_path / "out")] == [{}, {}]
    (recording / "settings.yaml").write_text("billing:\n  product: 2\n")
    with pytest.raises(LayoutError, match=r"settings.yaml: billing.*product"):
        run(recording, tmp_path / "out")


class _Meeting(Visitor):
    """Comes so near to whoever else does so that nobody can tell who is who afterwards."""

    def floor_xy_m(self, at_s):
        xy = super().floor_xy_m(at_s)
        if xy is None:
            return None
        near = np.interp(at_s, [6.0, 6.5, 6.8, 7.3], [0.0, 1.0, 1.0, 0.0])
        return np.array([xy[0], xy[1] + near * (0.7 - xy[1])])


def test_what_depends_on_who_was_who_is_held(tmp_path):
    """Bread is taken before the two meet in the shop and cola after it: nobody knows whose the cola is."""
    takes = ((2.5, "pick", BREAD, 0.95),)
    anna = _Meeting("anna", 1.0, 1.2, stay_s=9.0, takes=takes)
    ben = _Meeting("ben", 3.0, 0.2, stay_s=8.0, takes=(*takes, (6.0, "pick", COLA, 0.95)))
    recording = write_recording(tmp_path / "recording", (anna, ben), duration_s=16.0)
    run(recording, tmp_path / "out", stages(anna, ben))
    events = [json.loads(line) for line in (tmp_path / "out" / "events.jsonl").read_text().splitlines()]
    (doubt,) = [e for e in events if e["type"] == "track-ambiguous"]
    assert doubt["track_ids"] == ["t0", "t1"]
    assert START_NS + 6 * S < doubt["at_ns"] < doubt["until_ns"] < START_NS + 7.3 * S
    for closing in (e for e in events if e["type"] == "visit-closed"):
        assert doubt["event_id"] in closing["event_ids"]
    found = {r["shopper_id"]: (items(r), items(r, "held")) for r in receipts(tmp_path / "out")}
    assert found["anna"][0] == {BREAD: 1} and found["ben"][0] == {BREAD: 1}
    assert found["ben"][1] == {COLA: 1}
