# SPDX-License-Identifier: AGPL-3.0-or-later
"""`walkout pay serve` and `walkout pay provider`: the desk, and the test provider, as services."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from pathlib import Path

from prometheus_client import Counter, Gauge

from pipeline.errors import OutputError
from pipeline.eventlog import EventLog
from pipeline.messages import Event, PaymentUpdated
from pipeline.observe import metrics
from pipeline.observe.logs import get_logger
from pipeline.observe.service import Service
from pipeline.payment import accounts
from pipeline.payment.books import Due
from pipeline.payment.desk import GROUP, PaymentDesk
from pipeline.payment.port import Outcome, PaymentProvider
from pipeline.payment.settings import PaymentSettings
from pipeline.state import Database
from pipeline.state.serving import serve_member

log = get_logger(__name__)
CALLS = Counter("walkout_payment_calls", "Calls to the payment provider and their outcomes.", ["kind", "outcome"])
STATES = Gauge("walkout_payments_by_state", "Payments in the state database by where they stand.", ["state"])
_STATES_EVERY_S = 5.0


def serve(
    service: Service, log_url: str, state_url: str, provider: PaymentProvider, settings: PaymentSettings, *,
    group: str = GROUP, max_records: int = 500,
) -> None:  # fmt: skip
    """Work until `service` is told to end; see `serve_member`. An unreachable provider is a call without an answer."""
    shown_s = -math.inf

    def open_member(event_log: EventLog, database: Database) -> PaymentDesk:
        return PaymentDesk(
            event_log, database, provider, settings, group=group, called=_called, published=_published
        )  # fmt: skip

    def measure(database: Database) -> None:
        nonlocal shown_s
        if time.monotonic() - shown_s >= _STATES_EVERY_S:
            shown_s = time.monotonic()
            for state, count in accounts.states(database).items():
                STATES.labels(state).set(count)

    serve_member(service, log_url, state_url, open_member, max_records=max_records, measure=measure)


def serve_provider(file: Path, host: str, port: int, webhooks: str | None, secret: str, hang_s: float) -> None:
    """The test provider over HTTP until SIGTERM."""
    import socket

    import uvicorn

    from pipeline.payment.bank import Bank
    from pipeline.payment.bank_http import Deliverer, bank_app

    bank = Bank(file, secret)
    try:
        with socket.create_server((host, port)) as listening:
            config = uvicorn.Config(bank_app(bank, hang_s), log_level="warning", lifespan="off")
            deliverer = Deliverer(bank, webhooks) if webhooks else None
            server = uvicorn.Server(config)
            log.info("test payment provider", address="{}:{}".format(*listening.getsockname()[:2]), file=str(file))
            server.run(sockets=[listening])  # ends on SIGTERM and SIGINT by itself
            if deliverer:
                deliverer.close()
    except OSError as error:
        raise OutputError(f"test payment provider: cannot listen on {host}:{port}: {error.strerror}") from None
    finally:
        bank.close()


def _called(due: Due, outcome: Outcome) -> None:
    CALLS.labels(due.call.kind, type(outcome).__name__.lower()).inc()


def _published(events: Sequence[Event]) -> None:
    for event in events:
        if isinstance(event, PaymentUpdated):
            metrics.PAYMENTS.labels(event.status).inc()
            log.info(
                "payment", visit_id=event.visit_id, event_id=event.event_id, receipt_id=event.receipt_id,
                store_id=event.store_id, version=event.version, status=event.status, due_minor=event.due_minor,
                paid_minor=event.paid_minor, open_minor=event.open_minor, currency=event.currency,
                reason=event.reason,
            )  # fmt: skip
