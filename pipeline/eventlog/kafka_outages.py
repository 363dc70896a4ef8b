# SPDX-License-Identifier: AGPL-3.0-or-later
"""A broker that cannot be reached: waited for, said once, and at some point too long."""

from __future__ import annotations

import logging
import socket
import threading
import time
from collections.abc import Sequence

from pipeline.errors import EventLogError
from pipeline.observe import metrics

logger = logging.getLogger(__name__)

ATTEMPT_S = 2.0
"""How long one attempt may take before it counts as the broker being away."""


class _Outages:
    """Clusters that cannot be reached now, and since when: said once by a process, however many of its readers and
    writers meet it and however often they give up and begin again."""

    def __init__(self) -> None:
        self._turn = threading.Lock()
        self._since: dict[str, float] = {}

    def met(self, names: str, error: Exception) -> None:
        with self._turn:
            new = names not in self._since
            self._since.setdefault(names, time.monotonic())
            metrics.LOG_REACHABLE.set(0)
        if new:
            logger.warning("Kafka at %s cannot be reached (%s); waiting for it", names, line_of(error))

    def over(self, names: str) -> None:
        with self._turn:
            since = self._since.pop(names, None)
            metrics.LOG_REACHABLE.set(not self._since)
        if since is not None:
            logger.warning("Kafka at %s is back after %.1f s", names, time.monotonic() - since)


_outages = _Outages()


class Patience:
    """How long an outage has lasted for one reader or writer, and when it is too long."""

    def __init__(self, servers: Sequence[str], timeout_s: float) -> None:
        self._servers, self._timeout_s = servers, timeout_s
        self._since: float | None = None
        self._pause_s = 0.1

    @property
    def tried(self) -> bool:
        """Whether there is an outage now."""
        return self._since is not None

    def probe(self) -> None:
        """Raises the last `OSError` when no server accepts a connection."""
        for i, server in enumerate(self._servers):
            host, _, port = server.rpartition(":")
            try:
                socket.create_connection((host.strip("[]"), int(port)), timeout=ATTEMPT_S).close()
                return
            except OSError:
                if i == len(self._servers) - 1:
                    raise

    def failed(self, error: Exception) -> None:
        """One attempt failed: pause before the next (0.1 s, doubling up to 2 s); `EventLogError` after `timeout_s`."""
        now = time.monotonic()
        if self._since is None:
            self._since = now
            _outages.met(names_of(self._servers), error)
        left_s = self._since + self._timeout_s - now
        if left_s <= 0:
            raise EventLogError(
                f"Kafka at {names_of(self._servers)} could not be reached for {self._timeout_s:g} s: {line_of(error)}; "
                "is the broker running, and is the address right?"
            )
        time.sleep(min(self._pause_s, left_s))
        self._pause_s = min(2 * self._pause_s, 2.0)

    def over(self) -> None:
        _outages.over(names_of(self._servers))
        self._since, self._pause_s = None, 0.1


def names_of(servers: Sequence[str]) -> str:
    return ",".join(servers)


def line_of(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__
