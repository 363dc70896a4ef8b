# SPDX-License-Identifier: AGPL-3.0-or-later
"""Work beside a live shop's cameras, and outages of what it works on."""

import logging
import threading
import time

import pytest

from pipeline import beside
from pipeline.beside import Beside
from pipeline.errors import EventLogError, WalkoutError
from tests.waiting import until


class Shop:
    """What an outage does to the work: it cannot be opened while the log is away."""

    def __init__(self):
        self.away, self.opened, self.steps, self.finished = threading.Event(), 0, 0, 0

    def __call__(self, _log, _database):
        self._answer()
        self.opened += 1
        return self

    def _answer(self):
        if self.away.is_set():
            raise EventLogError("nobody answers")

    def step(self, _timeout_s):
        self._answer()
        self.steps += 1
        time.sleep(0.01)
        return False

    def finish(self, _timeout_s):
        self._answer()
        self.finished += 1

    def close(self):
        pass


@pytest.fixture
def shop():
    return Shop()


@pytest.fixture
def work(shop, tmp_path):
    work = Beside("bills", f"sqlite:///{tmp_path}/log.sqlite", f"sqlite:///{tmp_path}/state.sqlite", shop)
    yield work
    work.close()


def test_an_end_in_the_pause_after_an_outage_still_does_everything(shop, work, monkeypatch):
    monkeypatch.setattr(beside, "_AGAIN_S", 30.0)  # nobody would look again before the end
    shop.away.set()
    until(lambda: work._said)
    shop.away.clear()
    work.finish(10.0)
    assert shop.finished == 1 and shop.opened == 2


def test_an_end_while_the_log_comes_back_waits_for_it(shop, work):
    shop.away.set()
    threading.Timer(0.5, shop.away.clear).start()
    work.finish(10.0)
    assert shop.finished == 1


def test_an_outage_that_outlasts_the_end_is_said_and_leaves_the_rest(shop, work, caplog):
    shop.away.set()
    with caplog.at_level(logging.WARNING):
        work.finish(0.5)
    assert shop.finished == 0
    assert "the rest is left for the next start" in caplog.text


def test_a_close_after_an_outage_does_not_finish(shop, work):
    shop.away.set()
    until(lambda: work._said)
    shop.away.clear()
    work.close()
    assert shop.finished == 0


def test_a_fault_of_ours_stops_the_shop(shop, work, monkeypatch):
    def broken(_timeout_s):
        raise KeyError("t1")

    monkeypatch.setattr(shop, "step", broken)
    with pytest.raises(WalkoutError, match="bills: stopped: KeyError"):
        until(lambda: work.step())
