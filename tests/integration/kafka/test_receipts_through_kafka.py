# SPDX-License-Identifier: AGPL-3.0-or-later
"""The same visits through the embedded log and through a real broker, killed on the way: the same receipts."""

import json
import random
import threading
import time

import pytest

from pipeline import runtime
from pipeline.cart.aggregator import TOPICS, Aggregator
from pipeline.eventlog import open_log
from tests.scripted_shop import stages, write_recording
from tests.unit.cart.events import BREAD, COLA, WATER, pick, put_back, small_catalogue, visit

pytestmark = pytest.mark.kafka


def many_visits(count=120, seed=5):
    """Visits with certain and doubtful picks and put-backs, interleaved, some events twice."""
    rng = random.Random(seed)
    streams = []
    for n in range(count):
        shelf = []
        for k in range(rng.randint(0, 6)):
            make = rng.choice([pick, pick, pick, put_back])
            best, other = rng.sample([COLA, BREAD, WATER], 2)
            p = rng.choice([0.55, 0.8, 0.99])
            shelf.append(
                make(
                    k + 1, {best: p, other: 1 - p}, person=f"t{n}", quantity=rng.choice([1, 1, 2]), event_id=f"e{n}-{k}"
                )
            )
        streams.append(visit(*shelf, track=f"t{n}", shopper=f"s{n}", visit_id=f"v{n}"))
    mixed = []
    while streams:
        stream = rng.choice(streams)
        mixed.append(stream.pop(0))
        if rng.random() < 0.05:
            mixed.append(rng.choice(mixed))
        if not stream:
            streams.remove(stream)
    return mixed


def receipts_of(aggregator):
    return {r.visit_id: r.model_dump_json() for r in aggregator.receipts()}


@pytest.fixture(scope="module")
def embedded_receipts(tmp_path_factory):
    folder = tmp_path_factory.mktemp("embedded")
    log = open_log(f"sqlite:///{folder}/log.sqlite")
    log.append(many_visits())
    aggregator = Aggregator(log, f"sqlite:///{folder}/state.sqlite", small_catalogue())
    aggregator.catch_up(log.ends(TOPICS))
    receipts = receipts_of(aggregator)
    aggregator.close()
    log.close()
    assert len(receipts) == 120
    return receipts


def published(log, group, ends):
    reader = log.read(group, ["walkout.receipts"])
    found, deadline = [], time.monotonic() + 30
    while time.monotonic() < deadline:
        batch = reader.poll(0.5)
        found += [r.event for r in batch.records]
        if all(batch.positions.get(place, 0) >= end for place, end in ends.items()):
            break
    reader.close()
    return found


def test_the_same_receipts_as_through_the_embedded_log(broker, tmp_path, embedded_receipts):
    log = open_log(f"kafka://{broker.address}?timeout_s=30")
    log.append(many_visits())
    aggregator = Aggregator(log, f"sqlite:///{tmp_path}/state.sqlite", small_catalogue())
    aggregator.catch_up(log.ends(TOPICS))
    assert receipts_of(aggregator) == embedded_receipts
    on_log = published(log, "receipt-reader", log.ends(["walkout.receipts"]))
    assert {r.visit_id: r.model_dump_json() for r in on_log} == embedded_receipts
    assert len(on_log) == len(embedded_receipts)
    aggregator.close()
    log.close()


def test_killing_the_broker_and_the_aggregator_in_the_middle_changes_no_receipt(broker, tmp_path, embedded_receipts):
    url = f"kafka://{broker.address}?timeout_s=60"
    state = f"sqlite:///{tmp_path}/state.sqlite"
    events = many_visits()
    writer_log, done = open_log(url), threading.Event()

    def write():
        for k in range(0, len(events), 10):
            writer_log.append(events[k : k + 10])
            time.sleep(0.02)
        done.set()

    writer = threading.Thread(target=write)
    writer.start()

    def killer():
        for _ in range(2):
            time.sleep(1.0)
            broker.kill()
            time.sleep(0.5)
            broker.start()

    assassin = threading.Thread(target=killer)
    assassin.start()
    log = open_log(url)
    aggregator = Aggregator(log, state, small_catalogue())
    seen, started = 0, time.monotonic()
    while not done.is_set() or seen < len(events) // 2:
        seen += aggregator.step(0.2, max_records=50)
        assert time.monotonic() - started < 90
    aggregator.close()  # a second life, from the state alone
    assassin.join()
    writer.join()
    aggregator = Aggregator(log, state, small_catalogue(), group="walkout-cart-reborn")
    aggregator.catch_up(log.ends(TOPICS))
    assert receipts_of(aggregator) == embedded_receipts
    on_log = published(log, "receipt-reader", log.ends(["walkout.receipts"]))
    assert {r.visit_id: r.model_dump_json() for r in on_log} == embedded_receipts
    aggregator.close()
    log.close()
    writer_log.close()


def test_a_whole_run_gives_the_same_files_through_kafka(broker, tmp_path):
    recording = write_recording(tmp_path / "recording")
    settings = {"video": False, "progress": False, "stages": stages()}
    runtime.run(recording, tmp_path / "embedded", **settings)
    url = f"kafka://{broker.address}?timeout_s=30"
    runtime.run(recording, tmp_path / "kafka", log_url=url, **settings)
    runtime.run(recording, tmp_path / "again", log_url=url, **settings)  # the log now holds the first run
    for name in ("receipts.json", "events.jsonl", "tracks.csv"):
        want = (tmp_path / "embedded" / name).read_bytes()
        assert (tmp_path / "kafka" / name).read_bytes() == want
        assert (tmp_path / "again" / name).read_bytes() == want
    assert len(json.loads((tmp_path / "kafka" / "receipts.json").read_text())["receipts"]) == 2


def test_the_broker_killed_in_the_middle_of_a_run(broker, tmp_path):
    recording = write_recording(tmp_path / "recording")
    settings = {"video": False, "progress": False}
    runtime.run(recording, tmp_path / "embedded", stages=stages(), **settings)
    threads = []

    def killing(shop):
        """Kill the broker when Anna has been seen to take something, and start it two seconds later."""
        made = stages()(shop)
        update = made.shelf.update

        def fatal(perceived):
            events = update(perceived)
            if events and not threads:
                broker.kill()
                threads.append(threading.Timer(2.0, broker.start))
                threads[0].start()
            return events

        made.shelf.update = fatal
        return made

    url = f"kafka://{broker.address}?timeout_s=60"
    runtime.run(recording, tmp_path / "kafka", log_url=url, stages=killing, **settings)
    threads[0].join()
    for name in ("receipts.json", "events.jsonl", "tracks.csv"):
        assert (tmp_path / "kafka" / name).read_bytes() == (tmp_path / "embedded" / name).read_bytes()
