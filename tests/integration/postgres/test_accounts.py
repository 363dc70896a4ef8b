# SPDX-License-Identifier: AGPL-3.0-or-later
"""Accounts on PostgreSQL; of many who type the same code at once, one is let in."""

import contextlib
import threading

import pytest

from pipeline.accounts import Accounts, AccountSettings
from pipeline.errors import SignInRefused
from pipeline.state import Database
from tests.account_checks import Clock, a_whole_life


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def accounts(state_url, clock):
    database = Database(state_url)
    yield Accounts(database, AccountSettings(sender="development"), clock)
    database.close()


def test_a_whole_life(accounts, clock):
    a_whole_life(accounts, clock)


def test_of_many_who_type_the_same_code_one_is_let_in(accounts):
    request = accounts.codes.ask("anna@example.org")
    code = accounts.sender.last("anna@example.org").code
    let_in, start = [], threading.Barrier(8)

    def type_it():
        start.wait()
        with contextlib.suppress(SignInRefused):
            let_in.append(accounts.with_code(request, code))

    threads = [threading.Thread(target=type_it) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(let_in) == 1
