# SPDX-License-Identifier: AGPL-3.0-or-later
"""The event log on a real broker."""

import itertools
import logging
import time
import uuid

import pytest

from pipeline.errors import EventLogError
from pipeline.eventlog import open_log
from pipeline.eventlog.codec import DeadLetter, encode
from pipeline.messages import SCHEMA_VERSION, Candidate, ShelfEvent, TrackBound

pytestmark = pytest.mark.kafka

TOPICS = ["walkout.visits", "walkout.shelf-events"]


def bound(event_id, store="shop") -> TrackBound:
    return TrackBound(event_id=str(event_id), store_id=store, at_ns=1, visit_id="v", track_id="t")


def shelf(event_id, store="shop") -> ShelfEvent:
    one = (Candidate(value="1", probability=1),)
    return ShelfEvent(
        event_id=str(event_id), store_id=store, at_ns=1, kind="pick", kind_probability=1, persons=one, products=one,
        quantities=one, gondola_id="g", slot_id=None, t0_ns=1, t1_ns=2,
    )  # fmt: skip


@pytest.fixture
def log(shared_broker):
    log = open_log(f"kafka://{shared_broker.address}?timeout_s=30")
    yield log
    log.close()


@pytest.fixture
def group():
    return f"group-{uuid.uuid4()}"


def read_until(reader, wanted, timeout_s=30):
    """Records until `wanted` event ids have all been seen (or the time is over)."""
    left, records = set(map(str, wanted)), []
    deadline = time.monotonic() + timeout_s
    while left and time.monotonic() < deadline:
        batch = reader.poll(0.5)
        records += batch.records
        left -= {r.event.event_id for r in batch.records}
    assert not left, f"never came: {sorted(left)[:5]}"
    return records


def from_here(log):
    """The place where this test begins: the broker is shared."""
    ends = log.ends([*TOPICS, "walkout.receipts", "walkout.dead-letter"])
    return lambda places: ends


def test_what_is_appended_is_read_in_order_with_positions(log, group):
    reader = log.read(group, TOPICS, from_here(log))
    log.append([bound(f"{group}-{i}") for i in range(500)])
    records = read_until(reader, [f"{group}-{i}" for i in range(500)])
    reader.close()
    assert [r.event.event_id for r in records] == [f"{group}-{i}" for i in range(500)]
    offsets = [r.offset for r in records]
    assert offsets == list(range(offsets[0], offsets[0] + 500))
    assert log.ends(["walkout.visits"])["walkout.visits", 0] == offsets[-1] + 1


def test_a_join_that_was_begun_and_forgotten_is_ended(log, group):
    # What kafka-python leaves behind when the topics' partitions change and change back while it joins again.
    reader = log.read(group, TOPICS, from_here(log))
    log.append([bound(f"{group}-before")])
    read_until(reader, [f"{group}-before"])
    consumer = reader._consumer
    consumer._subscription.mark_pending_revocation(consumer.assignment())
    consumer._coordinator._disable_heartbeat()
    consumer._coordinator.rejoining = True
    assert not consumer._coordinator.need_rejoin()
    log.append([bound(f"{group}-after")])
    read_until(reader, [f"{group}-after"])
    reader.close()


def test_a_group_goes_on_where_it_committed(log, group):
    start = from_here(log)
    ids = [f"{group}-{i}" for i in range(10)]
    log.append([bound(i) for i in ids])
    reader = log.read(group, TOPICS, start)
    first = []
    while len(first) < 4:
        batch = reader.poll(1, max_records=4 - len(first))
        first += [r.event.event_id for r in batch.records]
        if batch.positions:
            reader.commit(batch.positions)
    reader.close()
    again = log.read(group, TOPICS)
    rest = [r.event.event_id for r in read_until(again, ids[4:])]
    again.close()
    assert first + rest == ids


def test_cloudevents_attributes_are_headers_and_the_store_is_the_key(log, shared_broker, group):
    from kafka import KafkaConsumer

    log.append([shelf(group, store="shop-7")])
    consumer = KafkaConsumer(
        "walkout.shelf-events", bootstrap_servers=shared_broker.address, auto_offset_reset="earliest",
        consumer_timeout_ms=10_000,
    )  # fmt: skip
    record = next(r for r in consumer if dict(r.headers)["ce_id"] == group.encode())
    consumer.close()
    assert record.key == b"shop-7"
    headers = dict(record.headers)
    assert headers["ce_specversion"] == b"1.0"
    assert headers["ce_type"] == f"walkout.shelf-event.v{SCHEMA_VERSION}".encode()
    assert record.value == encode(shelf(group, store="shop-7"))


def test_garbage_and_newer_schemas_go_to_the_dead_letter(log, shared_broker, group):
    from kafka import KafkaConsumer, KafkaProducer

    reader = log.read(group, TOPICS, from_here(log))
    dead_from = log.ends(["walkout.dead-letter"])["walkout.dead-letter", 0]
    bodies = [
        b"\x00\xffgarbage",
        encode(bound("newer")).replace(b'"schema_version":2', b'"schema_version":7'),
        encode(bound("unknown")).replace(b"track-bound", b"track-eaten"),
        None,  # a tombstone
    ]
    producer = KafkaProducer(bootstrap_servers=shared_broker.address)
    sent = [producer.send("walkout.visits", key=b"shop", value=body).get(10) for body in bodies]
    producer.close()
    log.append([bound(f"{group}-after")])
    records = read_until(reader, [f"{group}-after"])
    reader.close()
    assert [r.event.event_id for r in records] == [f"{group}-after"]

    consumer = KafkaConsumer(
        "walkout.dead-letter", bootstrap_servers=shared_broker.address, auto_offset_reset="earliest",
        consumer_timeout_ms=10_000,
    )  # fmt: skip
    found = (r for r in consumer if r.offset >= dead_from)
    letters = [DeadLetter.model_validate_json(r.value) for r in itertools.islice(found, len(bodies))]
    consumer.close()
    assert [letter.body for letter in letters] == [body or b"" for body in bodies]
    assert [(b.topic, b.partition, b.offset) for b in letters] == [(m.topic, m.partition, m.offset) for m in sent]
    assert ["not JSON" in letters[0].reason, "newer" in letters[1].reason, "track-eaten" in letters[2].reason] == [
        True
    ] * 3


def test_all_topics_of_a_store_go_to_one_member(kafka_tools, broker):
    """Twelve partitions, two members: each store's visits and shelf events are read by the same one."""
    log = open_log(f"kafka://{broker.address}?partitions=12&timeout_s=30")
    members = [log.read("chain", TOPICS) for _ in range(2)]
    stores = [f"store-{i}" for i in range(40)]
    log.append([make(f"{make.__name__}-{s}", store=s) for s in stores for make in (bound, shelf)])
    seen = [{}, {}]
    deadline = time.monotonic() + 40
    while sum(len(topics) for m in seen for topics in m.values()) < 80 and time.monotonic() < deadline:
        for member, by_store in zip(members, seen, strict=True):
            for record in member.poll(0.2).records:
                by_store.setdefault(record.event.store_id, set()).add(record.topic)
    for member in members:
        member.close()
    log.close()
    # A rebalance may give records of the first assignment again, to the other member; each still has whole stores.
    for by_store in seen:
        assert all(topics == set(TOPICS) for topics in by_store.values())
    assert {s for m in seen for s in m} == set(stores)


def test_a_killed_broker_is_waited_for_by_writer_and_reader(broker, caplog):
    log = open_log(f"kafka://{broker.address}?timeout_s=60")
    reader = log.read("g", TOPICS)
    log.append([bound(i) for i in range(50)])
    read_until(reader, range(50))
    broker.kill()
    import threading

    with caplog.at_level(logging.WARNING):
        writer = threading.Thread(target=log.append, args=([bound(i) for i in range(50, 100)],))
        writer.start()
        quiet_until = time.monotonic() + 5
        while time.monotonic() < quiet_until:
            assert reader.poll(0.5).records == ()
        assert writer.is_alive()
        broker.start()
        records = read_until(reader, range(50, 100), timeout_s=60)
        writer.join(60)
        assert not writer.is_alive()
    assert [r.event.event_id for r in records] == [str(i) for i in range(50, 100)]  # once each, in order
    said = [r.message for r in caplog.records if "cannot be reached" in r.message]
    assert 1 <= len(said) <= 2  # once by the writer, once by the reader
    reader.close()
    log.close()


def test_a_broker_that_stays_away_is_one_line(broker):
    log = open_log(f"kafka://{broker.address}?timeout_s=3")
    reader = log.read("g", TOPICS)
    log.append([bound(1)])
    read_until(reader, [1])
    broker.kill()
    with pytest.raises(EventLogError, match=broker.address) as error:
        log.append([bound(2)])
    assert "\n" not in str(error.value)
    with pytest.raises(EventLogError, match="could not be reached for 3 s"):
        for _ in range(40):
            reader.poll(0.5)
    started = time.monotonic()
    reader.close()
    log.close()
    assert time.monotonic() - started < 15
