# SPDX-License-Identifier: AGPL-3.0-or-later
"""A store's gates over HTTP, from the files of its folder: keys, readers, staff, health."""

import shutil
import sqlite3
import time
from contextlib import closing
from pathlib import Path

import pytest
import yaml
from fastapi.testclient import TestClient
from typer.testing import CliRunner

from pipeline.cli import app as walkout
from pipeline.messages import PersonWithoutPass
from pipeline.passes import KeyRing, PassIssuer
from pipeline.web.serve import open_desk, store_app

NANOSTORE = Path(__file__).parents[3] / "sim" / "stores" / "nanostore"


def command(*words) -> str:
    result = CliRunner().invoke(walkout, [str(w) for w in words], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output.strip()


@pytest.fixture
def store(tmp_path):
    store = tmp_path / "store"
    shutil.copytree(NANOSTORE, store)
    command("pass", "keys", "new", tmp_path / "ring.json")
    command("pass", "keys", "public", tmp_path / "ring.json", store / "keys.json")
    (store / "entry.yaml").write_text(yaml.safe_dump({"key_ring": "keys.json"}))
    return store


@pytest.fixture
def shop(store, tmp_path):
    """The service, and the keys of a gate's reader and of a terminal of staff."""
    reader, staff = command("gate", "reader", store, "r1", "--gate", "gate"), command("gate", "reader", store, "till")
    with TestClient(store_app(store)) as client:
        yield client, {"X-Api-Key": reader}, {"X-Api-Key": staff}


def new_pass(tmp_path, shopper="anna", **more) -> str:
    return PassIssuer(KeyRing.load(tmp_path / "ring.json")).issue(shopper, "nanostore", time.time(), **more)


def tap(client, headers, token, gate="gate", kind="pass"):
    return client.post(f"/gates/{gate}/tap", json={"kind": kind, "token": token}, headers=headers)


def test_a_reader_posts_what_was_shown_and_is_told_what_to_do(shop, tmp_path):
    client, reader, _ = shop
    token = new_pass(tmp_path, admits=2)
    answer = tap(client, reader, token)
    assert answer.status_code == 200
    assert answer.json() == {
        "open": True, "reason": "open", "display": "Welcome! 2 of you may come in.",
        "visit_id": answer.json()["visit_id"], "admits": 2,
    }  # fmt: skip
    again = tap(client, reader, token).json()
    assert (again["open"], again["reason"], again["visit_id"]) == (False, "used", None)


def test_only_readers_post_and_only_to_their_gate(shop, store, tmp_path):
    client, reader, staff = shop
    assert tap(client, {}, "x").status_code == 401
    assert tap(client, {"X-Api-Key": "wk_guess"}, "x").status_code == 401
    assert tap(client, reader, "x", gate="back").status_code == 404
    assert tap(client, staff, new_pass(tmp_path)).json()["open"]
    command("gate", "reader", store, "r1", "--revoke")
    assert tap(client, reader, "x").status_code == 401


def test_what_is_no_request_is_said_to_be_none(shop):
    client, reader, _ = shop
    for body in ({}, {"token": 7}, {"token": "x", "kind": "face"}, {"token": "x" * 20_000}, {"token": "x", "more": 1}):
        assert client.post("/gates/gate/tap", json=body, headers=reader).status_code == 422
    assert client.post("/gates/gate/tap", content=b"x" * 100_000, headers=reader).status_code == 413


def test_when_the_database_cannot_be_used_the_gate_says_so_and_nobody_learns_where_it_is(shop, store, tmp_path):
    client, reader, staff = shop
    token = new_pass(tmp_path)
    with closing(sqlite3.connect(store / "entry.sqlite", isolation_level=None)) as db:
        db.execute("DROP TABLE gate_readers")
    for headers in (reader, {"X-Api-Key": "wk_guess"}):
        answer = tap(client, headers, token)
        assert answer.status_code == 200
        assert answer.json() == {
            "open": False, "reason": "unavailable", "visit_id": None, "admits": 0,
            "display": "The gate cannot check passes now. Please ask staff.",
        }  # fmt: skip
    listed = client.get("/visits/open", headers=staff)
    assert listed.status_code == 503 and "sqlite" not in listed.text


def test_staff_see_who_came_in_without_a_pass_and_readers_do_not(shop, store, tmp_path):
    client, reader, staff = shop
    visit_id = tap(client, reader, new_pass(tmp_path)).json()["visit_id"]
    stranger = PersonWithoutPass(
        event_id="e", store_id="nanostore", at_ns=time.time_ns(), visit_id="v-x", gate_id="gate", track_id="t2",
        behind_visit_id=visit_id,
    )  # fmt: skip
    with open_desk(store) as (desk, _, _):
        desk.entries.follow([stranger], None, 1)
    assert client.get("/visits/without-pass", headers=reader).status_code == 403
    (alone,) = client.get("/visits/without-pass", headers=staff).json()
    assert (alone["entry_id"], alone["behind_visit_id"]) == ("v-x", visit_id)
    assert len(client.get("/visits/open", headers=staff).json()) == 2
    assert client.post("/visits/v-x/join", json={"shopper_id": "nobody"}, headers=staff).status_code == 404
    assert client.post("/visits/v-x/join", json={"shopper_id": "anna"}, headers=staff).status_code == 200


def test_cards_and_badges_from_the_command_line(shop, store):
    client, reader, staff = shop
    command("gate", "token", store, "badge", "staff-7", "badge-00000007")
    assert tap(client, reader, "badge-00000007", kind="badge").json()["display"] == "Welcome, colleague."
    tap(client, reader, "badge-00000008", kind="badge")
    (refusal,) = client.get("/gates/refusals", headers=staff).json()
    assert refusal["reason"] == "unknown-token" and "00000008" not in refusal["detail"]


def test_a_rotated_ring_is_followed_without_a_restart(shop, store, tmp_path):
    client, reader, _ = shop
    command("pass", "keys", "rotate", tmp_path / "ring.json", "--ahead-s", "0")
    token = new_pass(tmp_path)
    assert tap(client, reader, token).json()["reason"] == "unknown-key"
    command("pass", "keys", "public", tmp_path / "ring.json", store / "keys.json")
    assert tap(client, reader, token).json()["open"]


def test_a_broken_ring_shuts_no_gate(shop, store, tmp_path, caplog):
    client, reader, _ = shop
    (store / "keys.json").write_text("{")
    assert tap(client, reader, new_pass(tmp_path)).json()["open"]
    assert tap(client, reader, new_pass(tmp_path, "ben")).json()["open"]
    assert len([r for r in caplog.records if "keys.json" in r.getMessage()]) == 1
    command("pass", "keys", "rotate", tmp_path / "ring.json", "--ahead-s", "0")
    command("pass", "keys", "public", tmp_path / "ring.json", store / "keys.json")
    assert tap(client, reader, new_pass(tmp_path, "carl")).json()["open"]


def test_health(shop):
    client, _, _ = shop
    assert client.get("/readyz").status_code == client.get("/healthz").status_code == 200


def test_taps_are_counted_by_their_answer(shop, tmp_path):
    client, reader, _ = shop

    def counted(answer: str) -> float:
        name = f'walkout_gate_taps_total{{answer="{answer}",gate="gate"}}'
        lines = client.get("/metrics").text.splitlines()
        return sum(float(line.split()[-1]) for line in lines if line.startswith(name))

    before = counted("open"), counted("used")
    token = new_pass(tmp_path)
    for _ in range(3):
        tap(client, reader, token)
    assert (counted("open") - before[0], counted("used") - before[1]) == (1, 2)
