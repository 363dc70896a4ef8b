# SPDX-License-Identifier: AGPL-3.0-or-later
"""`GateDesk`: whether a gate opens. It believes a pass, a card, a badge or a voucher, and remembers whom it let in.

The order matters. What was shown is checked first, which needs no database. Then one transaction decides everything
that two gates could decide differently at once: that the pass was not used, that the shopper is not inside. A hold is
asked for after that and outside of any transaction, since a payment provider may take seconds.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, Protocol

from sqlalchemy import Connection, select

from calibration.layout import StoreLayout
from pipeline.errors import PaymentDeclinedError, PaymentError, StateError
from pipeline.gate.entries import ASKING, OPEN, REFUSED, Entries, Entry
from pipeline.gate.entry_settings import EntrySettings
from pipeline.gate.present import visit_id_of
from pipeline.gate.readers import token_digest
from pipeline.gate.tables import gate_tokens
from pipeline.observe.metrics import GATE_TAPS
from pipeline.passes.keys import KeyRing
from pipeline.passes.refused import DISPLAY, PassRefused
from pipeline.passes.token import Pass, PassChecker
from pipeline.passes.vouchers import VoucherChecker
from pipeline.state import Database
from pipeline.texts import translations

logger = logging.getLogger(__name__)

S = 1_000_000_000
Way = Literal["pass", "card", "badge", "voucher"]
WELCOME = {"entry": "Welcome!", "staff": "Welcome, colleague.", "bring": "Welcome! You are on your friend's visit."}
WELCOME_PARTY = "Welcome! {admits} of you may come in."
_READER_CLOCK_NS = 2 * S
"""A reader's own time is believed as far as this from ours: it knows when the pass was shown, we when it arrived."""
_LATER_NS = 10 * S
"""A reader sends the same tap again, with the same time, when it heard no answer; a card that is shown again later than
this is another tap."""
_TIDY_EVERY_NS = 3600 * S
_REFUSALS_KEPT_NS = 30 * 24 * 3600 * S


class HoldPayments(Protocol):
    """The payment desk's side of an entry."""

    def authorise(
        self, shopper_id: str, amount_minor: int, currency: str, idempotency_key: str, *, store_id: str
    ) -> str: ...


@dataclass(frozen=True)
class Answer:
    """What a gate is told. `reason` is `open` or a key of `pipeline.passes.refused.DISPLAY`."""

    open: bool
    reason: str
    display: str
    visit_id: str | None = None
    admits: int = 0


class GateDesk:
    """Answers taps of one store; safe to use from several threads and processes on one database.

    Args:
        ring: gives the key ring as it is now; None where passes are not used.
        payments: asked for a hold when `settings.authorise_minor` is more than 0.
        clock: ns since the Unix epoch.
    """

    def __init__(
        self,
        layout: StoreLayout,
        database: Database,
        settings: EntrySettings,
        *,
        ring: Callable[[], KeyRing] | None = None,
        payments: HoldPayments | None = None,
        clock: Callable[[], int] = time.time_ns,
    ) -> None:
        self._layout, self._database, self._settings = layout, database, settings
        self._passes = None if ring is None else PassChecker(ring, layout.store_id, skew_s=settings.skew_s)
        self._vouchers = VoucherChecker(settings.issuers, layout.store_id, settings.skew_s)
        self._payments, self._clock = payments, clock
        self._said = translations(settings.language).gettext
        self._noted_ns: dict[tuple[str, str], int] = {}
        self._tidied_ns = 0
        self.store_id = layout.store_id
        self.entries = Entries(database, layout.store_id)
        self.gates = frozenset(gate.id for gate in layout.gates)

    def tap(self, gate_id: str, way: Way, text: str, shown_ns: int | None = None) -> Answer:
        """Whether the gate opens for what was shown at it. Never raises: a gate must say something.

        The same tap again (same gate, same `shown_ns`, what was shown is still good) is answered as it was when it
        opened, as long as the visit is open: the reader heard no answer, and the shopper stands before a shut gate.
        """
        now_ns = self._clock()
        at_ns = now_ns if shown_ns is None or abs(shown_ns - now_ns) > _READER_CLOCK_NS else shown_ns
        answer = self._answer(gate_id, way, text, at_ns, now_ns, shown_ns)
        self._tidy(now_ns)
        GATE_TAPS.labels(gate_id, answer.reason).inc()
        return answer

    def _answer(self, gate_id: str, way: Way, text: str, at_ns: int, now_ns: int, shown_ns: int | None) -> Answer:
        try:
            return self._tap(gate_id, way, text, at_ns, now_ns, shown_ns)
        except PassRefused as refused:
            return self._refuse(gate_id, now_ns, refused)
        except StateError as error:
            logger.error("gate %s: %s", gate_id, error)
            return self.unavailable()
        except Exception:
            logger.exception("gate %s: a tap could not be answered", gate_id)
            return self.unavailable()

    def unavailable(self) -> Answer:
        """For a gate that cannot find out whether to open."""
        return Answer(False, "unavailable", self._said(DISPLAY["unavailable"]))

    def join(self, shopper_id: str, visit_id: str) -> bool:
        """Staff put an open visit (of somebody without a pass, or of another shopper) onto a shopper's bill; False when
        either is not in the shop."""
        now_ns = self._clock()

        def write(db: Connection) -> bool:
            into = self.entries.inside(db, shopper_id, now_ns)
            other = next((e for e in self.entries.open_in(db) if e.entry_id == visit_id), None)
            if into is None or other is None or into.entry_id == visit_id:
                return False
            join_id = f"{into.entry_id}+{visit_id}"
            entry = Entry(join_id, into.gate_id, "join", "staff", shopper_id, 1, now_ns, joins=visit_id)
            self.entries.add(db, entry, OPEN)
            return True

        return self._database.run(write)

    # --- inside ---

    def _tap(self, gate_id: str, way: Way, text: str, at_ns: int, now_ns: int, shown_ns: int | None) -> Answer:
        shown, kind = self._believe(way, text, now_ns, shown_ns)
        entry_id = visit_id_of(self._layout.store_id, gate_id, at_ns, shown.shopper_id)
        if kind == "bring":  # opens no visit
            entry_id += "+bring"
        admits = 1 if kind == "bring" else shown.admits  # each who is brought in has a pass, and a place, of their own
        entry = Entry(entry_id, gate_id, kind, way, shown.shopper_id, admits, at_ns)
        holds = kind == "entry" and self._payments is not None and self._settings.authorise_minor > 0
        with self._database.transaction() as db:
            before = self._tapped_before(db, entry, shown, shown_ns)
            if before is None:
                self._admit(db, entry, shown, ASKING if holds else OPEN, now_ns)
            else:
                entry, holds = before, holds and self.entries.state(db, before.entry_id) == ASKING
        if holds:  # asked twice for one visit the provider answers the same
            self._hold(entry)
        party = kind == "entry" and entry.admits > 1
        display = self._said(WELCOME_PARTY if party else WELCOME[kind]).format(admits=entry.admits)
        return Answer(True, "open", display, entry.entry_id, entry.admits)

    def _believe(self, way: Way, text: str, now_ns: int, shown_ns: int | None) -> tuple[Pass, str]:
        """What was shown, and as whom it lets somebody in."""
        now_s = now_ns / S
        if way == "pass" and self._passes is not None:
            shown = self._passes.check(text, now_s)
            return shown, "bring" if shown.brings else "entry"
        if way == "voucher":
            return self._vouchers.check(text, now_s), "entry"
        if way in ("card", "badge"):
            return self._token(way, text, now_ns, shown_ns), "staff" if way == "badge" else "entry"
        raise PassRefused("not-a-pass", f"{way} is not used here")

    def _token(self, way: Way, text: str, now_ns: int, shown_ns: int | None) -> Pass:
        if not isinstance(text, str) or not 8 <= len(text) <= 256:
            raise PassRefused("unknown-token", "expected 8 to 256 characters")
        digest = token_digest(text)
        row = gate_tokens.c
        query = select(row.holder_id, row.until_ns).where(
            row.store_id == self._layout.store_id, row.token_digest == digest, row.kind == way
        )
        with self._database.transaction() as db:
            found = db.execute(query).first()
        if found is None:
            if way != "card" or self._settings.unknown_cards != "accept":
                raise PassRefused("unknown-token", f"{way} {digest[:12]}")
            holder = f"card-{digest[:16]}"
        elif found.until_ns is not None and now_ns >= found.until_ns:
            raise PassRefused("token-expired", f"{way} {digest[:12]}")
        else:
            holder = found.holder_id
        # A card is shown many times; only the same tap again, from a reader that heard no answer, is the same use.
        tap_ns = now_ns if shown_ns is None or abs(shown_ns - now_ns) > _LATER_NS else shown_ns
        return Pass(f"{digest[:32]}-{tap_ns // _LATER_NS}", holder, self._layout.store_id, now_ns // S, now_ns // S)

    def _tapped_before(self, db: Connection, entry: Entry, shown: Pass, shown_ns: int | None) -> Entry | None:
        """The entry that this very tap made before, if it did."""
        self.entries.only_one(db, shown.shopper_id)
        before = None if shown_ns is None else self.entries.opened_with(db, shown.number)
        same = before is not None and (before.gate_id, before.way, before.at_ns) == (entry.gate_id, entry.way, shown_ns)
        return before if same else None

    def _admit(self, db: Connection, entry: Entry, shown: Pass, state: str, now_ns: int) -> None:
        """Everything that must be decided once. Raises `PassRefused`, and nothing has been written then."""
        until_ns = round((shown.expires_s + 2 * self._settings.skew_s) * S) + 3600 * S
        if not self.entries.use_pass(db, shown.number, entry.entry_id, now_ns, until_ns):
            raise PassRefused("used", shown.number)
        inside = self.entries.inside(db, shown.shopper_id, now_ns)
        if entry.kind == "entry" and inside is not None:
            raise PassRefused("already-inside", inside.entry_id)
        if entry.kind == "bring" and inside is None:
            raise PassRefused("nobody-to-join", shown.shopper_id)
        self.entries.add(db, entry, state)

    def _hold(self, entry: Entry) -> None:
        """Ask for the hold; a shopper who is refused for it may try again with the next pass."""
        try:
            self._payments.authorise(
                entry.shopper_id, self._settings.authorise_minor, self._layout.currency, entry.entry_id,
                store_id=self._layout.store_id,
            )  # fmt: skip
        except PaymentDeclinedError as error:
            self._end_asking(entry, REFUSED)
            raise PassRefused("payment-declined", str(error)) from None
        except PaymentError as error:
            if self._settings.unanswered_payment == "refuse":
                self._end_asking(entry, REFUSED)
                raise PassRefused("payment-unavailable", str(error)) from None
            logger.warning("gate %s: opened without a hold: %s", entry.gate_id, error)
        self._end_asking(entry, OPEN)

    def _end_asking(self, entry: Entry, state: str) -> None:
        with self._database.transaction() as db:
            self.entries.set_state(db, entry.entry_id, state, self._clock())

    def _tidy(self, now_ns: int) -> None:
        """Once an hour, drop what no answer depends on any more; a few milliseconds with an hour's worth of it."""
        if now_ns - self._tidied_ns < _TIDY_EVERY_NS:
            return
        self._tidied_ns = now_ns
        try:
            self.entries.forget_uses(now_ns)
            self.entries.forget_refusals(now_ns - _REFUSALS_KEPT_NS)
        except StateError as error:
            logger.warning("used passes and old refusals were not dropped: %s", error)

    def _refuse(self, gate_id: str, now_ns: int, refused: PassRefused) -> Answer:
        """What stays shut is noted where it can be; a gate that cannot note it stays shut all the same. One of a kind a
        second and gate: whoever shows garbage in a row fills no disk."""
        answer = Answer(False, refused.reason, self._said(refused.display))
        if now_ns - self._noted_ns.get((gate_id, refused.reason), 0) < S:
            return answer
        self._noted_ns[gate_id, refused.reason] = now_ns
        logger.info("gate %s: %s", gate_id, refused)
        try:
            with self._database.transaction() as db:
                self.entries.refused(db, gate_id, now_ns, refused.reason, refused.detail[:200])
        except StateError as error:
            logger.warning("gate %s: a refusal was not noted: %s", gate_id, error)
        return answer
