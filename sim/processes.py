# SPDX-License-Identifier: AGPL-3.0-or-later
"""The processes that draw and encode: where they come from, and how they get memory. Light to import."""

from __future__ import annotations

import ctypes
import multiprocessing
import os
import sys
import threading
from multiprocessing import forkserver
from multiprocessing.connection import wait
from multiprocessing.context import ForkServerContext

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # of mallopt(3)
_KEPT_BYTES = 32 << 20  # the most that glibc takes


def worker_context() -> ForkServerContext:
    """Workers are forked from a server that has imported the recorder once, and holds no GL: that survives no fork.

    What the server was started with stays, so environment variables have to be sent along.
    """
    context = multiprocessing.get_context("forkserver")
    preload = ["sim.record"]
    if "sim.cli" in sys.modules:
        # A worker runs the main program's imports again; under the command line most of what these load is loaded here.
        preload += sorted(n for n in sys.modules if n.partition(".")[0] in ("pipeline", "calibration", "models", "sim"))
    context.set_forkserver_preload(preload)
    return context


def warm_up() -> None:
    """Start that server now, to have it import while this process does."""
    worker_context()
    forkserver.ensure_running()


def end_with_parent() -> None:
    """In a worker: end at once when the process that started it does, however that was, a kill included."""
    parent = multiprocessing.parent_process()

    def watch() -> None:
        wait([parent.sentinel])
        os._exit(1)

    if parent is not None:
        threading.Thread(target=watch, name="parent", daemon=True).start()


def keep_freed_memory() -> None:
    """Let the C library keep what is freed, for processes that work on one picture after the other.

    Usually arrays as large as a picture go back to the system at once, and the next one is paid for in page faults,
    which take as long as what is then done with it. Where the C library has no such setting nothing happens.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return
    mallopt(_MMAP_THRESHOLD, _KEPT_BYTES)
    mallopt(_TRIM_THRESHOLD, _KEPT_BYTES)
