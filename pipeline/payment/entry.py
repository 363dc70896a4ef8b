# SPDX-License-Identifier: AGPL-3.0-or-later
"""The hold that a gate asks for before it opens."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress

from sqlalchemy import Connection

from pipeline.errors import PaymentDeclinedError, PaymentError
from pipeline.payment.accounts import open_balances
from pipeline.payment.books import UNBOUND, Books, Due, operations_of
from pipeline.payment.plan import Operation
from pipeline.payment.port import Declined, Money, Outcome, PaymentProvider, Unknown, make
from pipeline.payment.settings import PaymentSettings
from pipeline.state import Database


class EntryPayments:
    """Holds at entry, in the same state as the payment desk's: whatever happens to the gate after it has asked, the
    desk finds the hold among its rows and uses it for the visit's receipt or gives it back."""

    def __init__(
        self, database: Database, provider: PaymentProvider, settings: PaymentSettings | None = None,
        clock: Callable[[], int] = time.time_ns,
    ) -> None:  # fmt: skip
        self._database, self._provider = database, provider
        self._books = Books(settings or PaymentSettings(), clock)

    def authorise(
        self, shopper_id: str, amount_minor: int, currency: str, idempotency_key: str, *, store_id: str
    ) -> str:
        """Hold an amount for the visit whose id is `idempotency_key`; the provider's name of the authorisation.

        Asked again, it answers the same. Raises `PaymentDeclinedError` with the reason, and `PaymentError` when the
        provider gave no answer in time.
        """
        visit_id, hold = idempotency_key, Money(amount_minor, currency)

        def begin(db: Connection) -> Due | None:
            self._books.open_visit(db, visit_id, store_id, UNBOUND, shopper_id, hold)
            made = operations_of(db, visit_id)
            return self._books.advance(db, visit_id, []) if not made or made[0].state == "intended" else None

        due = self._database.run(begin)
        if due is not None:
            outcome = self._ask(due)
            self._database.run(lambda db: self._books.conclude(db, due, outcome))
            if isinstance(outcome, Declined):
                raise PaymentDeclinedError(f"the hold was refused: {outcome.reason}")
            if isinstance(outcome, Unknown):
                raise PaymentError(f"the hold of visit {visit_id} was not answered: {outcome.reason}")
        return self._answer(visit_id)

    def owed(self, shopper_id: str) -> dict[str, int]:
        """Open balances of a shopper: currency -> minor units."""
        return {currency: owed for (_, currency), owed in open_balances(self._database, shopper_id).items()}

    def _ask(self, due: Due) -> Outcome:
        with suppress(PaymentError):
            return make(self._provider, due.call)
        return Unknown(f"payment provider {self._provider.name} cannot be reached")

    def _answer(self, visit_id: str) -> str:
        ops: list[Operation] = self._database.run(lambda db: operations_of(db, visit_id))
        hold = next((op for op in ops if op.kind == "authorize"), None)
        if hold is None or hold.reference is None:
            raise PaymentDeclinedError(f"the hold of visit {visit_id} was refused")
        return hold.reference
