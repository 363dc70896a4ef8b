# SPDX-License-Identifier: AGPL-3.0-or-later
"""`walkout cart serve`: one member of the cart's consumer group as a service."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence

from pipeline.cart.aggregator import Aggregator
from pipeline.cart.price_book import PriceBook
from pipeline.cart.rules import BillingRules
from pipeline.errors import StateUnreachableError
from pipeline.eventlog import open_log
from pipeline.messages import Event, ReceiptIssued
from pipeline.observe import metrics
from pipeline.observe.logs import get_logger
from pipeline.observe.service import Service
from pipeline.state import Database

log = get_logger(__name__)

_GAUGES_EVERY_S = 1.0


def serve(
    service: Service,
    log_url: str,
    state_url: str,
    prices: PriceBook,
    rules: BillingRules | None = None,
    *,
    group: str = "walkout-cart",
    patience_s: float = 60.0,
    max_records: int = 2000,
) -> None:
    """Work until `service` is told to end. An unreachable database is waited for without end, saying so; a broker for
    as long as the log's URL says. Raises `WalkoutError`."""
    try:
        database = Database(state_url, wait_s=math.inf, stop=service.stop)
    except StateUnreachableError:
        if service.stop.is_set():
            return
        raise
    service.health.add("state", lambda: None if database.reachable else f"{database.name} cannot be reached")
    event_log = open_log(log_url)
    aggregator = Aggregator(
        event_log, database, prices, rules, group=group, patience_s=patience_s, published=_published
    )
    service.health.add("log", lambda: None if aggregator.member.joined else "not in the consumer group yet")
    gauges = _Gauges(aggregator, database)

    def step() -> None:
        aggregator.step(timeout_s=0.2, max_records=max_records)
        gauges.update()

    try:
        service.loop(step)
        aggregator.close()
    except StateUnreachableError:
        if not service.stop.is_set():
            raise
    finally:
        event_log.close()
        database.close()


class _Gauges:
    """What is measured now and then rather than counted."""

    def __init__(self, aggregator: Aggregator, database: Database) -> None:
        self._member, self._database = aggregator.member, database
        self._updated_s = -math.inf

    def update(self) -> None:
        if time.monotonic() - self._updated_s < _GAUGES_EVERY_S:
            return
        self._updated_s = time.monotonic()
        metrics.STATE_REACHABLE.set(self._database.reachable)
        metrics.PARTITIONS.labels(self._member.group).set(len(self._member.assigned))
        metrics.LAG.clear()  # partitions that have gone to others
        for (topic, partition), behind in self._member.lag().items():
            metrics.LAG.labels(self._member.group, topic, partition).set(behind)


def _published(events: Sequence[Event]) -> None:
    now_ns = time.time_ns()
    for event in events:
        if isinstance(event, ReceiptIssued) and event.version == 1:
            metrics.RECEIPTS.labels("held" if event.held_for_review else "billed").inc()
            metrics.TIME_TO_RECEIPT.observe(max(now_ns - event.left_at_ns, 0) / 1e9)
            log.info(
                "receipt", visit_id=event.visit_id, event_id=event.event_id, receipt_id=event.receipt_id,
                store_id=event.store_id, version=event.version, total_minor=event.total_minor,
                currency=event.currency, held=event.held_for_review,
            )  # fmt: skip
