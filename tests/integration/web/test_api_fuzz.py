# SPDX-License-Identifier: AGPL-3.0-or-later
"""Random requests to the API break nothing. The full run: `python -m tests.api_fuzz --requests 10000`."""

import pytest

from tests import api_fuzz


@pytest.mark.slow
def test_random_requests_break_nothing(tmp_path):
    if api_fuzz.tool() is None:
        pytest.skip("needs schemathesis: pip install 'walkout[dev]'")
    count = api_fuzz.fuzz(tmp_path, requests=150, examples=3, phases="fuzzing")
    assert count.broken == []
    assert count.requests >= 150 and count.statuses[401] > 0 and count.statuses[403] > 0
    assert count.statuses[200] > 0.08 * count.requests, "what is asked for is often there"
    assert {"/api/v1/floor/stream", "/api/v1/shop/cart/events"} <= count.answered
