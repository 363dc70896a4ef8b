# SPDX-License-Identifier: AGPL-3.0-or-later
"""The crash test's members: `walkout cart serve` and `walkout pay serve` as processes that can be killed.

They are forked by a server that has everything imported, so that a start costs a tenth of a second of processor time
and not more than one: most of two hundred lives would otherwise be spent on importing.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
from pathlib import Path

_IMPORTED = (
    "pipeline.cli", "pipeline.cart.service", "pipeline.payment.service", "pipeline.payment.bank_http",
    "pipeline.eventlog.kafka_log", "pipeline.cart.price_book", "pipeline.settings", "calibration.catalogue",
    "psycopg", "alembic.command", "sqlalchemy.dialects.postgresql.psycopg", "pipeline.review.tables",
    "tests.benchmarks.crash_members",
)  # fmt: skip


class Members:
    """Processes, each with a name of its own that it keeps over its lives: `cart-...` aggregators, `pay-...` desks."""

    def __init__(
        self,
        log_url: str,
        state_url: str,
        catalogue_file: Path,
        folder: Path,
        bank: str,
        session_s: float,
        tail: str = "",
    ) -> None:
        self._log_url, self._state_url, self._folder = log_url, state_url, folder
        self._of = {
            "cart": ["cart", "serve", "--catalogue", str(catalogue_file), "--max-records", "200"],
            "pay": ["pay", "serve", "--provider", f"test+{bank}"],
        }
        self._session_s, self._tail = session_s, tail
        self._forks = multiprocessing.get_context("forkserver")
        self._forks.set_forkserver_preload(list(_IMPORTED))
        self.running: dict[str, multiprocessing.process.BaseProcess] = {}
        self.starts = 0
        self._lock = threading.Lock()

    def start(self, name: str) -> None:
        kind = name.partition("-")[0]
        arguments = [
            *self._of[kind], "--group", f"walkout-{kind}{self._tail}",
            "--log", f"{self._log_url}?timeout_s=120&session_timeout_s={self._session_s:g}&instance={name}{self._tail}",
            "--state", self._state_url,
        ]  # fmt: skip
        with self._lock:
            process = self._forks.Process(target=_serve, args=(arguments, str(self._folder / f"{name}.log")))
            process.start()
            self.running[name] = process
            self.starts += 1

    def kill(self, name: str) -> bool:
        """SIGKILL; False when it was not running."""
        with self._lock:
            process = self.running.pop(name, None)
        if process is None or not process.is_alive():
            return False
        process.kill()
        process.join()
        return True

    def end(self, name: str, timeout_s: float = 300.0) -> int | None:
        """SIGTERM; the exit code, None when it was not running."""
        with self._lock:
            process = self.running.pop(name, None)
        if process is None:
            return None
        process.terminate()
        process.join(timeout_s)
        if process.is_alive():
            process.kill()
            process.join()
        return process.exitcode

    def signal(self, name: str, number: signal.Signals) -> None:
        with self._lock:
            if name in self.running:
                os.kill(self.running[name].pid, number)

    def died(self) -> list[str]:
        """Names of members that ended by themselves."""
        with self._lock:
            return [name for name, process in self.running.items() if not process.is_alive()]


def _serve(arguments: list[str], output: str) -> None:
    """`walkout ARGUMENTS` in a process of its own, with what it says appended to a file."""
    os.setsid()
    file = os.open(output, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    for number in (1, 2):
        os.dup2(file, number)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    sys.argv = ["walkout", *arguments]
    from pipeline.cli import main

    main()
