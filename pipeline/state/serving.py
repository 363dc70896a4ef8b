# SPDX-License-Identifier: AGPL-3.0-or-later
"""One member of a consumer group as a service: the log, the database, its loop, and what is measured beside it."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Protocol

from pipeline.errors import StateUnreachableError
from pipeline.eventlog import EventLog, open_log
from pipeline.observe import metrics
from pipeline.observe.service import Service
from pipeline.state.database import Database
from pipeline.state.member import GroupMember

_POLL_S = 0.2
_GAUGES_EVERY_S = 1.0


class Served(Protocol):
    """What `serve_member` runs: an aggregator, a payment desk."""

    member: GroupMember

    def step(self, timeout_s: float, max_records: int) -> int: ...

    def close(self) -> None: ...


def serve_member(
    service: Service,
    log_url: str,
    state_url: str,
    open_member: Callable[[EventLog, Database], Served],
    *,
    max_records: int,
    measure: Callable[[Database], None] = lambda database: None,
) -> None:
    """Work until `service` is told to end. `measure`: further gauges, once a second.

    An unreachable database is waited for without end, saying so; a broker for as long as the log's URL says. Raises
    `WalkoutError`.
    """
    try:
        database = Database(state_url, wait_s=math.inf, stop=service.stop)
    except StateUnreachableError:
        if service.stop.is_set():
            return
        raise
    service.health.add("state", lambda: None if database.reachable else f"{database.name} cannot be reached")
    event_log = None
    try:
        event_log = open_log(log_url)
        served = open_member(event_log, database)
        service.health.add("log", lambda: None if served.member.joined else "not in the consumer group yet")
        measured_s = -math.inf

        def step() -> None:
            nonlocal measured_s
            served.step(timeout_s=_POLL_S, max_records=max_records)
            if time.monotonic() - measured_s >= _GAUGES_EVERY_S:
                measured_s = time.monotonic()
                _measure(served.member, database)
                measure(database)

        service.loop(step)
        served.close()
    except StateUnreachableError:
        if not service.stop.is_set():
            raise
    finally:
        if event_log is not None:
            event_log.close()
        database.close()


def _measure(member: GroupMember, database: Database) -> None:
    metrics.STATE_REACHABLE.set(database.reachable)
    metrics.PARTITIONS.labels(member.group).set(len(member.assigned))
    metrics.LAG.clear()  # partitions that have gone to others
    for (topic, partition), behind in member.lag().items():
        metrics.LAG.labels(member.group, topic, partition).set(behind)
