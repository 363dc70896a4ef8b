# SPDX-License-Identifier: AGPL-3.0-or-later
"""`walkout review serve`: one member of the review's group as a service."""

from __future__ import annotations

from pathlib import Path

from pipeline.cart.desk import Desk
from pipeline.cart.price_book import PriceBook
from pipeline.eventlog import EventLog
from pipeline.observe.service import Service
from pipeline.review.desk import ReviewDesk
from pipeline.review.intake import GROUP, ReviewIntake
from pipeline.settings import load_settings
from pipeline.state import Database
from pipeline.state.serving import serve_member


def serve(service: Service, log_url: str, state_url: str, catalogue: Path, *, group: str = GROUP) -> None:
    """Work until `service` is told to end; see `serve_member`. Prices and settings lie beside `catalogue`."""
    from calibration.catalogue import load_catalogue

    prices = PriceBook.load(catalogue.parent, load_catalogue(catalogue))
    settings = load_settings(catalogue.parent).review

    def open_member(event_log: EventLog, database: Database) -> ReviewIntake:
        desk = ReviewDesk(database, Desk(database, prices), prices, settings)
        return ReviewIntake(event_log, database, desk, group=group)

    serve_member(service, log_url, state_url, open_member, max_records=500)
