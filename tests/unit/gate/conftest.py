# SPDX-License-Identifier: AGPL-3.0-or-later
import pytest

from calibration.layout import StoreLayout
from tests.gate_walks import gate_layout


@pytest.fixture(scope="module")
def layout() -> StoreLayout:
    return gate_layout()
