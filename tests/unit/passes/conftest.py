# SPDX-License-Identifier: AGPL-3.0-or-later
import pytest

from pipeline.passes import KeyRing, PassChecker, PassIssuer

NOW_S = 1_767_603_600


@pytest.fixture(scope="session")
def ring() -> KeyRing:
    return KeyRing.new(NOW_S - 1000)


@pytest.fixture(scope="session")
def issuer(ring) -> PassIssuer:
    return PassIssuer(ring)


@pytest.fixture(scope="session")
def checker(ring) -> PassChecker:
    return PassChecker(lambda: ring, "shop")
