# SPDX-License-Identifier: AGPL-3.0-or-later
"""A scripted run keeps its evidence, and the commands list it, take it out, delete it."""

import json
import shutil

import pytest
import yaml
from typer.testing import CliRunner

from pipeline import runtime
from pipeline.cli import app
from pipeline.errors import EvidenceError, RecordingError
from pipeline.evidence.opening import evidence_of
from pipeline.review import audit
from pipeline.run_diff import compare_runs
from pipeline.state import Database
from tests.scripted_shop import stages, write_recording


@pytest.fixture(scope="module")
def recording(tmp_path_factory):
    """The scripted recording, with its camera turned to the shelf."""
    recording = write_recording(tmp_path_factory.mktemp("rec") / "rec")
    layout = yaml.safe_load((recording / "layout.yaml").read_text())
    layout["cameras"][0] |= {"position_m": [3.5, 0.2, 2.2], "look_at_m": [3.5, 1.9, 0.8], "focal_px": [30, 30]}
    (recording / "layout.yaml").write_text(yaml.safe_dump(layout))
    return recording


@pytest.fixture(scope="module")
def made(recording, tmp_path_factory):
    out = tmp_path_factory.mktemp("run") / "run"
    runtime.run(recording, out, video=False, progress=False, stages=stages())
    return out


@pytest.fixture
def run(made, tmp_path):
    """A run of its own for each test."""
    return shutil.copytree(made, tmp_path / "run")


def walkout(*args):
    result = CliRunner().invoke(app, ["evidence", *map(str, args)])
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.output


def listed(run, *args):
    return [json.loads(line) for line in walkout("list", run, "--json", *args).splitlines()]


def test_a_run_keeps_a_film_of_every_shelf_event_and_says_what_it_cost(run):
    events = [json.loads(line) for line in (run / "events.jsonl").read_text().splitlines()]
    shelf = {e["event_id"] for e in events if e["type"] == "shelf-event"}
    films = [c for c in listed(run) if c["kind"] == "clip"]
    assert {c["event_id"] for c in films} == shelf and len(shelf) == 5
    assert all(c["state"] == "ready" and c["bytes"] > 0 and c["camera_id"] == "cam1" for c in films)
    summary = json.loads((run / "run.json").read_text())
    assert summary["stages_s"]["evidence"] > 0
    total = sum(c["bytes"] for c in listed(run))
    assert summary["evidence"] == {"events": 5, "items": 15, "bytes": total, "missing": 0}
    assert "10 ready" not in walkout("list", run) and "15 ready" in walkout("list", run)  # before and after, too


def test_without_evidence_nothing_is_kept_and_the_results_are_the_same(recording, made, tmp_path):
    runtime.run(recording, tmp_path / "out", video=False, evidence=False, progress=False, stages=stages())
    assert not compare_runs(made, tmp_path / "out")
    assert not (tmp_path / "out" / "evidence").exists() and listed(tmp_path / "out") == []


def test_settings_can_want_none(recording, tmp_path):
    mine = shutil.copytree(recording, tmp_path / "rec")
    (mine / "settings.yaml").write_text("evidence: {keep: false}\n")
    runtime.run(mine, tmp_path / "out", video=False, progress=False, stages=stages())
    assert listed(tmp_path / "out") == []


def test_export_takes_out_what_can_be_had_and_names_the_rest(run, tmp_path):
    first, second = [c for c in listed(run) if c["kind"] == "clip"][:2]
    next(run.glob(f"evidence/**/{first['clip_id']}.mp4")).unlink()
    output = walkout("export", run, "--out", tmp_path / "out")
    assert f"left out: {first['clip_id']}: missing" in output
    assert (tmp_path / "out" / f"{second['clip_id']}.mp4").stat().st_size == second["bytes"]
    assert len(json.loads((tmp_path / "out" / f"{second['clip_id']}.json").read_text())["frames"]) == second["frames"]
    assert not (tmp_path / "out" / f"{first['clip_id']}.mp4").exists()
    one = walkout("export", run, "--out", tmp_path / "one", "--event", second["event_id"])
    assert "3 clips and stills" in one


def test_erase_is_for_good_even_when_the_recording_is_run_again(run, recording):
    visit = listed(run)[0]["visit_id"]
    mine = listed(run, "--visit", visit)
    assert f"visit {visit}: {len(mine)} clips and stills erased" in walkout(
        "erase", run, "--visit", visit, "--by", "staff-7", "--reason", "asked for it"
    )
    assert "was erased before" in walkout("erase", run, "--visit", visit, "--by", "staff-7")
    assert {c["state"] for c in listed(run, "--visit", visit)} == {"erased"}
    database = Database(f"sqlite:///{run}/state.sqlite")
    with database.transaction() as db:
        (entry,) = audit.history(db, visit_id=visit)
    database.close()
    assert (entry.kind, entry.by, entry.about["items"]) == ("evidence-erased", "staff-7", len(mine))
    runtime.run(recording, run, video=False, progress=False, stages=stages())
    with evidence_of(run) as store:
        assert store.is_erased(visit)
        assert {c.state for c in store.of_visit(visit)} == {"erased"}
        assert {c.state for c in store.all()} == {"ready", "erased"}
        with pytest.raises(EvidenceError, match="erased"):
            store.read(mine[0]["clip_id"])


def test_expire_deletes_what_is_old(run):
    assert walkout("expire", run) == "expired: 0\n"
    assert walkout("expire", run, "--days", "0") == "expired: 15\n"
    assert not list(run.glob("evidence/**/*.mp4")) and {c["state"] for c in listed(run)} == {"expired"}


def test_a_folder_that_is_neither_is_one_line(tmp_path):
    with pytest.raises(RecordingError, match="neither a run"):
        walkout("list", tmp_path)


def test_an_event_that_no_camera_can_have_seen_says_so(tmp_path):
    blind = write_recording(tmp_path / "rec")
    runtime.run(blind, tmp_path / "out", video=False, progress=False, stages=stages())
    found = listed(tmp_path / "out")
    assert len(found) == 5 and {(c["state"], c["reason"]) for c in found} == {("missing", "no camera sees this place")}
