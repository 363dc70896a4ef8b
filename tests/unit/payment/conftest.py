# SPDX-License-Identifier: AGPL-3.0-or-later
import pytest

from tests.unit.payment.shop import Shop


@pytest.fixture
def open_shop(tmp_path):
    made = []

    def make(**settings) -> Shop:
        made.append(Shop(tmp_path, **settings))
        return made[-1]

    yield make
    for shop in made:
        shop.close()


@pytest.fixture
def shop(open_shop) -> Shop:
    return open_shop()
