# SPDX-License-Identifier: AGPL-3.0-or-later
"""A process that works until it is told to end."""

from __future__ import annotations

import gc
import signal
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Self

from pipeline.observe.health import Health, HealthServer
from pipeline.observe.logs import get_logger

log = get_logger(__name__)


def collect_rarely() -> None:
    """Let Python's cycle collector look less often than it does by itself. Events and receipts have no cycles, and an
    aggregator remembers some hundred thousand objects: looking through all of them took a quarter of its time."""
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)


class Service:
    """Signals and health of one process, as a context manager in the main thread.

    SIGTERM and SIGINT set `stop`: the loop ends after the step that it is in, and what follows it can close in order.
    Health is served from the start, so that a process that still waits for its database says that it does.
    """

    def __init__(self, name: str, *, port: int | None = None, host: str = "127.0.0.1") -> None:
        self.name, self.stop, self.health = name, threading.Event(), Health()
        self._host, self._port = host, port
        self._server: HealthServer | None = None
        self._handlers: dict[int, object] = {}

    def __enter__(self) -> Self:
        collect_rarely()
        self.health.add("start", lambda: "has not started yet")
        if self._port is not None:
            self._server = HealthServer(self.health, self._host, self._port)
        for number in (signal.SIGTERM, signal.SIGINT):
            self._handlers[number] = signal.signal(number, self._asked_to_end)
        log.info("starting", service=self.name, port=self._server.port if self._server else None)
        return self

    def loop(self, step: Callable[[], object]) -> None:
        """`step()` until told to end."""
        self.health.add("start", lambda: None)
        while not self.stop.is_set():
            step()
            self.health.beat()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._handlers.items():
            signal.signal(number, handler)
        if self._server is not None:
            self._server.close()
        log.info("ended", service=self.name, error=None if error is None else str(error))

    def _asked_to_end(self, number: int, _frame) -> None:
        self.stop.set()
