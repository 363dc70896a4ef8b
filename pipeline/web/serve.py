# SPDX-License-Identifier: AGPL-3.0-or-later
"""One store's web service: what is in it, and running it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from pathlib import Path

from fastapi import APIRouter, FastAPI

from calibration.layout import load_layout
from pipeline.gate.desk import GateDesk
from pipeline.gate.entry_settings import load_entry_settings
from pipeline.gate.readers import Readers
from pipeline.observe.health import Health
from pipeline.observe.router import health_router
from pipeline.passes.issuing import following
from pipeline.payment.entry import EntryPayments
from pipeline.payment.port import PaymentProvider
from pipeline.payment.providers import BANK_FILE, open_provider
from pipeline.settings import load_settings
from pipeline.state import Database
from pipeline.web.app import create_app
from pipeline.web.gates import gate_router
from pipeline.web.payments import payment_router


@contextmanager
def open_desk(store: Path) -> Iterator[tuple[GateDesk, Database, PaymentProvider | None]]:
    """The gate desk of a store's folder, its database, and the payment provider where holds are asked for."""
    layout, settings = load_layout(store / "layout.yaml"), load_entry_settings(store)
    database, provider = Database(settings.state_url), None
    try:
        payments = None
        if settings.authorise_minor:
            payment = load_settings(store).payment
            provider = open_provider(payment.provider, store / BANK_FILE)
            payments = EntryPayments(database, provider, payment)
        ring = None if settings.key_ring is None else following(settings.key_ring)
        yield GateDesk(layout, database, settings, ring=ring, payments=payments), database, provider
    finally:
        database.close()


def store_app(store: Path) -> FastAPI:
    """Everything that `walkout gate serve` answers; the database is open until the application shuts down."""
    stack = ExitStack()
    desk, database, provider = stack.enter_context(open_desk(store))
    health = Health()
    health.add("database", lambda: None if database.reachable else "does not answer")
    routers: list[APIRouter] = [gate_router(desk, Readers(database, desk.store_id)), health_router(health)]
    if provider is not None:
        routers.append(payment_router({provider.name: provider}, database))

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        with stack:
            yield

    return create_app(*routers, title="walkout gate", lifespan=lifespan)


def serve_store(store: Path, host: str, port: int) -> None:
    """Until SIGTERM or SIGINT. Whatever shields the API from the internet (TLS, rates) stands in front of it."""
    import uvicorn

    uvicorn.run(store_app(store), host=host, port=port, log_level="info")
