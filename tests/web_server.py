# SPDX-License-Identifier: AGPL-3.0-or-later
"""An application on a free port of this machine, in a thread, for tests."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import uvicorn


@contextmanager
def running(make: Callable[[str], object]) -> Iterator[str]:
    """`make(URL)` makes the application; gives its address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
    server = uvicorn.Server(uvicorn.Config(make(url), port=int(url.rpartition(":")[2]), log_level="warning"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while thread.is_alive() and not server.started:
        time.sleep(0.02)
    try:
        yield url
    finally:
        server.should_exit = True
        thread.join(timeout=10)
