# SPDX-License-Identifier: AGPL-3.0-or-later
"""`walkout cart serve`: one member of the cart's consumer group as a service."""

from __future__ import annotations

import time
from collections.abc import Sequence

from pipeline.cart.aggregator import Aggregator
from pipeline.cart.price_book import PriceBook
from pipeline.cart.rules import BillingRules
from pipeline.eventlog import EventLog
from pipeline.messages import Event, ReceiptIssued
from pipeline.observe import metrics
from pipeline.observe.logs import get_logger
from pipeline.observe.service import Service
from pipeline.state import Database
from pipeline.state.serving import serve_member

log = get_logger(__name__)


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
    """Work until `service` is told to end; see `serve_member`."""

    def open_member(event_log: EventLog, database: Database) -> Aggregator:
        return Aggregator(event_log, database, prices, rules, group=group, patience_s=patience_s, published=_published)

    serve_member(service, log_url, state_url, open_member, max_records=max_records)


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
