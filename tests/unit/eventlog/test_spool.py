# SPDX-License-Identifier: AGPL-3.0-or-later
"""What a shop says is safe on its own disk and reaches the log behind it, whatever happens to that."""

import contextlib
import threading
import time

import pytest

from pipeline.errors import EventLogError
from pipeline.eventlog.embedded import EmbeddedLog
from pipeline.eventlog.spool import SpooledLog
from pipeline.observe import metrics
from tests.unit.cart.events import COLA, pick
from tests.waiting import until

TOPIC = "walkout.shelf-events"


def events(*numbers):
    return [pick(n + 1, {COLA: 0.99}, event_id=f"e{n}") for n in numbers]


class Behind:
    """A log in a file which can be away: then it can neither be opened nor written."""

    def __init__(self, path):
        self.log, self.here, self.fails_after_writing = EmbeddedLog(path), threading.Event(), False

    def open(self):
        self._need()
        return self

    def append(self, events):
        self._need()
        self.log.append(events)
        if self.fails_after_writing:
            self.fails_after_writing = False
            raise EventLogError("no answer")

    def close(self):
        pass

    def _need(self):
        if not self.here.is_set():
            raise EventLogError("the log behind is away")

    def ids(self):
        reader = self.log.read(f"test-{time.monotonic_ns()}", [TOPIC])
        found = []
        while records := reader.poll(0).records:
            found += [r.event.event_id for r in records]
        return found


@pytest.fixture
def behind(tmp_path):
    behind = Behind(tmp_path / "behind.sqlite")
    yield behind
    behind.log.close()


@contextlib.contextmanager
def spooled(tmp_path, behind):
    log = SpooledLog(tmp_path / "spool.sqlite", behind.open)
    try:
        yield log
    finally:
        log.close()


def test_everything_arrives_in_order(tmp_path, behind):
    behind.here.set()
    with spooled(tmp_path, behind) as log:
        for n in range(0, 1200, 3):
            log.append(events(n, n + 1, n + 2))
        assert log.flush(20) and log.waiting() == 0 and not log.away
    assert behind.ids() == [f"e{n}" for n in range(1200)]


def test_while_the_log_behind_is_away_nobody_waits_and_then_everything_is_sent(tmp_path, behind, caplog):
    with spooled(tmp_path, behind) as log:
        start = time.monotonic()
        for n in range(50):
            log.append(events(n))
        assert time.monotonic() - start < 5
        until(lambda: "events wait in" in caplog.text)
        until(lambda: log.away)
        log.append(events(50))
        assert metrics.SPOOLED._value.get() == 51 == log.waiting()
        assert not log.flush(0.1) and behind.ids() == []
        behind.here.set()
        until(lambda: log.waiting() == 0)
        until(lambda: not log.away)
        assert caplog.text.count("events wait in") == 1 and "is back" in caplog.text
    assert behind.ids() == [f"e{n}" for n in range(51)]
    assert metrics.SPOOLED._value.get() == 0


def test_what_waits_when_the_process_ends_is_sent_by_the_next_one_first(tmp_path, behind):
    with spooled(tmp_path, behind) as log:
        log.append(events(0, 1))
    behind.here.set()
    with spooled(tmp_path, behind) as log:
        log.append(events(2))
        assert log.flush(20)
    assert behind.ids() == ["e0", "e1", "e2"]


def test_what_may_have_been_written_is_sent_again_with_the_same_ids(tmp_path, behind):
    behind.here.set()
    behind.fails_after_writing = True
    with spooled(tmp_path, behind) as log:
        log.append(events(0))
        until(lambda: log.waiting() == 0)
    assert behind.ids() == ["e0", "e0"]


def test_what_was_sent_is_kept_for_a_while_and_what_waits_for_ever(tmp_path, behind):
    behind.here.set()
    with spooled(tmp_path, behind) as log:
        log.append(events(*range(30)))
        until(lambda: log.waiting() == 0)
    behind.here.clear()
    with spooled(tmp_path, behind) as log:
        log.append(events(*range(30, 40)))
    here = EmbeddedLog(tmp_path / "spool.sqlite")
    assert here.drop_read("sent-on", keep=25) == 15 and here.waiting("sent-on") == 10
    assert here.drop_read("sent-on", keep=0) == 15 and here.waiting("sent-on") == 10
    here.close()
