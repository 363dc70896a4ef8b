# SPDX-License-Identifier: AGPL-3.0-or-later
"""The aggregator on the embedded log: any interleaving, any crash, one receipt."""

import itertools
import random
import shutil

import pytest

from pipeline.cart.aggregator import TOPICS, Aggregator
from pipeline.cart.fold import CartState, fold
from pipeline.cart.receipts import receipt_of
from pipeline.cart.rules import BillingRules
from pipeline.cart.settling import Settling
from pipeline.errors import StateError
from pipeline.eventlog import open_log
from pipeline.eventlog.embedded import EmbeddedLog, EmbeddedReader
from pipeline.messages import TOPIC_OF, VisitClosed
from pipeline.state import Database
from pipeline.state.member import GroupMember
from tests.unit.cart.events import BREAD, COLA, T0, pick, put_back, visit

ANNA = visit(pick(1), pick(2, BREAD), put_back(3), pick(50, COLA))
BEN = visit(pick(4, person="t2", event_id="ben-1"), track="t2", shopper="ben", visit_id="v2", until_s=60)


@pytest.fixture
def log(tmp_path):
    log = open_log(f"sqlite:///{tmp_path}/log.sqlite")
    yield log
    log.close()


@pytest.fixture
def make(tmp_path, log, catalogue):
    made = []

    def make(**kwargs):
        made.append(Aggregator(log, f"sqlite:///{tmp_path}/state.sqlite", catalogue, **kwargs))
        return made[-1]

    yield make
    for aggregator in made:
        aggregator.close()


def expected(events, visit_id, catalogue):
    return receipt_of(fold(CartState(), *events), visit_id, catalogue, BillingRules())


def published(log):
    reader, found = log.read("test-reader", ["walkout.receipts"]), []
    while records := reader.poll(0).records:
        found += [r.event for r in records]
    return found


def test_one_receipt_a_closed_visit(log, make, catalogue):
    log.append([*ANNA, *BEN])
    aggregator = make()
    aggregator.catch_up(log.ends(TOPICS))
    want = [expected(ANNA, "v1", catalogue), expected(BEN, "v2", catalogue)]
    assert sorted(aggregator.receipts(), key=lambda r: r.visit_id) == want
    assert sorted(published(log), key=lambda r: r.visit_id) == want


@pytest.mark.parametrize("first", ["walkout.visits", "walkout.shelf-events"])
def test_one_topic_read_far_ahead_of_the_other(log, make, catalogue, first):
    """As after an outage: all of one topic, closings included, before anything of the other."""
    events = [*ANNA, *BEN]
    aggregator = make()
    log.append([e for e in events if TOPIC_OF[e.type] == first])
    while aggregator.step(0):
        pass
    assert aggregator.receipts() == []
    log.append([e for e in events if TOPIC_OF[e.type] != first])
    while aggregator.step(0):
        pass
    assert {r.visit_id: r for r in aggregator.receipts()} == {
        "v1": expected(ANNA, "v1", catalogue), "v2": expected(BEN, "v2", catalogue),
    }  # fmt: skip


@pytest.mark.parametrize("seed", range(4))
def test_any_interleaving_and_repetition_gives_the_same_receipts(log, make, catalogue, seed):
    mixed = [*ANNA, *BEN, *random.Random(seed).choices([*ANNA, *BEN], k=6)]
    random.Random(seed).shuffle(mixed)
    aggregator = make()
    for event in mixed:
        log.append([event])
        aggregator.step(0, max_records=1)
    while aggregator.step(0):
        pass
    want = [expected(ANNA, "v1", catalogue), expected(BEN, "v2", catalogue)]
    assert sorted(published(log), key=lambda r: r.visit_id) == want


class Crash(Exception):
    pass


@pytest.mark.slow
def test_a_crash_at_any_point_repeats_and_loses_nothing(tmp_path, catalogue, monkeypatch):
    """Die before or after the n-th call of anything that touches log or state, for every n, and start again."""
    calls, crash_at = itertools.count(), -1

    def fragile(owner, name):
        real = getattr(owner, name)

        def call(*args, **kwargs):
            if next(calls) == crash_at:
                raise Crash
            result = real(*args, **kwargs)
            if next(calls) == crash_at:
                raise Crash
            return result

        monkeypatch.setattr(owner, name, call)

    for owner, names in (
        (EmbeddedReader, ("poll", "commit")),
        (EmbeddedLog, ("append",)),
        (GroupMember, ("_take_over", "_hold", "_store", "_publish")),
        (Settling, ("take_in", "_note_exits", "_settle", "committed")),
    ):
        for name in names:
            fragile(owner, name)

    tables = tmp_path / "tables.sqlite"
    Database(f"sqlite:///{tables}").close()

    def visit_shop(folder):
        """What is published when the aggregator runs to the end, started again after a crash."""
        log = open_log(f"sqlite:///{folder}/log.sqlite")
        shutil.copy(tables, folder / "state.sqlite")  # made once: migrating takes longer than the whole visit
        log.append([*ANNA[:3], *BEN, *ANNA[3:]])
        nonlocal calls
        calls, crashed, done = itertools.count(), False, False
        while not done:
            aggregator = None
            try:
                aggregator = Aggregator(log, f"sqlite:///{folder}/state.sqlite", catalogue)
                while aggregator.step(0, max_records=5):
                    pass
                aggregator.close()
                done = True
            except Crash:  # who is dead closes nothing in order
                crashed = True
                if aggregator is not None:
                    aggregator._database.close()
        nonlocal crash_at
        crash_at = -1
        on_log = published(log)
        log.close()
        return on_log, crashed

    undisturbed, _ = visit_shop(tmp_path / "calm")
    assert len(undisturbed) == 2
    for n in itertools.count(2):  # the first two calls are the test's own append
        crash_at = n
        on_log, crashed = visit_shop(tmp_path / str(n))
        assert {r.event_id: r for r in on_log} == {r.event_id: r for r in undisturbed}
        assert len(on_log) <= 4  # a crash between appending and ticking off repeats one batch, ids and all
        if not crashed:
            break
    assert n > 20


def test_a_lost_event_is_waited_for_and_then_settled_held(log, make):
    now = 0.0
    log.append([e for e in ANNA if e.event_id != "pick-2"])
    aggregator = make(patience_s=10, clock=lambda: now, timer_s=0)
    aggregator.step(0)
    assert aggregator.receipts() == []
    now = 11.0
    aggregator.step(0)
    (receipt,) = aggregator.receipts()
    assert receipt.held_for_review and receipt.notes[0].event_ids == ("pick-2",)


def test_other_stores_are_left_alone(log, make):
    log.append([e.model_copy(update={"store_id": "elsewhere"}) for e in BEN] + ANNA)
    aggregator = make(stores=["shop"])
    aggregator.catch_up(log.ends(TOPICS))
    assert [r.visit_id for r in aggregator.receipts()] == ["v1"]


def test_starting_at_the_logs_end_skips_what_was_there(log, make):
    log.append(BEN)
    aggregator = make(start=log.ends(TOPICS))
    log.append(ANNA)
    aggregator.catch_up(log.ends(TOPICS))
    assert [r.visit_id for r in aggregator.receipts()] == ["v1"]


def test_an_exit_without_an_entry_bills_nobody(log, make):
    log.append([VisitClosed(event_id="c", store_id="shop", at_ns=T0, visit_id="v9", gate_id="g", event_ids=())])
    aggregator = make()
    aggregator.catch_up(log.ends(TOPICS))
    assert aggregator.receipts() == []


def test_an_unusable_state_file_is_one_line(tmp_path, log, catalogue):
    (tmp_path / "bad.sqlite").write_bytes(b"this is not a database" * 100)
    with pytest.raises(StateError, match="not a database"):
        Aggregator(log, f"sqlite:///{tmp_path}/bad.sqlite", catalogue)
