# SPDX-License-Identifier: AGPL-3.0-or-later
"""Members of a consumer group on the embedded log: exactly once, whoever takes over and whatever is cut off."""

import pytest
from sqlalchemy import text

from pipeline.errors import EventLogError, FencedError, StateError, StateUnreachableError
from pipeline.eventlog import open_log
from pipeline.messages import TrackBound
from pipeline.state import Database
from pipeline.state.member import GroupMember
from pipeline.state.positions import advance, claim, hold
from tests.unit.cart.events import pick

PLACES = [("walkout.visits", 0), ("walkout.shelf-events", 0)]


def bound(event_id) -> TrackBound:
    return TrackBound(event_id=str(event_id), store_id="shop", at_ns=1, visit_id="v", track_id="t")


class Writing:
    """Writes down what it is given; publishes something for every third event."""

    def __init__(self):
        self.seen, self.fail_next = [], None

    def take_in(self, db, batch):
        for record in batch.records:
            db.execute(text("INSERT INTO awaited VALUES (:i, 'v')"), {"i": record.event.event_id})
        if self.fail_next:
            error, self.fail_next = self.fail_next, None
            raise error
        return [
            (r.partition, pick(1, event_id=f"out-{r.event.event_id}"))
            for r in batch.records
            if int(r.event.event_id) % 3 == 0
        ]

    def on_time(self, db, partitions):
        return []

    def committed(self):
        self.seen.append("committed")

    def forget(self):
        self.seen.append("forgot")


@pytest.fixture
def log(tmp_path):
    log = open_log(f"sqlite:///{tmp_path}/log.sqlite")
    yield log
    log.close()


@pytest.fixture
def database(tmp_path):
    database = Database(f"sqlite:///{tmp_path}/state.sqlite", wait_s=5)
    yield database
    database.close()


def member(log, database, work=None, **kwargs):
    return GroupMember(log, database, work or Writing(), group="g", topics=["walkout.visits"], **kwargs)


def written(database):
    with database.transaction() as db:
        return sorted(int(i) for i in db.execute(text("SELECT event_id FROM awaited")).scalars())


def published(log):
    return [r.event.event_id for r in log.read("look", ["walkout.shelf-events"]).poll(0).records]


def test_each_claim_raises_the_epoch_and_the_older_one_is_fenced(database):
    with database.transaction() as db:
        first = claim(db, "g", PLACES, "a")
        advance(db, "g", {PLACES[0]: 7})
    with database.transaction() as db:
        second = claim(db, "g", PLACES[:1], "b")
    assert first == {place: (None, 1) for place in PLACES} and second == {PLACES[0]: (7, 2)}
    with database.transaction() as db:
        assert hold(db, "g", {PLACES[0]: 2}) == {PLACES[0]: 7}
        with pytest.raises(FencedError, match=r"walkout.visits/0 now belongs to b \(epoch 2, not 1\)"):
            hold(db, "g", {PLACES[0]: 1, PLACES[1]: 1})
    with database.transaction() as db:
        assert claim(db, "other", PLACES, "c") == {place: (None, 1) for place in PLACES}  # groups do not meet


def test_a_second_process_on_one_state_takes_over_and_the_first_must_not_write(log, database):
    log.append([bound(i) for i in range(5)])
    first = member(log, database)
    assert first.step(0, max_records=2) == 2
    second = member(log, database)
    assert second.step(0, max_records=2) == 2
    with pytest.raises(FencedError):
        first.step(0)
    while second.step(0):
        pass
    assert written(database) == list(range(5))


def test_work_that_fails_is_rolled_back_and_done_again_by_the_next_life(log, database):
    log.append([bound(i) for i in range(4)])
    work = Writing()
    work.fail_next = ZeroDivisionError()
    first = member(log, database, work)
    with pytest.raises(ZeroDivisionError):
        first.step(0)
    assert written(database) == [] and work.seen[-1] == "forgot"
    again = member(log, database)
    again.step(0)
    assert written(database) == [0, 1, 2, 3]


@pytest.fixture
def lose_one_commit(database, monkeypatch):
    """Call it: the answer to the next COMMIT is lost on its way, though it got through."""
    real, to_lose = database.transaction, []

    def losing():
        context = real()

        class Losing:
            def __enter__(self):
                return context.__enter__()

            def __exit__(self, *error):
                result = context.__exit__(*error)
                if error == (None, None, None) and to_lose:
                    to_lose.pop()
                    raise StateUnreachableError("the connection was lost while committing")
                return result

        return Losing()

    monkeypatch.setattr(database, "transaction", losing)
    return lambda: to_lose.append(True)


def test_a_commit_that_was_cut_off_but_got_through_is_not_repeated(log, database, lose_one_commit):
    """The batch is tried again and finds itself done, its events still to publish."""
    reading = member(log, database)
    reading.step(0)
    log.append([bound(i) for i in range(4)])
    lose_one_commit()
    reading.step(0)
    assert written(database) == [0, 1, 2, 3]
    assert published(log) == ["out-0", "out-3"]


def test_what_a_cut_off_commit_said_beside_the_batches_is_published(log, database, lose_one_commit):
    """Work that time brings, or a call's result: done once, and the second attempt has nothing more to say."""
    said = []

    def work(db):
        new = not db.execute(text("SELECT 1 FROM awaited")).first()
        said.append(new)
        if new:
            db.execute(text("INSERT INTO awaited VALUES ('7', 'v')"))
        return [(0, pick(1, event_id="out-7"))] if new else []

    reading = member(log, database)
    reading.step(0)
    lose_one_commit()
    reading.transact(work)
    assert said == [True, False] and written(database) == [7]
    assert published(log) == ["out-7"]
    reading.close()
    with database.transaction() as db:
        assert db.execute(text("SELECT count(*) FROM outbox")).scalar() == 0


def test_what_was_not_published_leaves_in_the_next_life(log, database, monkeypatch):
    log.append([bound(i) for i in range(4)])
    first = member(log, database)
    monkeypatch.setattr(log, "append", lambda events: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        first.step(0, max_records=4)
    monkeypatch.undo()
    second = member(log, database)
    second.step(0, max_records=1)
    assert published(log) == ["out-0", "out-3"]
    second.close()
    with database.transaction() as db:
        assert db.execute(text("SELECT count(*) FROM outbox")).scalar() == 0


class Slowly:
    """A log that has what it is given only when somebody waits for it, and fails at that as often as wanted."""

    def __init__(self, log, fails=0):
        self._log, self.fails, self.waited = log, fails, 0

    def begin_append(self, events):
        def wait():
            self.waited += 1
            if self.fails:
                self.fails -= 1
                raise EventLogError("away")
            self._log.append(events)

        return wait

    def __getattr__(self, name):
        return getattr(self._log, name)


def left(database):
    with database.transaction() as db:
        return db.execute(text("SELECT count(*) FROM outbox")).scalar()


def test_a_member_that_is_behind_reads_on_while_the_log_takes_what_it_published(log, database):
    log.append([bound(i) for i in range(8)])
    slow = Slowly(log)
    behind = member(slow, database)
    behind.step(0, max_records=2)  # publishes out-0: a full batch, so more is waiting
    assert slow.waited == 0 and published(log) == [] and left(database) == 1
    behind.step(0, max_records=2)  # has it before its transaction, which ticks it off
    assert published(log) == ["out-0"] and left(database) == 1  # now out-3
    while behind.step(0, max_records=3):
        pass
    assert published(log) == ["out-0", "out-3", "out-6"]  # caught up: it waits at once
    behind.close()
    assert left(database) == 0


def test_what_the_log_did_not_take_is_published_by_the_next_try_or_the_next_life(log, database):
    log.append([bound(i) for i in range(4)])
    first = member(Slowly(log, fails=2), database)
    failed = 0
    for _ in range(6):
        try:
            first.step(0, max_records=2)
        except EventLogError:
            failed += 1
    assert failed == 2 and published(log) == ["out-0", "out-3"] and written(database) == list(range(4))

    log.append([bound(i) for i in range(4, 8)])
    while first.step(0, max_records=4):
        pass
    second = member(Slowly(log, fails=1), database)
    log.append([bound(9)])
    with pytest.raises(EventLogError):
        second.step(0)
    third = member(log, database)  # `second` is gone
    third.step(0)
    assert sorted(set(published(log))) == ["out-0", "out-3", "out-6", "out-9"]
    third.close()
    assert left(database) == 0 and written(database) == [*range(8), 9]


def test_a_step_that_failed_is_done_again_with_the_same_records_by_who_goes_on(log, database):
    log.append([bound(i) for i in range(4)])
    work = Writing()
    one = member(log, database, work)
    work.fail_next = StateError("a full disk")
    with pytest.raises(StateError):
        one.step(0, max_records=2)
    assert written(database) == []
    while one.step(0, max_records=2):
        pass
    assert written(database) == list(range(4)) and published(log) == ["out-0", "out-3"]


def test_catching_up_ends_with_everything_published(log, database):
    log.append([bound(i) for i in range(7)])
    one = member(Slowly(log), database)
    one.catch_up(log.ends(["walkout.visits"]))
    assert published(log) == ["out-0", "out-3", "out-6"]


def test_catching_up_with_what_never_comes_says_so(log, database):
    log.append([bound(0)])
    [(place, end)] = log.ends(["walkout.visits"]).items()
    with pytest.raises(EventLogError, match=r"did not give back within 0\.3 s"):
        member(Slowly(log), database).catch_up({place: end + 1}, timeout_s=0.3)
