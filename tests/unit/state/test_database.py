# SPDX-License-Identifier: AGPL-3.0-or-later
"""Opening a state, and transactions on SQLite."""

import sqlite3
import threading
import time

import pytest
from sqlalchemy import text

from pipeline.errors import StateError, StateUnreachableError
from pipeline.state import Database


@pytest.fixture
def path(tmp_path):
    return tmp_path / "state.sqlite"


@pytest.mark.parametrize("url", ["state.sqlite", "mysql://host/db", "postgresql://host", "", "sqlite//x"])
def test_a_wrong_url_says_what_is_expected(url):
    with pytest.raises(StateError, match="expected sqlite:///FILE or postgresql://USER:PASSWORD@HOST/DATABASE"):
        Database(url)


def test_a_password_is_never_shown():
    with pytest.raises(StateUnreachableError) as error:
        Database("postgresql://walkout:geheim@127.0.0.1:1/walkout", wait_s=0.1)
    assert "geheim" not in str(error.value) and "127.0.0.1:1" in str(error.value) and "\n" not in str(error.value)


def test_a_file_that_is_no_database_is_one_line(path):
    path.write_bytes(b"this is not a database" * 100)
    with pytest.raises(StateError, match="not a database"):
        Database(f"sqlite:///{path}")


def test_an_exception_rolls_back(path):
    database = Database(f"sqlite:///{path}")
    with pytest.raises(ZeroDivisionError), database.transaction() as db:
        db.execute(text("INSERT INTO awaited VALUES ('e', 'v')"))
        raise ZeroDivisionError
    with database.transaction() as db:
        assert db.execute(text("SELECT count(*) FROM awaited")).scalar() == 0
    database.close()


def test_another_process_that_writes_is_waited_for(path):
    """Two writers take turns; neither fails because the other was first."""
    database = Database(f"sqlite:///{path}")
    other = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    other.execute("BEGIN IMMEDIATE")
    other.execute("INSERT INTO awaited VALUES ('theirs', 'v')")
    releasing = threading.Timer(0.3, lambda: other.execute("COMMIT"))
    releasing.start()
    started = time.monotonic()
    database.run(lambda db: db.execute(text("INSERT INTO awaited VALUES ('ours', 'v')")))
    assert time.monotonic() - started > 0.25
    releasing.join()
    with database.transaction() as db:
        assert sorted(db.execute(text("SELECT event_id FROM awaited")).scalars()) == ["ours", "theirs"]
    other.close()
    database.close()


def test_being_told_to_stop_ends_waiting(caplog):
    stop = threading.Event()
    threading.Timer(0.5, stop.set).start()
    started = time.monotonic()
    with pytest.raises(StateUnreachableError):
        Database("postgresql://walkout@127.0.0.1:1/walkout", wait_s=float("inf"), stop=stop)
    assert time.monotonic() - started < 30
    assert [r.message.split(": ")[0] for r in caplog.records if "waiting" in r.message]
