# SPDX-License-Identifier: AGPL-3.0-or-later
import pytest

from calibration.catalogue import Catalogue
from tests.unit.cart.events import small_catalogue


@pytest.fixture(scope="session")
def catalogue() -> Catalogue:
    return small_catalogue()
