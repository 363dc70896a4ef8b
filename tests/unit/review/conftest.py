# SPDX-License-Identifier: AGPL-3.0-or-later
import pytest

from tests.unit.review.shop import ANNA, BEN, Shop


@pytest.fixture
def shop(tmp_path):
    """Anna and Ben have been there and have paid."""
    shop = Shop(tmp_path)
    shop.tell(ANNA, BEN)
    yield shop
    shop.close()


@pytest.fixture
def make_shop(tmp_path):
    """As `shop`, with settings of the test's own."""
    made = []

    def make(**settings):
        made.append(Shop(tmp_path, **settings))
        made[-1].tell(ANNA, BEN)
        return made[-1]

    yield make
    for shop in made:
        shop.close()
