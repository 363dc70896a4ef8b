# SPDX-License-Identifier: AGPL-3.0-or-later
"""Payments in the one process of a shop: the desk beside the aggregator, on the same log and state.

Of a recording step by step, so that two runs of it are the same. Of live cameras in a thread: a provider that takes
seconds to answer, or does not answer, must not stop them.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from pipeline.errors import EventLogError, PaymentError, WalkoutError
from pipeline.eventlog import EventLog, open_log
from pipeline.observe.logs import get_logger
from pipeline.payment.accounts import list_payments
from pipeline.payment.desk import GROUP, TOPICS, PaymentDesk
from pipeline.payment.providers import open_provider
from pipeline.payment.settings import PaymentSettings
from pipeline.state import Database

BANK_FILE = "bank.sqlite"
_POLL_S = 0.2
_ANSWER_S = 5.0
"""An end waits so long for a provider that is being asked something."""
log = get_logger(__name__)


class EmbeddedPayments:
    """A desk of one store in `folder`.

    A recording (`live` false) is always paid with the test provider, whatever the settings say: what happened in the
    past is not charged again.
    """

    def __init__(
        self, log: EventLog, state_url: str, folder: Path, store_id: str, settings: PaymentSettings, *,
        live: bool, tail: str = "",
    ) -> None:  # fmt: skip
        self._log = log
        self._provider = open_provider(settings.provider if live else "test", folder / BANK_FILE)
        self._database = Database(state_url)
        self._desk = PaymentDesk(
            log, self._database, self._provider, settings, group=f"{GROUP}-{store_id}{tail}", stores=[store_id],
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
        if not self._desk.catch_up(self._log.ends(TOPICS), timeout_s):
            raise EventLogError(f"the event log did not give back within {timeout_s:g} s the receipts written to it")

    def payments(self, visit_ids: Sequence[str] | None = None) -> list[dict[str, Any]]:
        """As `list_payments`; of these visits only."""
        found, wanted = list_payments(self._database), set(visit_ids or ())
        return found if visit_ids is None else [p for p in found if p["visit_id"] in wanted]

    def close(self) -> None:
        self._desk.close()
        self._database.close()
        self._provider.close()


class LivePayments:
    """`EmbeddedPayments` of live cameras in a thread, with a log and database connections of its own.

    What cannot be opened is raised here, what goes wrong later by the next `step`.
    """

    def __init__(self, log_url: str, state_url: str, folder: Path, store_id: str, settings: PaymentSettings) -> None:
        self._database = Database(state_url)
        self._ready, self._changed, self._end = threading.Event(), threading.Event(), threading.Event()
        self._finish_s: float | None = None
        self._error: WalkoutError | None = None
        where = (log_url, state_url, folder, store_id, settings)
        self._thread = threading.Thread(target=self._run, args=where, name="payments", daemon=True)
        self._thread.start()
        self._ready.wait()
        self._raise()

    def step(self) -> bool:
        """Whether payments may have changed since the last time. Waits for nobody."""
        self._raise()
        changed = self._changed.is_set()
        self._changed.clear()
        return changed

    def finish(self, timeout_s: float) -> None:
        """Everything in the log has been taken and every call that was due has been made, unless the provider does not
        answer: what is left is written down, and the next start goes on with it, under the same keys."""
        self._finish_s = timeout_s
        self._end.set()
        self._thread.join(timeout_s + _ANSWER_S)
        if self._thread.is_alive():
            log.warning("payments are left for the next start: the provider does not answer", waited_s=timeout_s)
        self._raise()

    def payments(self, visit_ids: Sequence[str]) -> list[dict[str, Any]]:
        """As `list_payments`; of these visits only."""
        wanted = set(visit_ids)
        return [p for p in list_payments(self._database) if p["visit_id"] in wanted]

    def close(self) -> None:
        self._end.set()
        self._thread.join(_ANSWER_S)
        self._database.close()

    def _raise(self) -> None:
        if self._error is not None:
            raise self._error

    def _run(
        self, log_url: str, state_url: str, folder: Path, store_id: str, settings: PaymentSettings
    ) -> None:  # fmt: skip
        try:
            with ExitStack() as stack:
                event_log = open_log(log_url)
                stack.callback(event_log.close)
                desk = EmbeddedPayments(event_log, state_url, folder, store_id, settings, live=True)
                stack.callback(desk.close)
                self._ready.set()
                while not self._end.is_set():
                    if desk.step(_POLL_S):
                        self._changed.set()
                if self._finish_s is not None:
                    desk.finish(self._finish_s)
                    self._changed.set()
        except WalkoutError as error:
            self._error = error
        except Exception as error:  # a fault of ours: the shop must not go on as if it were paid
            log.exception("payments have stopped")
            self._error = PaymentError(f"payments have stopped: {type(error).__name__}: {error}")
        finally:
            self._ready.set()
