# SPDX-License-Identifier: AGPL-3.0-or-later
import shutil

import pytest

from pipeline.state import Database
from tests.unit.payment.shop import Shop


@pytest.fixture(scope="session")
def empty_state(tmp_path_factory):
    """A state with its tables and nothing in it, to be copied: migrating takes longer than most tests."""
    path = tmp_path_factory.mktemp("state") / "state.sqlite"
    Database(f"sqlite:///{path}").close()
    return path


@pytest.fixture
def open_shop(tmp_path, empty_state):
    made = []

    def make(**settings) -> Shop:
        if not made:
            shutil.copy(empty_state, tmp_path / "state.sqlite")
        made.append(Shop(tmp_path, **settings))
        return made[-1]

    yield make
    for shop in made:
        shop.close()


@pytest.fixture
def shop(open_shop) -> Shop:
    return open_shop()
