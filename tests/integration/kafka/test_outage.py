# SPDX-License-Identifier: AGPL-3.0-or-later
"""A live shop whose real broker goes away: cameras go on, events wait on disk, and no bill is lost or made twice."""

import json
import re
import threading
import time
from collections import Counter

import pytest

from pipeline import journal, runtime
from pipeline.eventlog import open_log
from pipeline.eventlog.embedded import EmbeddedLog
from pipeline.messages import TOPIC_OF
from tests.live_shop import cameras, write_store
from tests.scripted_shop import stages
from tests.waiting import until

pytestmark = pytest.mark.kafka

_WINDOW_S = 0.05
_PATIENCE = "timeout_s=2"
"""An outage is longer than that: it used to end the shop."""


@pytest.fixture
def store(tmp_path):
    return write_store(tmp_path / "store")


@pytest.fixture
def undisturbed(tmp_path, monkeypatch):
    """What the same shop makes of the same visits on its embedded log."""
    twin = write_store(tmp_path / "twin")
    cameras(twin, monkeypatch, until_s=13)
    run(twin, tmp_path / "embedded")
    return bills(tmp_path / "embedded")


def run(store, out, log_url=None):
    return runtime.run(store, out, log_url=log_url, video=False, progress=False, stages=stages())


def bills(out):
    """receipts.json, payments.json and tracks.csv; the names of tracks begin with when a live run began."""
    said = [(out / name).read_text() for name in ("receipts.json", "payments.json", "tracks.csv")]
    return [re.sub(r"\b[0-9a-f]{11}-(t\d+)", r"\1", text) for text in said]


def on_the_log(address, topics):
    """Events on the broker by topic, each id with the bodies it was written with."""
    log = open_log(f"kafka://{address}?timeout_s=30")
    ends = log.ends(topics)
    reader, found, read = log.read(f"test-{time.monotonic_ns()}", topics), {}, {}
    deadline = time.monotonic() + 60
    while any(read.get(place, 0) < end for place, end in ends.items() if end):
        assert time.monotonic() < deadline
        batch = reader.poll(0.5)
        read.update(batch.positions)
        for record in batch.records:
            found.setdefault(record.event.event_id, []).append(record.body)
    reader.close()
    log.close()
    return found


def test_the_broker_is_away_in_mid_run_for_longer_than_it_is_waited_for(
    broker, store, undisturbed, tmp_path, monkeypatch, caplog
):
    spool = store / journal.SPOOL_FILE
    gaps, before, waited, back = [], [0.0], [], []

    def look(at_s):
        now = time.monotonic()
        if before[0]:
            gaps.append(now - before[0])
        if at_s == 3.0:  # both are inside
            broker.kill()
        if at_s == 10.9:
            until(lambda: "events wait in" in caplog.text)
            waited.append(EmbeddedLog(spool).waiting("sent-on"))
        if at_s == 11.0:
            back.append(threading.Thread(target=broker.start))
            back[0].start()
        if at_s == 12.9:
            until(lambda: EmbeddedLog(spool).waiting("sent-on") == 0)
        time.sleep(_WINDOW_S)
        before[0] = time.monotonic()

    cameras(store, monkeypatch, until_s=13, look=look)
    summary = run(store, tmp_path / "kafka", f"kafka://{broker.address}?{_PATIENCE}")
    back[0].join()

    assert max(gaps) < 1.9, "a window waited for the broker"
    assert waited[0] > 0 and summary.receipts == 2
    assert bills(tmp_path / "kafka") == undisturbed
    assert "cannot be reached" in caplog.text and "is back" in caplog.text

    said = [json.loads(line) for line in (tmp_path / "kafka" / "events.jsonl").read_text().splitlines()]
    found = on_the_log(broker.address, sorted({TOPIC_OF[e["type"]] for e in said}))
    assert Counter(found.keys()) == Counter(e["event_id"] for e in said)  # nothing lost, nothing of nobody
    assert all(len(set(bodies)) == 1 for bodies in found.values())
    receipts = on_the_log(broker.address, ["walkout.receipts"])
    assert len(receipts) == 2 and all(len(set(bodies)) == 1 for bodies in receipts.values())


def test_a_shop_opens_and_closes_without_its_broker(broker, store, undisturbed, tmp_path, monkeypatch, caplog):
    """Its visits are billed when it is started again."""
    broker.kill()
    url = f"kafka://{broker.address}?{_PATIENCE}"
    cameras(store, monkeypatch, until_s=13, look=lambda _at_s: time.sleep(_WINDOW_S))
    assert run(store, tmp_path / "kafka", url).receipts == 0
    assert "are sent at the next start" in caplog.text

    broker.start()
    cameras(store, monkeypatch, until_s=1, taps=[])
    assert run(store, tmp_path / "kafka", url).receipts == 2
    assert bills(tmp_path / "kafka")[:2] == undisturbed[:2]
