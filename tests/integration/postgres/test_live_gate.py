# SPDX-License-Identifier: AGPL-3.0-or-later
"""A live store whose database is on another machine, which goes away while people are in the shop."""

import itertools
import json
import logging
import time
import urllib.error
import urllib.request

from pipeline import runtime
from pipeline.gate.entries import Entries
from pipeline.operations.floor_feed import segments
from pipeline.state import Database
from pipeline.web.serving import free_port
from tests.live_shop import cameras
from tests.scripted_shop import ANNA, BEN, stages
from tests.unit.test_runtime_live import shoppers, store

__all__ = ["store"]


def test_the_shop_goes_on_without_its_database_and_tells_it_everything_afterwards(
    postgres, store, tmp_path, monkeypatch, caplog
):
    url = postgres.create("gate")
    database = Database(url, migrated=False)
    database.migrate("head")
    database.close()
    (store / "entry.yaml").write_text(f"state_url: {url}\n")
    looked, port = [], free_port("127.0.0.1", 18300)

    def asked(path):
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    def look(at_s):
        if at_s == round(ANNA.leaves_s - 2.0, 1):
            assert asked("/readyz") == (200, '{"status": "ok"}')
            postgres.kill()
        if at_s == round(BEN.leaves_s + 1.0, 1):  # both have left without it
            assert shoppers(tmp_path / "out") == []  # bills wait for it, and that is told
            status, told = asked("/readyz")
            assert status == 503 and {"bills", "payments"} == json.loads(told)["problems"].keys()
            assert "walkout_state_reachable 0.0" in asked("/metrics")[1] and asked("/healthz")[0] == 200
            postgres.start()
            time.sleep(0.6)  # the next attempt
        looked.append(time.monotonic())

    cameras(store, monkeypatch, until_s=13, look=look)
    with caplog.at_level(logging.WARNING):
        runtime.run(store, tmp_path / "out", video=False, progress=False, stages=stages(), port=port)
    slowest = sorted(b - a for a, b in itertools.pairwise(looked))
    assert slowest[-2] < 2.0 and len(looked) == 130  # the slowest of all is the server's own start
    assert shoppers(tmp_path / "out") == ["anna", "ben"]
    for work in ("bills", "payments"):
        assert f"{work}: waiting for the event log or the database" in caplog.text and f"{work}: goes on" in caplog.text
    floor = "".join(file.read_text() for file in segments(store / "floor"))
    assert '"b":1}' in floor and '"b":1}' not in floor[-100:]
    said = [json.loads(line) for line in (tmp_path / "out" / "events.jsonl").read_text().splitlines()]
    assert sum(e["type"] == "visit-closed" for e in said) == 2
    database = Database(url)
    entries = Entries(database, "tiny")
    assert entries.open_now() == [] and entries.snapshot() is not None
    assert json.loads(entries.snapshot())["gate"]["visits"] == []
    database.close()
