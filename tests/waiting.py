# SPDX-License-Identifier: AGPL-3.0-or-later
"""Waiting in tests for another thread or process: as long as a slow machine may need, no longer than it takes."""

import time


def until(true, what: str = "it never came", timeout_s: float = 60, every_s: float = 0.05):
    """The first true answer of `true()`. Fails with `what` when time is over."""
    deadline = time.monotonic() + timeout_s
    while not (found := true()):
        assert time.monotonic() < deadline, what
        time.sleep(every_s)
    return found
