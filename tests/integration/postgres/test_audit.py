# SPDX-License-Identifier: AGPL-3.0-or-later
"""The audit trail on PostgreSQL: what tests/unit/review says of SQLite holds there."""

import pytest

from pipeline.state import Database
from tests.unit.review import audit_checks as checks


@pytest.fixture
def database(state_url):
    database = Database(state_url)
    yield database
    database.close()


def test_concurrent_writers_make_one_chain(database):
    checks.concurrent_writers_make_one_chain(database)


def test_a_transaction_that_fails_leaves_no_gap(database):
    checks.a_transaction_that_fails_leaves_no_gap(database)


def test_the_database_refuses_changes(database):
    checks.the_database_refuses_changes(database)


@pytest.mark.parametrize("how", checks.TAMPERED)
def test_tampering_is_found(database, how):
    checks.tampering_is_found(database, how)
