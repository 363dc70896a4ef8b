# SPDX-License-Identifier: AGPL-3.0-or-later
"""From footage to receipt, with the shipped networks, as a user does it."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from pipeline import runtime
from pipeline.cli import app
from sim.record import record
from sim.score import score_run

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def recording(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("visit") / "ac-22-s1"
    record("ac-22", 1, folder, progress=False)
    return folder


@pytest.fixture(scope="module")
def run_folder(recording, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("run") / "out"
    runtime.run(recording, out, progress=False)
    return out


def test_a_visit_ends_in_one_receipt_for_the_one_who_came(recording, run_folder):
    receipts = json.loads((run_folder / "receipts.json").read_text())["receipts"]
    truth = json.loads((recording / "truth" / "receipts.json").read_text())["visits"]
    assert [r["shopper_id"] for r in receipts] == [v["shopper_id"] for v in truth]
    assert all(r["total_minor"] == sum(line["total_minor"] for line in r["lines"] if line["status"] == "billed")
               for r in receipts)  # fmt: skip


def test_the_shopper_is_seen_and_followed(recording, run_folder):
    score = score_run(recording, run_folder)
    assert score.detection_recall > 0.9
    assert score.tracking.mota > 0.8
    assert score.visits[0].has_receipt
    assert score.visits[0].seconds_to_receipt < 2


def test_everything_to_look_at_is_written(run_folder):
    for name in ("receipts.json", "events.jsonl", "tracks.csv", "mosaic.mp4", "floorplan.png", "run.json"):
        assert (run_folder / name).stat().st_size > 0, name


def test_running_it_again_differs_in_nothing(recording, run_folder):
    result = CliRunner().invoke(app, ["replay", str(recording), "--against", str(run_folder)])
    assert result.exit_code == 0, result.output


def test_the_score_is_printed_for_programs(recording, run_folder):
    result = CliRunner().invoke(app, ["score", str(recording), str(run_folder), "--json"])
    figures = json.loads(result.stdout)
    assert {"items", "receipts", "picks", "put_backs", "floor", "detection_recall", "visits"} <= figures.keys()
    assert figures["receipts"]["visits"] == 1
