# SPDX-License-Identifier: AGPL-3.0-or-later
"""The state on a real PostgreSQL: migrations both ways, fencing between connections, a server that goes away."""

import logging
import threading
import time

import pytest

from pipeline.cart.aggregator import TOPICS, Aggregator
from pipeline.errors import FencedError, StateError, StateUnreachableError
from pipeline.eventlog import open_log
from pipeline.state import Database, versions
from pipeline.state.positions import advance, claim, hold
from tests.state_checks import differences, tables
from tests.unit.cart.events import BREAD, pick, put_back, small_catalogue, visit

PLACE = ("walkout.visits", 3)


def visits(count, first=0):
    return [
        visit(pick(1, event_id=f"{n}-1", person=f"t{n}"), pick(2, BREAD, event_id=f"{n}-2", person=f"t{n}"),
              put_back(3, event_id=f"{n}-3", person=f"t{n}"), track=f"t{n}", shopper=f"s{n}", visit_id=f"v{n}")
        for n in range(first, first + count)
    ]  # fmt: skip


def test_every_step_up_and_down_again(empty_url):
    database = Database(empty_url, migrated=False)
    seen = [tables(database)]
    for revision in versions.revisions():
        database.migrate(revision)
        seen.append(tables(database))
    assert differences(database) == []
    for revision, before in zip(["base", *versions.revisions()[:-1]][::-1], seen[:-1][::-1], strict=True):
        database.migrate(revision)
        assert tables(database) == before
    database.close()


def test_an_unmigrated_database_says_what_to_type(empty_url):
    with pytest.raises(
        StateError, match=rf"version none, expected {versions.newest()}: walkout state upgrade {empty_url}"
    ):
        Database(empty_url)


def test_processes_that_migrate_at_the_same_time_take_turns(empty_url):
    databases = [Database(empty_url, migrated=False) for _ in range(3)]
    threads = [threading.Thread(target=database.migrate, args=("head",)) for database in databases]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {database.revision() for database in databases} == {versions.newest()}
    for database in databases:
        database.close()


def test_who_takes_over_waits_for_the_transaction_in_flight_and_then_the_other_is_fenced(state_url):
    """The older member is inside its transaction when the newer one claims: its commit counts, its next one fails."""
    database = Database(state_url)
    with database.transaction() as db:
        assert claim(db, "g", [PLACE], "older") == {PLACE: (None, 1)}
    inside, told = threading.Event(), []

    def newer():
        inside.wait()
        with database.transaction() as db:
            told.append(claim(db, "g", [PLACE], "newer"))

    thread = threading.Thread(target=newer)
    thread.start()
    with database.transaction() as db:
        hold(db, "g", {PLACE: 1})
        inside.set()
        time.sleep(0.5)
        assert told == []  # it waits
        advance(db, "g", {PLACE: 42})
    thread.join()
    assert told == [{PLACE: (42, 2)}]  # and goes on behind what was committed meanwhile
    with pytest.raises(FencedError, match="newer"), database.transaction() as db:
        hold(db, "g", {PLACE: 1})
    database.close()


def test_a_server_that_is_not_there_yet_is_waited_for(postgres, caplog):
    url = postgres.create("late")
    prepared = Database(url, migrated=False)
    prepared.migrate("head")
    prepared.close()
    postgres.stop()
    starter = threading.Timer(1.5, postgres.start)
    starter.start()
    with caplog.at_level(logging.WARNING):
        database = Database(url, wait_s=60)
    starter.join()
    assert database.revision() == versions.newest()
    said = [r.getMessage() for r in caplog.records if r.name == "pipeline.state.database"]
    assert len(said) == 2 and "waiting up to 60 s" in said[0] and "is back after" in said[1]
    database.close()


def test_a_server_that_stays_away_is_one_line(postgres):
    url = postgres.url()
    postgres.stop()
    with pytest.raises(StateUnreachableError, match="not reached for 1 s: does the database run") as error:
        Database(url, wait_s=1)
    assert "\n" not in str(error.value)


def test_a_server_that_crashes_in_the_middle_costs_nothing(postgres, tmp_path, caplog):
    """Killed and started again while the aggregator works: the same receipts as without, each once in the log."""
    url = postgres.create("middle")
    prepared = Database(url, migrated=False)
    prepared.migrate("head")
    prepared.close()
    log = open_log(f"sqlite:///{tmp_path}/log.sqlite")
    streams = visits(60)
    log.append([event for events in streams for event in events])
    calm = Aggregator(log, f"sqlite:///{tmp_path}/calm.sqlite", small_catalogue(), group="calm")
    calm.catch_up(log.ends(TOPICS))
    wanted = {r.visit_id: r for r in calm.receipts()}
    calm.close()

    database = Database(url, wait_s=60)
    aggregator = Aggregator(log, database, small_catalogue())
    for n in range(200):
        if n in (2, 5, 9):  # the connection dies between two batches, and the server takes its time
            postgres.kill()
            threading.Timer(0.5, postgres.start).start()
        if not aggregator.step(0, max_records=20):
            break
    found = aggregator.receipts()
    assert {r.visit_id: r for r in found} == wanted and len(found) == len(wanted)
    assert [r.getMessage() for r in caplog.records if "is back after" in r.getMessage()]
    aggregator.close()
    database.close()
    log.close()
