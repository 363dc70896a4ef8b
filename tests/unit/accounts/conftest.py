# SPDX-License-Identifier: AGPL-3.0-or-later
import pytest

from pipeline.accounts import Accounts, AccountSettings
from pipeline.state import Database
from tests.account_checks import Clock


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def database(tmp_path):
    database = Database(f"sqlite:///{tmp_path}/state.sqlite")
    yield database
    database.close()


@pytest.fixture
def accounts(database, clock):
    return Accounts(database, AccountSettings(public_url="https://shop.test", sender="development"), clock)
