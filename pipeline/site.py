# SPDX-License-Identifier: AGPL-3.0-or-later
"""What pages and review of one store, or of a recorded run of it, stand on: opened together, closed together."""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import select

from pipeline.accounts import Accounts, AccountSettings, load_account_settings
from pipeline.accounts.erasure import Erased, erase_shopper
from pipeline.capture.recording import MANIFEST
from pipeline.cart.aggregator import Aggregator
from pipeline.cart.desk import Desk
from pipeline.errors import RecordingError, WalkoutError
from pipeline.eventlog import log_opener, open_log
from pipeline.evidence import EvidenceStore, open_evidence
from pipeline.gate.entry_settings import load_entry_settings
from pipeline.journal import LOG_FILE, STATE_FILE
from pipeline.payment.embedded import EmbeddedPayments
from pipeline.review.again import Again
from pipeline.review.desk import ReviewDesk
from pipeline.review.intake import GROUP as REVIEW_GROUP
from pipeline.review.intake import ReviewIntake
from pipeline.review.opening import open_review
from pipeline.run_files import SUMMARY
from pipeline.shop import Shop
from pipeline.state import Database
from pipeline.state.positions import positions

logger = logging.getLogger(__name__)

EVIDENCE = "evidence"
_STEP_EVERY_S = 0.5
_CART_GROUP = "walkout-cart"


@dataclass(frozen=True)
class Site:
    """`folder`: a store's, or a run's. `run`: the run's folder, with tracks.csv, detections.npz and run.json; None for
    a live store. `database`: carts, receipts, payments, gate, accounts, evidence and review. `clock`: ns since the
    Unix epoch."""

    shop: Shop
    folder: Path
    run: Path | None
    database: Database
    desk: Desk
    evidence: EvidenceStore
    log_url: str
    accounts: Accounts
    clock: Callable[[], int] = time.time_ns
    review: ReviewDesk | None = None
    again: Again | None = None

    @property
    def store_id(self) -> str:
        return self.shop.layout.store_id

    @property
    def store_name(self) -> str:
        return self.shop.settings.paper.store_name or self.shop.layout.store_id

    def erase_shopper(self, shopper_id: str, by: str) -> Erased:
        """Forget a shopper: `pipeline.accounts.erasure`. `AccountError` says what has to end first."""
        found = erase_shopper(
            self.database, self.evidence, shopper_id, by=by, store_id=self.store_id, clock=self.clock
        )  # fmt: skip
        if self.again is not None:
            self.again.forget_erased("walkout")  # regression cases have the film
        return found


@contextmanager
def open_site(
    folder: Path | str,
    log_url: str | None = None,
    state_url: str | None = None,
    *,
    recording: Path | str | None = None,
    accounts: AccountSettings | None = None,
    clock: Callable[[], int] = time.time_ns,
) -> Iterator[Site]:
    """The site of a run's folder (made by `walkout run` or `walkout demo` of a recording) or of a store's.

    A run is on its own log and state, and its receipts go on living here: the aggregator and the payment desk keep
    stepping in the background, so that a correction is published and paid back at once. A store's are stepped by
    `walkout run`, or by `walkout cart serve` and `walkout pay serve`.

    Args:
        log_url, state_url: by default the run's own, or the store's settings'.
        recording: where a run's recording is now; by default where run.json says, or beside the run.
        accounts: instead of the store's accounts.yaml.

    Raises `WalkoutError`.
    """
    folder = Path(folder)
    run = folder if (folder / SUMMARY).exists() else None
    shop = Shop.open(shop_folder(folder, recording))
    embedded = run is not None and log_url is None and state_url is None
    live_log, live_state = _of_store(shop) if run is None else ("", "")
    with ExitStack() as stack:
        database = Database(state_url or live_state or f"sqlite:///{folder / STATE_FILE}")
        stack.callback(database.close)
        log_url = log_url or live_log or f"sqlite:///{folder / LOG_FILE}"
        log_opener(log_url)  # a wrong address is said now; one that is away is waited for by whoever follows it
        settings = accounts or load_account_settings(shop.folder)
        evidence = shop.settings.evidence
        desk, store = Desk(database, shop.prices, clock), open_evidence(
            evidence.url or folder / EVIDENCE, database, evidence, clock
        )  # fmt: skip
        review, again = open_review(database, desk, shop, run=run, evidence=store, folders=(folder,), clock=clock)
        site = Site(
            shop, folder, run, database, desk, store, log_url, Accounts(database, settings, clock), clock, review,
            again,
        )  # fmt: skip
        if embedded:
            stack.enter_context(_keeping_books(site))
        yield site


def _of_store(shop: Shop) -> tuple[str, str]:
    """Log and state that a store's settings name."""
    log_url = shop.settings.log_url or f"sqlite:///{shop.folder / LOG_FILE}"
    return log_url, load_entry_settings(shop.folder).state_url or ""


def shop_folder(folder: Path, recording: Path | str | None = None) -> Path:
    """The folder with layout and catalogue: a store's own, or a run's recording (`recording` where it has moved)."""
    if recording is not None:
        return Path(recording)
    return _recording_of(folder) if (folder / SUMMARY).exists() else folder


def _recording_of(run: Path) -> Path:
    try:
        summary = json.loads((run / SUMMARY).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise RecordingError(f"{run / SUMMARY}: not readable ({error}); is {run} a run?") from None
    places = [Path(summary["source"])] if summary.get("source") else []
    places.append(run.resolve().parent / "recording")
    for place in places:
        if (place / MANIFEST).exists() or (place / "layout.yaml").exists():
            return place
    raise RecordingError(
        f"{run}: its recording is not at {' or '.join(map(str, places))}: put it there, or name it "
        "with --recording where the command has that"
    )


@contextmanager
def _keeping_books(site: Site) -> Iterator[None]:
    """Aggregator, payment desk and review of a run in one background thread, as the groups that they were while it
    ran."""
    tail = _tail(site.database, site.store_id)
    stop, log = threading.Event(), open_log(site.log_url)
    aggregator = Aggregator(
        log, site.database, site.shop.prices, site.shop.settings.billing,
        group=f"{_CART_GROUP}-{site.store_id}{tail}", stores=[site.store_id],
    )  # fmt: skip
    payments = None
    if site.shop.settings.payment.provider != "none":
        payments = EmbeddedPayments(
            log, site.database, site.folder, site.store_id, site.shop.settings.payment,
            live=False, tail=tail,
        )  # fmt: skip
    intake = ReviewIntake(
        log, site.database, site.review, group=f"{REVIEW_GROUP}-{site.store_id}{tail}", stores=[site.store_id]
    )  # fmt: skip
    thread = threading.Thread(target=_step, args=(aggregator, payments, intake, stop), name="books", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(timeout=30)
        aggregator.close()
        intake.close()
        if payments:
            payments.close()
        log.close()


def _step(
    aggregator: Aggregator, payments: EmbeddedPayments | None, intake: ReviewIntake, stop: threading.Event
) -> None:
    said = ""
    while not stop.wait(_STEP_EVERY_S):
        try:
            while aggregator.step(timeout_s=0):
                pass
            if payments:
                payments.step()
            while intake.step(timeout_s=0):
                pass
        except WalkoutError as error:
            if str(error) != said:  # not twice a second, for hours
                logger.error("the books of the run wait, next try in %g s: %s", _STEP_EVERY_S, error)
            said = str(error)


def _tail(database: Database, store_id: str) -> str:
    """What the run added to its groups' names; a run that has moved keeps its own."""
    start = f"{_CART_GROUP}-{store_id}-"
    query = select(positions.c.consumer_group).where(positions.c.consumer_group.startswith(start, autoescape=True))
    groups = sorted(set(database.run(lambda db: db.execute(query).scalars().all())))
    return f"-{groups[0].removeprefix(start)}" if groups else ""
