# SPDX-License-Identifier: AGPL-3.0-or-later
"""How a live shop is told to end."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager


class Ending:
    """SIGINT and SIGTERM of a live shop end it between two windows: what a window has said is then in the log as a
    whole, and the gate's memory is not ahead of it. While the next window is waited for, they end the waiting."""

    def __init__(self, live: bool) -> None:
        self._live = live and threading.current_thread() is threading.main_thread()
        self._waiting, self._handlers = False, {}
        self.asked = False

    def __enter__(self) -> Ending:
        for number in (signal.SIGINT, signal.SIGTERM) if self._live else ():
            self._handlers[number] = signal.signal(number, self._ask)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._handlers.items():
            signal.signal(number, handler)

    @contextmanager
    def at_once(self) -> Iterator[None]:
        self._waiting = True
        try:
            yield
        finally:
            self._waiting = False

    def _ask(self, number: int, _frame: object) -> None:
        self.asked = True
        signal.signal(number, self._handlers[number])  # the second one does what it always does
        if self._waiting:
            raise KeyboardInterrupt
