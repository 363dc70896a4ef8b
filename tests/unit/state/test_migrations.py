# SPDX-License-Identifier: AGPL-3.0-or-later
"""What the migrations make is what the rooms' tables say, and the way back leaves nothing; on SQLite."""

import pytest

from pipeline.errors import StateError
from pipeline.state import Database, versions
from tests.state_checks import differences, tables


@pytest.fixture
def empty(tmp_path):
    database = Database(f"sqlite:///{tmp_path}/state.sqlite", migrated=False)
    yield database
    database.close()


def test_the_newest_version_is_what_the_rooms_say(empty):
    empty.migrate("head")
    assert differences(empty) == []


def test_every_step_up_and_down_again(empty):
    seen = [tables(empty)]
    for revision in versions.revisions():
        empty.migrate(revision)
        assert empty.revision() == revision
        seen.append(tables(empty))
    for revision, before in zip(["base", *versions.revisions()[:-1]][::-1], seen[:-1][::-1], strict=True):
        empty.migrate(revision)
        assert tables(empty) == before
    assert empty.revision() is None and tables(empty) == {}


def test_revisions_are_one_line():
    assert versions.revisions() == [f"{n:04d}" for n in range(1, len(versions.revisions()) + 1)]


def test_data_survives_an_upgrade(empty):
    empty.migrate("0001")
    with empty.transaction() as db:
        db.exec_driver_sql("INSERT INTO events VALUES ('e', 's', NULL, 'shelf-event', 1, x'7b7d')")
    empty.migrate("head")
    with empty.transaction() as db:
        assert db.exec_driver_sql("SELECT event_id, body FROM events").all() == [("e", b"{}")]


def test_an_unknown_revision_is_one_line(empty):
    with pytest.raises(StateError, match="'0099': expected head, base or one of 0001"):
        empty.migrate("0099")


def test_opening_a_file_makes_its_tables(tmp_path):
    url = f"sqlite:///{tmp_path}/deep/down/state.sqlite"
    first = Database(url)
    assert first.revision() == versions.newest()
    second = Database(url)  # while the first is open
    assert differences(second) == []
    first.close()
    second.close()


def test_tables_of_a_newer_walkout_are_refused(tmp_path):
    database = Database(f"sqlite:///{tmp_path}/state.sqlite")
    with database.transaction() as db:
        db.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    database.close()
    with pytest.raises(StateError, match=r"version 9999, this walkout knows up to .*: update walkout"):
        Database(f"sqlite:///{tmp_path}/state.sqlite")


def test_tables_from_before_versions_are_refused_and_left_alone(empty, tmp_path):
    """As the first aggregators made them, before there were migrations."""
    with empty.transaction() as db:
        db.exec_driver_sql("CREATE TABLE positions (topic TEXT, partition INTEGER, next_offset INTEGER)")
        db.exec_driver_sql("CREATE TABLE receipts (number INTEGER PRIMARY KEY, body BLOB)")
        db.exec_driver_sql("INSERT INTO receipts VALUES (1, x'7b7d')")
    before = tables(empty)
    with pytest.raises(StateError, match=r"tables \(positions, receipts\) and no version.*run its recording again"):
        Database(f"sqlite:///{tmp_path}/state.sqlite")
    with pytest.raises(StateError, match="keep it and name another"):
        empty.migrate("head")
    assert tables(empty) == before
    with empty.transaction() as db:
        assert db.exec_driver_sql("SELECT * FROM receipts").all() == [(1, b"{}")]


def test_a_state_that_lacks_what_its_version_has_is_refused_and_left_alone(empty, tmp_path):
    """As a build between two versions made it: the number was there before all of its tables were."""
    empty.migrate("0004")
    with empty.transaction() as db:
        db.exec_driver_sql("DROP TABLE coupons")
        db.exec_driver_sql("ALTER TABLE payments DROP COLUMN reason")
    before = tables(empty)
    with pytest.raises(StateError, match=r"say version 0004 but lack what that has \(coupons, payments\)"):
        Database(f"sqlite:///{tmp_path}/state.sqlite")
    assert empty.revision() == "0004" and tables(empty) == before
