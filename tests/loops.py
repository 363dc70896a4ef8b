# SPDX-License-Identifier: AGPL-3.0-or-later
"""Asynchronous work in a test that is not asynchronous itself."""

import asyncio
from concurrent.futures import ThreadPoolExecutor


def in_a_loop(work, timeout_s: float = 60):
    """What the coroutine function gives, run in a thread of its own: Playwright, which other tests of a session use,
    keeps a running loop in this one, where `asyncio.run` then refuses."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(lambda: asyncio.run(work())).result(timeout_s)
