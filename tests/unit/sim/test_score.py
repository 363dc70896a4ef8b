# SPDX-License-Identifier: AGPL-3.0-or-later
import csv
import json
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
import yaml

from pipeline.errors import RecordingError
from sim.score import Counts, score_run
from sim.tracking_score import score_tracks

S = 1_000_000_000
START = 1_700_000_000 * S


def positions(people: dict[str, list[tuple[float, float]]]) -> dict:
    instants = range(max(map(len, people.values()), default=0))
    return {t: (list(people), np.array([people[p][t] for p in people])) for t in instants}


WALK = {"a": [(0.1 * t, 0.0) for t in range(40)], "b": [(0.1 * t, 2.0) for t in range(40)]}


def test_perfect_tracks_score_one():
    score = score_tracks(positions(WALK), positions({"1": WALK["a"], "2": WALK["b"]}), 0.5)
    assert (score.mota, score.idf1, score.hota) == (1, 1, 1)
    assert score.motp_m == pytest.approx(0)


def test_two_tracks_that_change_places_halfway_lose_half_of_the_identity():
    swapped = {"1": WALK["a"][:20] + WALK["b"][20:], "2": WALK["b"][:20] + WALK["a"][20:]}
    score = score_tracks(positions(WALK), positions(swapped), 0.5)
    assert score.switches == 2
    assert score.idf1 == pytest.approx(0.5)
    assert score.mota == pytest.approx(1 - 2 / 80)


def test_the_gate_decides_what_a_miss_is():
    shifted = {"1": [(x, y + 0.6) for x, y in WALK["a"]], "2": WALK["b"]}
    assert score_tracks(positions(WALK), positions(shifted), 1.0).misses == 0
    half = score_tracks(positions(WALK), positions(shifted), 0.5)
    assert (half.misses, half.false_positives) == (40, 40)


def test_nobody_found_is_zero_and_nobody_there_is_one():
    assert score_tracks(positions(WALK), {}, 0.5).mota == 0
    assert score_tracks({}, {}, 0.5).mota == 1


def test_counts_of_nothing_are_right():
    assert (Counts().precision, Counts().recall, Counts().f1) == (1, 1, 1)
    assert Counts(3, 1, 2).f1 == pytest.approx(6 / 9)


def write_recording(folder: Path, events: list[dict], visits: list[dict], people: list[tuple]) -> Path:
    (folder / "truth").mkdir(parents=True)
    (folder / "video").mkdir()
    slot = {"id": "s", "start_m": 0, "end_m": 0.1}
    shelf = {"id": "sh", "height_m": 1, "depth_m": 0.4, "clearance_m": 0.3, "slots": [slot]}
    gondola = {"id": "g", "origin_m": [0, 5], "facing_deg": -90, "width_m": 1, "height_m": 2, "depth_m": 0.4}
    layout = {
        "store_id": "t",
        "floor_m": [[0, -1], [5, -1], [5, 5], [0, 5]],
        "cameras": [{"id": "c1", "focal_px": [50, 50], "position_m": [0, 0, 2.5], "look_at_m": [2, 2, 0]}],
        "gondolas": [gondola | {"shelves": [shelf]}],
        "gates": [{"id": "gate", "line_m": [[0, 0], [1, 0]], "inward": [0, 1], "tap_m": [0, 0]}],
    }
    (folder / "layout.yaml").write_text(yaml.safe_dump(layout))
    manifest = {"recording_id": "t-s0", "start_ns": START, "cameras": [{"id": "c1", "file": "video/c1.mp4"}]}
    (folder / "manifest.json").write_text(json.dumps(manifest))
    (folder / "truth" / "events.jsonl").write_text("".join(json.dumps(e) + "\n" for e in events))
    (folder / "truth" / "receipts.json").write_text(json.dumps({"visits": visits}))
    with (folder / "truth" / "people.csv").open("w") as file:
        csv.writer(file).writerows([("at_ns", "person", "x_m", "y_m"), *people])
    return folder


def write_run(folder: Path, events: list[dict], receipts: list[dict], tracks: list[tuple]) -> Path:
    folder.mkdir(parents=True)
    (folder / "events.jsonl").write_text("".join(json.dumps(e) + "\n" for e in events))
    (folder / "receipts.json").write_text(json.dumps({"receipts": receipts}))
    with (folder / "tracks.csv").open("w") as file:
        csv.writer(file).writerows([("at_ns", "track", "x_m", "y_m"), *tracks])
    return folder


def true_event(kind: str, gtin: str, at_s: float, quantity: int = 1) -> dict:
    return {"event": kind, "gtin": gtin, "at_ns": START + int(at_s * S), "quantity": quantity}


def found_event(kind: str, gtin: str, at_s: float, quantity: int = 1) -> dict:
    at = START + int(at_s * S)
    return {
        "type": "shelf-event", "kind": kind, "t0_ns": at - S // 10, "t1_ns": at + S // 10,
        "products": [{"value": gtin, "probability": 0.9}], "quantities": [{"value": str(quantity), "probability": 1}],
    }  # fmt: skip


def visit(items: dict[str, int]) -> dict:
    return {"shopper_id": "ann", "entered_at_ns": START, "left_at_ns": START + 9 * S, "items": items}


def receipt(lines: list[tuple[str, int, str]], version: int = 1) -> dict:
    return {
        "receipt_id": "r", "version": version, "shopper_id": "ann", "entered_at_ns": START, "at_ns": START + 10 * S,
        "lines": [{"gtin": g, "quantity": n, "status": s} for g, n, s in lines],
    }  # fmt: skip


@pytest.mark.parametrize(
    ("lines", "exact", "right", "wrong", "missed"),
    [
        ([("A", 2, "billed"), ("B", 1, "billed")], True, 3, 0, 0),
        ([("A", 1, "billed"), ("B", 1, "billed")], False, 2, 0, 1),  # one unit forgotten
        ([("A", 2, "billed"), ("C", 1, "billed")], False, 2, 1, 1),  # the wrong product
        ([("A", 2, "billed"), ("B", 1, "held")], False, 2, 0, 1),  # held is not billed
        ([("A", 2, "billed"), ("B", 1, "billed"), ("C", 1, "held")], False, 3, 0, 0),  # all right, but left open
    ],
)
def test_a_receipt_is_exact_only_when_every_unit_is_billed(tmp_path, lines, exact, right, wrong, missed):
    rec = write_recording(tmp_path / "rec", [], [visit({"A": 2, "B": 1})], [])
    score = score_run(rec, write_run(tmp_path / "run", [], [receipt(lines)], []))
    assert score.visits[0].exact is exact
    assert score.items == Counts(right, wrong, missed)
    assert score.as_dict()["receipts"]["exact"] == int(exact)


@pytest.mark.parametrize(
    ("lines", "exact"),
    [
        ([("A", 1, 1), ("B", 2, 2), ("C", 1, 3)], True),
        ([("A", 1, 1), ("C", 1, 2), ("B", 2, 3)], True),  # guests are numbered as they came in
        ([("A", 1, 2), ("B", 2, 1), ("C", 1, 3)], False),  # the payer has a guest's
        ([("A", 1, 1), ("B", 1, 2), ("C", 1, 3), ("B", 1, 3)], False),  # one unit is on another guest's list
        ([("A", 1, 1), ("B", 2, 2), ("C", 1, 4)], False),  # a member too many, and the third has nothing
    ],
)
def test_lists_of_a_party_s_members_are_compared(tmp_path, lines, exact):
    party = visit({"A": 1, "B": 2, "C": 1}) | {"members": {"ann": {"A": 1}, "ben": {"B": 2}, "cat": {"C": 1}}}
    rec = write_recording(tmp_path / "rec", [], [party], [])
    bill = receipt([]) | {"lines": [{"gtin": g, "quantity": n, "status": "billed", "member": m} for g, n, m in lines]}
    [found] = score_run(rec, write_run(tmp_path / "run", [], [bill], [])).visits
    assert found.exact and found.members_exact is exact


def test_who_came_alone_has_no_members_and_a_party_without_a_receipt_none_that_are_right(tmp_path):
    rec = write_recording(tmp_path / "rec", [], [visit({"A": 1})], [])
    alone = score_run(rec, write_run(tmp_path / "run", [], [receipt([("A", 1, "billed")])], [])).visits[0]
    assert alone.members_exact is None
    party = visit({"A": 1}) | {"members": {"ann": {"A": 1}, "ben": {}}}
    rec = write_recording(tmp_path / "rec2", [], [party], [])
    assert score_run(rec, write_run(tmp_path / "run2", [], [], [])).visits[0].members_exact is False


def test_the_newest_version_of_a_receipt_counts(tmp_path):
    rec = write_recording(tmp_path / "rec", [], [visit({"A": 1})], [])
    versions = [receipt([("A", 1, "billed")], version=2), receipt([("B", 1, "billed")], version=1)]
    assert score_run(rec, write_run(tmp_path / "run", [], versions, [])).visits[0].exact


def test_a_missing_receipt_and_a_receipt_for_nobody_are_seen(tmp_path):
    rec = write_recording(tmp_path / "rec", [], [visit({"A": 1})], [])
    stranger = receipt([("A", 1, "billed")]) | {"shopper_id": "bob"}
    figures = score_run(rec, write_run(tmp_path / "run", [], [stranger], [])).as_dict()
    expected = {"visits": 1, "exact": 0, "held": 0, "missing": 1, "without_visit": 1}
    assert figures["receipts"] == expected | {"without_pass": 0, "without_pass_shown": 0}
    assert figures["items"]["f1"] == 0


def test_events_pair_by_kind_product_and_time(tmp_path):
    truth = [true_event("pick", "A", 3), true_event("pick", "A", 5), true_event("put_back", "A", 8)]
    found = [found_event("pick", "A", 5.5), found_event("pick", "B", 3), found_event("put_back", "A", 8.3)]
    rec = write_recording(tmp_path / "rec", truth, [visit({"A": 1})], [])
    score = score_run(rec, write_run(tmp_path / "run", found, [], []))
    assert score.picks == Counts(right=1, wrong=1, missed=1)
    assert score.put_backs == Counts(right=1)


def test_people_outside_the_shop_are_not_missed(tmp_path):
    inside = [(START + i * S // 10, "ann", 1.0, 1.0) for i in range(20)]
    outside = [(START + i * S // 10, "ann", 1.0, -3.0) for i in range(20, 40)]
    rec = write_recording(tmp_path / "rec", [], [visit({})], inside + outside)
    tracks = [(t, "t1", x, y) for t, _, x, y in inside]
    floor = score_run(rec, write_run(tmp_path / "run", [], [], tracks)).tracking
    assert (floor.mota, floor.misses) == (1, 0)
    # Following them further is no mistake either, but a track of nobody is one.
    further = tracks + [(t, "t1", x, y) for t, _, x, y in outside]
    nobody = [(t, "t2", 4.0, 4.0) for t, *_ in outside[:5]]  # inside, where nobody is
    floor = score_run(rec, write_run(tmp_path / "run2", [], [], further + nobody)).tracking
    assert (floor.misses, floor.false_positives) == (0, 5)


def test_who_comes_back_is_somebody_else(tmp_path):
    def stay(name, first, x):
        return [(START + i * S // 10, name, x, 1.0) for i in range(first, first + 20)]

    rec = write_recording(tmp_path / "rec", [], [visit({})], stay("ann", 0, 1.0) + stay("ann", 60, 1.5))
    floor = score_run(rec, write_run(tmp_path / "run", [], [], stay("t1", 0, 1.0) + stay("t2", 60, 1.5))).tracking
    assert (floor.idf1, floor.mota, floor.switches) == (1, 1, 0)
    known = score_run(rec, write_run(tmp_path / "run2", [], [], stay("t1", 0, 1.0) + stay("t1", 60, 1.5))).tracking
    assert known.idf1 < 1  # nobody is recognised


def test_a_tracker_that_loses_everybody_for_long_and_calls_them_otherwise_is_wrong(tmp_path):
    there = [(START + i * S // 10, "ann", 1.0, 1.0) for i in range(80)]
    rec = write_recording(tmp_path / "rec", [], [visit({})], there)
    tracks = [(t, "t1" if i < 20 else "t2", x, y) for i, (t, _, x, y) in enumerate(there) if not 20 <= i < 60]
    floor = score_run(rec, write_run(tmp_path / "run", [], [], tracks)).tracking
    assert floor.switches == 1 and floor.idf1 < 0.7


def test_detection_recall_counts_visible_people_in_the_pictures_looked_at(tmp_path):
    rec = write_recording(tmp_path / "rec", [], [visit({})], [])
    with av.open(str(rec / "video" / "c1.mp4"), "w") as container:
        stream = container.add_stream("libx264", rate=10)
        stream.width, stream.height, stream.pix_fmt = 64, 64, "yuv420p"
        for i in range(4):
            frame = av.VideoFrame.from_ndarray(np.zeros((64, 64, 3), np.uint8), format="bgr24")
            frame.pts, frame.time_base = i, Fraction(1, 10)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    box = np.array([10, 10, 30, 50.0])
    np.savez(
        rec / "truth" / "boxes.npz",
        cameras=np.array(["c1"]), camera=np.zeros(4, int), frame=np.arange(4), xyxy_px=np.tile(box, (4, 1)),
        visible=np.array([1.0, 1.0, 1.0, 0.2]),
    )  # fmt: skip
    run = write_run(tmp_path / "run", [], [], [])
    times = START + np.arange(4) * S // 10
    np.savez(
        run / "detections.npz",
        **{"c1.looked_ns": times[[0, 1, 3]], "c1.at_ns": times[[0]], "c1.xyxy_px": box[None] + 1},
    )
    # Looked at pictures 0, 1 and 3; found in 0, missed in 1; nobody visible enough in 3.
    assert score_run(rec, run).detection_recall == pytest.approx(0.5)


def test_a_recording_without_truth_says_so(tmp_path):
    rec = write_recording(tmp_path / "rec", [], [], [])
    (rec / "truth" / "receipts.json").unlink()
    with pytest.raises(RecordingError, match="truth"):
        score_run(rec, write_run(tmp_path / "run", [], [], []))


def test_who_has_no_pass_has_no_receipt_and_is_counted_apart(tmp_path):
    sneaked = visit({"A": 1}) | {"shopper_id": None, "person": "ben"}
    recording = write_recording(tmp_path / "rec", [], [visit({"B": 1}), sneaked], [])
    opened = [{"type": "visit-opened", "shopper_id": "ann"}, {"type": "person-without-pass"}]
    run = write_run(tmp_path / "run", opened, [receipt([("B", 1, "billed")])], [])
    score = score_run(recording, run)
    assert len(score.visits) == 1 and score.visits[0].exact
    assert (score.without_pass, score.without_pass_shown, score.receipts_without_visit) == (1, 1, 0)
