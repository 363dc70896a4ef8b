# SPDX-License-Identifier: AGPL-3.0-or-later
"""A real PostgreSQL server for the tests in this folder."""

import itertools

import pytest

from tests import servers

_numbers = itertools.count()


@pytest.fixture(scope="session")
def postgres_tools():
    pytest.importorskip("psycopg", reason="needs psycopg: pip install 'walkout[postgres]'")
    if problem := servers.postgres.missing_tools():
        pytest.skip(f"needs PostgreSQL: {problem}")


@pytest.fixture(scope="session")
def shared_postgres(postgres_tools):
    """A server for tests that do not stop it."""
    with servers.running_postgres() as server:
        yield server


@pytest.fixture
def postgres(postgres_tools):
    """A server of the test's own; `stop()`, `kill()` and `start()` as often as needed."""
    with servers.running_postgres() as server:
        yield server


@pytest.fixture
def empty_url(shared_postgres):
    """The URL of a new database without tables."""
    return shared_postgres.create(f"test_{next(_numbers)}")


@pytest.fixture
def state_url(empty_url):
    """The URL of a new database whose tables are up to date."""
    from pipeline.state import Database

    database = Database(empty_url, migrated=False)
    database.migrate("head")
    database.close()
    return empty_url
