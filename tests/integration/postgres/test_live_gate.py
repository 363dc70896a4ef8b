# SPDX-License-Identifier: AGPL-3.0-or-later
"""A live store whose database is on another machine, which goes away while people are in the shop."""

import itertools
import json
import time

from pipeline import runtime
from pipeline.gate.entries import Entries
from pipeline.state import Database
from tests.live_shop import cameras
from tests.scripted_shop import ANNA, BEN, stages
from tests.unit.test_runtime_live import shoppers, store

__all__ = ["store"]


def test_the_shop_goes_on_without_its_database_and_tells_it_everything_afterwards(
    postgres, store, tmp_path, monkeypatch
):
    url = postgres.create("gate")
    database = Database(url, migrated=False)
    database.migrate("head")
    database.close()
    (store / "entry.yaml").write_text(f"state_url: {url}\n")
    looked = []

    def look(at_s):
        if at_s == round(ANNA.leaves_s - 2.0, 1):
            postgres.kill()
        if at_s == round(BEN.leaves_s + 1.0, 1):  # both have left without it
            assert shoppers(tmp_path / "out") == []  # bills wait for it
            postgres.start()
            time.sleep(0.6)  # the next attempt
        looked.append(time.monotonic())

    cameras(store, monkeypatch, until_s=13, look=look)
    runtime.run(store, tmp_path / "out", video=False, progress=False, stages=stages())
    slowest = sorted(b - a for a, b in itertools.pairwise(looked))
    assert slowest[-2] < 2.0 and len(looked) == 130  # the slowest of all is the server's own start
    assert shoppers(tmp_path / "out") == ["anna", "ben"]
    said = [json.loads(line) for line in (tmp_path / "out" / "events.jsonl").read_text().splitlines()]
    assert sum(e["type"] == "visit-closed" for e in said) == 2
    database = Database(url)
    entries = Entries(database, "tiny")
    assert entries.open_now() == [] and entries.snapshot() is not None
    assert json.loads(entries.snapshot())["gate"]["visits"] == []
    database.close()
