# SPDX-License-Identifier: AGPL-3.0-or-later
"""Payments in the one process of a shop: the desk beside the aggregator, on the same log and state.

Of a recording step by step, so that two runs of it are the same. Of live cameras in a thread: a provider that takes
seconds to answer, or does not answer, must not stop them.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pipeline.beside import Beside
from pipeline.eventlog import EventLog
from pipeline.payment.accounts import list_payments
from pipeline.payment.desk import GROUP, TOPICS, PaymentDesk
from pipeline.payment.providers import BANK_FILE, open_provider
from pipeline.payment.settings import PaymentSettings
from pipeline.state import Database


class EmbeddedPayments:
    """A desk of one store in `folder`, on a log and a state that stay open.

    A recording (`live` false) is always paid with the test provider, whatever the settings say: what happened in the
    past is not charged again.
    """

    def __init__(
        self, log: EventLog, database: Database, folder: Path, store_id: str, settings: PaymentSettings, *,
        live: bool, tail: str = "",
    ) -> None:  # fmt: skip
        self._log, self._database = log, database
        self._provider = open_provider(settings.provider if live else "test", folder / BANK_FILE)
        self._desk = PaymentDesk(
            log, database, self._provider, settings, group=f"{GROUP}-{store_id}{tail}", stores=[store_id],
            start=None if live else log.ends(TOPICS),
        )  # fmt: skip

    def step(self, timeout_s: float = 0) -> bool:
        """Take what has been written to the log since, waiting so long for the first; whether anything was done."""
        done = False
        while self._desk.step(timeout_s):
            done, timeout_s = True, 0
        return done

    def finish(self, timeout_s: float) -> None:
        """Everything in the log has been taken before this returns; a declined payment may still wait for its retry."""
        self._desk.catch_up(self._log.ends(TOPICS), timeout_s)

    def payments(self, visit_ids: Sequence[str] | None = None) -> list[dict[str, Any]]:
        """As `list_payments`; of these visits only."""
        return list_payments(self._database) if visit_ids is None else _of_visits(self._database, visit_ids)

    def close(self) -> None:
        self._desk.close()
        self._provider.close()


class LivePayments(Beside):
    """`EmbeddedPayments` of live cameras in a thread, with a log and database connections of its own."""

    def __init__(self, log_url: str, state_url: str, folder: Path, store_id: str, settings: PaymentSettings) -> None:
        super().__init__(
            "payments", log_url, state_url,
            lambda *here: EmbeddedPayments(*here, folder, store_id, settings, live=True),
        )  # fmt: skip

    def payments(self, visit_ids: Sequence[str]) -> list[dict[str, Any]]:
        """As `list_payments`; of these visits only."""
        return _of_visits(self.database, visit_ids)


def _of_visits(database: Database, visit_ids: Sequence[str]) -> list[dict[str, Any]]:
    wanted = set(visit_ids)
    return [p for p in list_payments(database) if p["visit_id"] in wanted]
