# SPDX-License-Identifier: AGPL-3.0-or-later
"""Figures, and the commands of review."""

import json

import pytest
from typer.testing import CliRunner

from pipeline.errors import AuditError, CaseError, StateError, UnknownCaseError
from pipeline.review.cli import app
from pipeline.review.figures import figures, percentile
from tests.unit.cart.events import BREAD, COLA, WATER


def walkout(*arguments, code=0):
    result = CliRunner(env={"COLUMNS": "160"}).invoke(app, [str(a) for a in arguments])
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == code, result.output
    return result.output


@pytest.mark.parametrize(("share", "expected"), [(0.5, 5), (0.95, 10), (0.0, 1), (1.0, 10)])
def test_percentiles_are_values_that_occur(share, expected):
    assert percentile(range(1, 11), share) == expected
    assert percentile([], share) is None and percentile([7], share) == 7


def test_figures_of_all_that_happened(shop):
    removed, refused = shop.dispute(), shop.dispute(BREAD)
    waiting = shop.dispute(None, "wrong-price")
    shop.now_ns += 3600 * 10**9
    shop.desk.resolve(removed, "remove", "rita", "k")
    shop.now_ns += 30 * 3600 * 10**9
    shop.desk.resolve(refused, "confirm", "rita", "k")
    shop.desk.resolve(shop.held()[0].case_id, "confirm", "rita", "k")
    found = figures(shop.database)
    assert (found.all.visits, found.all.held_visits, found.all.held_share) == (2, 1, 0.5)
    tally = found.all.tally
    assert (tally.cases, tally.disputes, tally.upheld, tally.refused, tally.waiting, tally.held) == (4, 3, 1, 1, 1, 1)
    assert tally.upheld_share == 0.5 and (tally.paid_back_minor, tally.charged_minor) == ({"EUR": 149}, {"EUR": 55})
    assert {k: t.disputes for k, t in found.kinds.items() if t.disputes} == {"not-taken": 2, "wrong-price": 1}
    assert found.kinds["wrong-price"].upheld_share is None
    assert (found.dispute_waits.decided, found.dispute_waits.p50_s, found.dispute_waits.p95_s) == (2, 3600, 31 * 3600)
    assert found.dispute_waits.late == 1, "promised within a day"
    assert {g: t.cases for g, t in found.products.items()} == {COLA: 1, BREAD: 1, WATER: 1}
    assert found.cameras == {} and list(found.stores) == ["shop"]
    assert figures(shop.database, store_id="elsewhere").all.tally.cases == 0
    assert figures(shop.database, since_ns=shop.now_ns + 1).all.visits == 0
    assert shop.desk.read(waiting).state == "open"


def test_figures_and_the_trail_on_the_command_line(shop, tmp_path):
    shop.desk.resolve(shop.dispute(), "remove", "rita", "k")
    url = f"sqlite:///{tmp_path}/state.sqlite"
    assert json.loads(walkout("figures", url, "--json"))["kinds"]["not-taken"]["upheld"] == 1
    assert "not-taken" in walkout("figures", tmp_path, "--days", "100000")
    assert "shop: 3 entries, unbroken" in walkout("audit", "verify", tmp_path)
    heads = tmp_path / "heads.json"
    heads.write_text(walkout("audit", "verify", url, "--json"))
    walkout("audit", "export", url, "--out", tmp_path / "trail.jsonl")
    exported = (tmp_path / "trail.jsonl").read_text()
    assert walkout("audit", "export", url) == exported
    assert "unbroken" in walkout("audit", "verify", "--export", tmp_path / "trail.jsonl", "--heads", heads)
    (tmp_path / "trail.jsonl").write_text(exported.replace("rita", "sam"))
    assert "entry 3 of store shop" in walkout("audit", "verify", "--export", tmp_path / "trail.jsonl", code=1)
    for wrong in (["audit", "verify"], ["audit", "verify", url, "--heads", tmp_path / "trail.jsonl"]):
        with pytest.raises(AuditError):
            walkout(*wrong)
    with pytest.raises(StateError, match="expected a run's folder"):
        walkout("figures", tmp_path / "nothing")
    with pytest.raises(StateError, match="name its folder"):
        walkout("queue", url)


def test_a_run_is_reviewed_on_the_command_line(tmp_path):
    from pipeline import runtime
    from tests.scripted_shop import stages, write_recording

    recording, run = write_recording(tmp_path / "recording"), tmp_path / "run"
    runtime.run(recording, run, video=False, progress=False, stages=stages())
    receipts = {r["shopper_id"]: r for r in json.loads((run / "receipts.json").read_text())["receipts"]}
    (held,) = json.loads(walkout("queue", run, "--json"))["cases"]
    assert held["shopper_id"] == "ben" and "1 to decide" in (shown := walkout("queue", run))
    assert held["case_id"] in shown, "the other commands are given it"
    shown = walkout("show", run, held["case_id"])
    assert "> line 2, Cola: Held" in shown and "opened: the line was held for review" in shown
    assert json.loads(walkout("show", run, held["case_id"], "--json"))["case"]["case_id"] == held["case_id"]
    anna = receipts["anna"]["receipt_id"]
    case_id = walkout("dispute", run, "anna", anna, "not-taken", "--line", "1", "--text", "no").strip()
    done = walkout("resolve", run, case_id, "remove", "--by", "rita", "--key", "k")
    assert "remove done" in done and "version 2" in done
    assert "had been done" in walkout("resolve", run, case_id, "remove", "--by", "rita", "--key", "k")
    from pipeline.payment.accounts import list_payments
    from pipeline.state import Database

    database = Database(f"sqlite:///{run}/state.sqlite")
    (payment,) = list_payments(database, shopper_id="anna")
    database.close()
    assert (payment["version"], payment["due_minor"], payment["state"]) == (2, 0, "paid")
    assert payment["calls"][-1]["kind"] == "refund"
    with pytest.raises(CaseError, match="was decided"):
        walkout("resolve", run, case_id, "refund", "--by", "rita")
    with pytest.raises(UnknownCaseError):
        walkout("show", run, "nothing")
