# SPDX-License-Identifier: AGPL-3.0-or-later
"""Every attack that we know of, in small; `walkout pass attack` runs the 10,000."""

import logging
from pathlib import Path

from calibration.layout import load_layout
from pipeline.passes.attack import attack

NANOSTORE = Path(__file__).parents[3] / "sim" / "stores" / "nanostore"


def test_nothing_opens_a_gate_nothing_blocks_it_and_nothing_is_a_traceback(caplog):
    with caplog.at_level(logging.WARNING):
        results, still_opens = attack(load_layout(NANOSTORE / "layout.yaml"), random_strings=400)
    assert still_opens
    assert {r.name: (r.opened, r.failed) for r in results if r.opened or r.failed} == {}
    assert len(results) >= 13 and sum(r.tries for r in results) > 1000
    assert [r for r in caplog.records if r.exc_info] == []
    reasons = {r.name: set(r.reasons) for r in results}
    assert reasons["replayed"] == {"used"} and reasons["another store"] == {"other-store"}
