# SPDX-License-Identifier: AGPL-3.0-or-later
"""Waiting in tests for another thread or process: as long as a slow machine may need, no longer than it takes."""

import time
from collections.abc import Callable


def until(
    true, what: str | Callable[[], object] = "it never came", timeout_s: float = 60, every_s: float = 0.05
):  # fmt: skip
    """The first true answer of `true()`. Fails with `what`, or what that says then, when time is over."""
    deadline = time.monotonic() + timeout_s
    while not (found := true()):
        assert time.monotonic() < deadline, what() if callable(what) else what
        time.sleep(every_s)
    return found
