# SPDX-License-Identifier: AGPL-3.0-or-later
"""What the aggregator makes of events that should not be: the same in whatever batches they are read."""

import logging
import time

import pytest

from pipeline.cart.aggregator import Aggregator
from pipeline.cart.price_book import PriceBook
from pipeline.eventlog import open_log
from pipeline.messages import VisitClosed, VisitOpened
from tests.unit.cart.events import BREAD, COLA, T0, S, pick, visit

BATCHES = pytest.mark.parametrize("max_records", [1, 3, 500])


@pytest.fixture
def settle(tmp_path, catalogue):
    """Receipts by visit after the aggregator has read these events, so many at a time."""

    def settle(events, max_records, clock=None):
        log = open_log(f"sqlite:///{tmp_path}/log.sqlite")
        log.append(events)
        given = {} if clock is None else {"clock": clock, "patience_s": 60}
        aggregator = Aggregator(log, f"sqlite:///{tmp_path}/state.sqlite", catalogue, timer_s=0, **given)
        while aggregator.step(0, max_records):
            pass
        receipts = aggregator.receipts()
        aggregator.close()
        log.close()
        assert len({r.visit_id for r in receipts}) == len(receipts)
        return {r.visit_id: r for r in receipts}

    return settle


def closing(event_id, at_s, event_ids=(), visit_id="v1") -> VisitClosed:
    return VisitClosed(
        event_id=event_id, store_id="shop", at_ns=T0 + at_s * S, visit_id=visit_id, gate_id="gate", event_ids=event_ids
    )


@BATCHES
def test_of_two_exits_the_first_in_the_log_counts(settle, max_records, caplog):
    """The second one is earlier by the clock and names less, and must not take part, whichever batch it is in."""
    events = visit(pick(1), pick(2, BREAD), until_s=100)
    with caplog.at_level(logging.WARNING):
        receipt = settle([*events, closing("again", 50, ("v1-open", "v1-bound"))], max_records)["v1"]
    assert {line.gtin for line in receipt.lines} == {COLA, BREAD}
    assert receipt.left_at_ns == T0 + 100 * S
    assert [r.fields["event_id"] for r in caplog.records if "second exit" in r.getMessage()] == ["again"]


@BATCHES
def test_an_entry_that_comes_after_the_exit_that_does_not_name_it(settle, max_records):
    opened = VisitOpened(event_id="late", store_id="shop", at_ns=T0, visit_id="v7", gate_id="gate", shopper_id="anna")
    receipts = settle([closing("exit", 10, visit_id="v7"), closing("other", 10, visit_id="v8"), opened], max_records)
    assert set(receipts) == {"v7"} and receipts["v7"].total_minor == 0


@BATCHES
@pytest.mark.parametrize("quantity", ["-3", "100000", "many", "0", ""])
def test_an_absurd_quantity_is_held_and_stops_nobody_else(settle, max_records, quantity):
    odd = visit(pick(1, quantity=quantity))
    fine = visit(pick(1, person="t2", event_id="fine"), track="t2", visit_id="v2", shopper="ben")
    receipts = settle([*odd, *fine], max_records)
    assert receipts["v1"].held_for_review and receipts["v1"].total_minor == 0
    assert receipts["v2"].total_minor == 149 and not receipts["v2"].held_for_review


@BATCHES
def test_an_unknown_product_is_held(settle, max_records):
    receipt = settle(visit(pick(1, "9999999999994"), pick(2)), max_records)["v1"]
    assert receipt.total_minor == 149
    assert [(line.status, line.gtin) for line in receipt.lines if line.status == "held"] == [("held", "9999999999994")]


@BATCHES
def test_a_store_clock_that_jumps_back_an_hour_loses_no_goods(settle, max_records):
    """The exit lies before the entry by that clock: what was taken is held for a person to look at, not dropped."""
    receipt = settle(visit(pick(1), pick(2, BREAD), until_s=-3600 + 100), max_records)["v1"]
    assert receipt.held_for_review
    assert {line.gtin for line in receipt.lines} == {COLA, BREAD}


def test_waiting_for_a_lost_event_is_bounded_even_if_the_clock_jumps_back_an_hour(tmp_path, catalogue):
    now = 10_000.0
    log = open_log(f"sqlite:///{tmp_path}/log.sqlite")
    log.append([e for e in visit(pick(1), pick(2)) if e.event_id != "pick-2"])
    aggregator = Aggregator(
        log, f"sqlite:///{tmp_path}/state.sqlite", catalogue, timer_s=0, patience_s=60, clock=lambda: now
    )
    aggregator.step(0)
    now -= 3600
    aggregator.step(0)
    assert aggregator.receipts() == []
    now += 61
    aggregator.step(0)
    assert len(aggregator.receipts()) == 1
    aggregator.close()
    log.close()


@BATCHES
def test_what_had_no_price_when_it_was_taken_is_held_and_the_rest_billed(tmp_path, catalogue, max_records):
    """The price list names the bread from a later day on only."""
    (tmp_path / "prices.yaml").write_text(
        f'currency: EUR\nprices: [{{gtin: "{BREAD}", price_minor: 120, from: 2030-01-01}}]\n'
    )
    log = open_log(f"sqlite:///{tmp_path}/log.sqlite")
    log.append(visit(pick(1), pick(2, BREAD)))
    prices = PriceBook.load(tmp_path, catalogue)
    aggregator = Aggregator(log, f"sqlite:///{tmp_path}/state.sqlite", prices, timer_s=0)
    while aggregator.step(0, max_records):
        pass
    (receipt,) = aggregator.receipts()
    assert receipt.total_minor == 149 and receipt.held_for_review
    (held,) = [line for line in receipt.lines if line.status == "held"]
    assert (held.gtin, held.total_minor) == (BREAD, 0) and "no price" in held.reason
    aggregator.close()
    log.close()


@pytest.fixture
def waiting(tmp_path, catalogue):
    """An aggregator whose clock is `waiting.now`, and an exit that waits for an event."""

    class Waiting:
        now = 10_000.0
        log = open_log(f"sqlite:///{tmp_path}/log.sqlite")
        given = visit(pick(1), pick(2))

        def start(self):
            return Aggregator(
                self.log, f"sqlite:///{tmp_path}/state.sqlite", catalogue, timer_s=0, patience_s=60,
                clock=lambda: self.now,
            )  # fmt: skip

    waiting = Waiting()
    waiting.log.append([e for e in waiting.given if e.event_id != "pick-2"])
    waiting.one = waiting.start()
    waiting.one.step(0)
    yield waiting
    waiting.one.close()
    waiting.log.close()


def test_after_a_restart_an_exit_waits_anew_for_what_may_lie_in_the_log(waiting):
    """The process was away for an hour, and so is what it would have read."""
    waiting.now += 3600
    again = waiting.start()
    again.step(0, max_records=1)
    assert again.receipts() == []
    waiting.log.append([e for e in waiting.given if e.event_id == "pick-2"])
    again.step(0)
    (receipt,) = again.receipts()
    assert not receipt.held_for_review and receipt.total_minor == 2 * 149
    again.close()


@pytest.mark.parametrize("interruption", ["log away", "much to read", "paused"])
def test_time_in_which_the_log_was_not_read_to_its_end_does_not_count(waiting, monkeypatch, interruption):
    moment = [time.monotonic()]
    monkeypatch.setattr(time, "monotonic", lambda: moment[0])
    reader = waiting.one.member._reader
    for _ in range(100):
        waiting.now += 1
        moment[0] += 1
        if interruption == "log away":
            monkeypatch.setattr(type(reader), "reachable", False)
        if interruption == "much to read":
            waiting.log.append([pick(7, person="nobody", event_id=f"more-{moment[0]}")])
        if interruption != "paused":
            waiting.one.step(0, max_records=1)
    assert waiting.one.receipts() == []
    monkeypatch.setattr(type(reader), "reachable", True)
    for seconds in range(70):
        waiting.one.step(0)
        assert len(waiting.one.receipts()) == (seconds >= 60), seconds
        waiting.now += 1
        moment[0] += 1
    assert waiting.one.receipts()[0].held_for_review
