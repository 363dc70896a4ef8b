# SPDX-License-Identifier: AGPL-3.0-or-later
import logging
import multiprocessing
import sqlite3
import time

import pytest

from pipeline.errors import EventLogError
from pipeline.eventlog import open_log
from pipeline.eventlog.codec import DeadLetter, encode
from pipeline.messages import Candidate, ShelfEvent, TrackBound

TOPICS = ["walkout.visits", "walkout.shelf-events"]


def bound(number: int) -> TrackBound:
    return TrackBound(event_id=f"b{number}", store_id="shop", at_ns=number + 1, visit_id="v", track_id="t")


def shelf(number: int) -> ShelfEvent:
    one = (Candidate(value="1", probability=1),)
    return ShelfEvent(
        event_id=f"s{number}", store_id="shop", at_ns=number + 1, kind="pick", kind_probability=1, persons=one,
        products=one, quantities=one, gondola_id="g", slot_id=None, t0_ns=1, t1_ns=2,
    )  # fmt: skip


@pytest.fixture
def url(tmp_path):
    return f"sqlite:///{tmp_path}/deep/down/log.sqlite"


@pytest.fixture
def log(url):
    log = open_log(url)
    yield log
    log.close()


def ids(batch):
    return [r.event.event_id for r in batch.records]


def put_raw(log, body: bytes, topic="walkout.visits", key=b"shop") -> None:
    with sqlite3.connect(log.path) as db:
        db.execute("INSERT INTO records (topic, key, body) VALUES (?, ?, ?)", (topic, key, body))
    db.close()


def dead_letters(log) -> list[DeadLetter]:
    with sqlite3.connect(log.path) as db:
        rows = db.execute("SELECT body FROM records WHERE topic = 'walkout.dead-letter' ORDER BY position").fetchall()
    db.close()
    return [DeadLetter.model_validate_json(body) for (body,) in rows]


def test_topics_are_read_merged_in_the_order_of_writing(log):
    log.append([bound(0), shelf(1)])
    log.append([shelf(2), bound(3)])
    assert ids(log.read("g", TOPICS).poll(0)) == ["b0", "s1", "s2", "b3"]
    assert ids(log.read("g", TOPICS[:1]).poll(0)) == ["b0", "b3"]


def test_a_reader_goes_on_and_stops_at_the_batch_size(log):
    log.append([bound(i) for i in range(5)])
    reader = log.read("g", TOPICS)
    assert ids(reader.poll(0, max_records=2)) == ["b0", "b1"]
    log.append([shelf(5)])
    assert ids(reader.poll(0, max_records=10)) == ["b2", "b3", "b4", "s5"]
    assert reader.poll(0).records == ()


def test_groups_keep_their_own_place(log, url):
    log.append([bound(i) for i in range(4)])
    reader = log.read("a", TOPICS)
    batch = reader.poll(0, max_records=3)
    reader.commit(batch.positions)
    assert ids(log.read("a", TOPICS).poll(0)) == ["b3"]
    assert ids(log.read("b", TOPICS).poll(0)) == ["b0", "b1", "b2", "b3"]
    again = open_log(url)
    assert ids(again.read("a", TOPICS).poll(0)) == ["b3"]
    again.close()


def test_what_was_not_committed_is_read_again(log):
    log.append([bound(0), bound(1)])
    reader = log.read("g", TOPICS)
    reader.commit(reader.poll(0, max_records=1).positions)
    reader.poll(0)
    assert ids(log.read("g", TOPICS).poll(0)) == ["b1"]


def test_a_reader_can_keep_its_own_offsets(log):
    log.append([bound(0), bound(1), shelf(2), shelf(3)])
    positions = log.read("g", TOPICS).poll(0, max_records=3).positions
    assert ids(log.read("g", TOPICS, lambda places: positions).poll(0)) == ["s3"]


def test_ends_are_where_the_next_records_go(log):
    log.append([bound(0), shelf(1)])
    ends = log.ends(TOPICS)
    log.append([bound(2)])
    reader = log.read("g", TOPICS, lambda places: ends)
    assert ids(reader.poll(0)) == ["b2"]
    assert log.read("h", TOPICS).poll(0).positions == log.ends(TOPICS)


def test_garbage_goes_to_the_dead_letter_and_reading_goes_on(log):
    log.append([bound(0)])
    put_raw(log, b"\x00garbage")
    put_raw(log, encode(bound(1)).replace(b'"schema_version":2', b'"schema_version":3'))
    put_raw(log, b'{"schema_version": 1, "type": "unheard-of"}', key=None)
    log.append([bound(4)])
    reader = log.read("g", TOPICS)
    batch = reader.poll(0)
    assert ids(batch) == ["b0", "b4"]
    letters = dead_letters(log)
    assert [letter.reason.split(":")[0] for letter in letters] == [
        "not JSON", "schema_version 3 is newer than 2, which this walkout reads", "type",
    ]  # fmt: skip
    assert letters[0].body == b"\x00garbage"
    assert [(b.topic, b.partition, b.offset) for b in letters] == [("walkout.visits", 0, n) for n in (2, 3, 4)]
    assert letters[2].key_base64 is None


def test_a_batch_of_nothing_but_garbage_still_moves_on(log):
    put_raw(log, b"garbage")
    reader = log.read("g", TOPICS)
    batch = reader.poll(0)
    assert batch.records == () and batch.positions
    reader.commit(batch.positions)
    log.read("g", TOPICS).poll(0)
    assert len(dead_letters(log)) == 1


def _write(url, count):
    log = open_log(url)
    for i in range(count):
        log.append([bound(i)])
    log.close()


def test_another_process_reads_while_one_writes(log, url):
    writer = multiprocessing.get_context("spawn").Process(target=_write, args=(url, 60))
    writer.start()
    reader, seen = log.read("g", TOPICS), []
    deadline = time.monotonic() + 60
    while len(seen) < 60 and time.monotonic() < deadline:
        batch = reader.poll(0.5)
        seen += ids(batch)
        if batch.positions:
            reader.commit(batch.positions)  # readers write their offsets meanwhile
    writer.join()
    assert seen == [f"b{i}" for i in range(60)]


def test_nothing_of_an_append_that_fails_is_kept(log, monkeypatch):
    class Bad:
        type, store_id = "track-bound", "shop"

        def model_dump_json(self):
            raise RuntimeError

    with pytest.raises(RuntimeError):
        log.append([bound(0), Bad()])
    log.append([bound(1)])
    assert ids(log.read("g", TOPICS).poll(0)) == ["b1"]


def test_a_full_disk_is_one_line_and_the_log_goes_on_afterwards(log):
    log._db.execute(f"PRAGMA max_page_count = {log._db.execute('PRAGMA page_count').fetchone()[0]}")
    with pytest.raises(EventLogError, match=r"cannot write: database or disk is full"):
        log.append([bound(i) for i in range(1000)])
    log._db.execute("PRAGMA max_page_count = 100000")
    log.append([bound(1)])
    assert ids(log.read("g", TOPICS).poll(0)) == ["b1"]


def test_a_file_that_is_no_log_is_one_line(tmp_path):
    (tmp_path / "x.sqlite").write_bytes(b"not a database, but long enough to look at" * 10)
    with pytest.raises(EventLogError, match="not a database"):
        open_log(f"sqlite:///{tmp_path}/x.sqlite")
    with pytest.raises(EventLogError, match="cannot make its folder"):
        open_log(f"sqlite:///{tmp_path}/x.sqlite/below/log.sqlite")


@pytest.mark.parametrize(
    "url",
    [
        "", "log.sqlite", "sqlite://", "sqlite:///", "sqlite://log", "postgres://x", "kafka://", "kafka://host",
        "kafka://host:port", "kafka://a:1,b", "kafka://a:1?timeout=5", "kafka://a:1?timeout_s=soon",
        "kafka://a:1?timeout_s=0", "kafka://a:1?partitions=0",
    ],
)  # fmt: skip
def test_urls_that_name_no_log(url):
    with pytest.raises(EventLogError) as error:
        open_log(url)
    assert "\n" not in str(error.value)


def test_an_unreachable_broker_is_waited_for_said_once_and_given_up(caplog):
    pytest.importorskip("kafka")
    started = time.monotonic()
    with caplog.at_level(logging.WARNING), pytest.raises(EventLogError, match="could not be reached for 1 s") as error:
        open_log("kafka://127.0.0.1:9?timeout_s=1")
    assert 1 <= time.monotonic() - started < 10
    assert "\n" not in str(error.value)
    assert len([r for r in caplog.records if "cannot be reached" in r.message]) == 1
