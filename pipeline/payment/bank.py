# SPDX-License-Identifier: AGPL-3.0-or-later
"""The built-in test provider: a small bank in one SQLite file that plays no money.

It keeps what a real processor keeps: authorisations, every idempotency key with its answer, undelivered webhooks. So
it does not forget what it did when our process dies. Rules make it decline, time out before or after it did what it was
asked, and send webhooks twice or out of order.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pipeline.errors import PaymentError
from pipeline.payment.bank_rules import FINAL_CODES, Rule
from pipeline.payment.port import (
    Approved,
    Call,
    Declined,
    Kind,
    Money,
    Notice,
    Outcome,
    Payer,
    Unknown,
    outcome_as_dict,
    outcome_from_dict,
)
from pipeline.payment.webhooks import verify

_SCHEMA = """
CREATE TABLE IF NOT EXISTS calls (
    key TEXT PRIMARY KEY, asked TEXT NOT NULL, outcome TEXT NOT NULL, reference TEXT, number INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS authorizations (
    reference TEXT PRIMARY KEY, key TEXT NOT NULL, payer TEXT NOT NULL, currency TEXT NOT NULL,
    amount INTEGER NOT NULL, captured INTEGER NOT NULL DEFAULT 0, refunded INTEGER NOT NULL DEFAULT 0,
    state TEXT NOT NULL,
    CHECK (captured BETWEEN 0 AND amount), CHECK (refunded BETWEEN 0 AND captured)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS rules (number INTEGER PRIMARY KEY, body TEXT NOT NULL, struck INTEGER NOT NULL DEFAULT 0);
CREATE TABLE IF NOT EXISTS strikes (
    rule INTEGER NOT NULL, key TEXT NOT NULL, count INTEGER NOT NULL, PRIMARY KEY (rule, key)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS webhooks (
    number INTEGER PRIMARY KEY AUTOINCREMENT, place REAL NOT NULL, notice_id TEXT NOT NULL, body TEXT NOT NULL,
    delivered INTEGER NOT NULL DEFAULT 0
);
"""


class Bank:
    """The test provider on its own file, made when it is not there. Safe to use from several threads.

    Args:
        path: the file; `:memory:` for one that forgets.
        secret: what its webhooks are signed with.
    """

    name = "test"
    parallel = 1
    remembers_keys_s = float("inf")

    def __init__(
        self, path: Path | str, secret: str = "test-webhook-secret", clock: Callable[[], float] = time.time
    ) -> None:
        self.path, self.secret, self._clock = path, secret, clock
        self._lock = threading.Lock()
        try:
            if path != ":memory:":
                Path(path).parent.mkdir(parents=True, exist_ok=True)
            self._db = sqlite3.connect(path, timeout=30, isolation_level=None, check_same_thread=False)
            self._db.execute("PRAGMA journal_mode = WAL")
            self._db.execute("PRAGMA synchronous = FULL")
            self._db.executescript(_SCHEMA)
        except (sqlite3.Error, OSError) as error:
            raise PaymentError(f"test payment provider {path}: cannot be opened: {error}") from None

    # --- the port ---

    def authorize(self, key: str, money: Money, payer: Payer) -> Outcome:
        return self._call("authorize", key, money, payer.shopper_id, None)

    def capture(self, key: str, reference: str, money: Money) -> Outcome:
        return self._call("capture", key, money, None, reference)

    def cancel(self, key: str, reference: str) -> Outcome:
        return self._call("cancel", key, None, None, reference)

    def refund(self, key: str, reference: str, money: Money) -> Outcome:
        return self._call("refund", key, money, None, reference)

    def look_up(self, call: Call) -> Outcome | None:
        return self.answer_to(call.key)

    def notice(self, headers: Mapping[str, str], body: bytes) -> Notice | None:
        return self.read_notice(verify(self.secret, headers, body, self._clock()), body)

    @staticmethod
    def read_notice(notice_id: str, body: bytes) -> Notice:
        content = json.loads(body)
        return Notice(notice_id, content["type"], content["key"], content["reference"])

    def close(self) -> None:
        self._db.close()

    # --- what a test asks of it ---

    def add_rule(self, rule: Rule) -> None:
        """Rules added later go first."""
        with self._transaction() as db:
            db.execute("INSERT INTO rules (body) VALUES (?)", (rule.as_json(),))

    def answer_to(self, key: str) -> Outcome | None:
        with self._transaction() as db:
            row = db.execute("SELECT outcome FROM calls WHERE key = ?", (key,)).fetchone()
        return None if row is None else outcome_from_dict(json.loads(row[0]))

    def authorizations(self) -> list[dict[str, Any]]:
        """All authorisations with what was captured and refunded, by idempotency key."""
        query = "SELECT reference, key, payer, currency, amount, captured, refunded, state FROM authorizations"
        with self._transaction() as db:
            rows = db.execute(query + " ORDER BY key").fetchall()
        names = ("reference", "key", "payer", "currency", "amount", "captured", "refunded", "state")
        return [dict(zip(names, row, strict=True)) for row in rows]

    def expire(self, reference: str) -> None:
        """End a hold from the provider's side, as processors do after some days."""
        with self._transaction() as db:
            db.execute(
                "UPDATE authorizations SET state = 'expired' WHERE reference = ? AND state = 'held'", (reference,)
            )

    def webhooks(self, limit: int = 100) -> list[tuple[int, str, bytes]]:
        """(number, notice id, body) of what is still to be delivered, in the order of delivery."""
        query = "SELECT number, notice_id, body FROM webhooks WHERE NOT delivered ORDER BY place, number LIMIT ?"
        with self._transaction() as db:
            return [(n, i, body.encode()) for n, i, body in db.execute(query, (limit,)).fetchall()]

    def delivered(self, number: int) -> None:
        with self._transaction() as db:
            db.execute("UPDATE webhooks SET delivered = 1 WHERE number = ?", (number,))

    # --- inside ---

    def _call(self, kind: Kind, key: str, money: Money | None, payer: str | None, reference: str | None) -> Outcome:
        asked = json.dumps([kind, money and [money.amount_minor, money.currency], payer, reference])
        with self._transaction() as db:
            struck = self._strike(db, kind, key, payer or self._payer_of(db, reference))
            if "timeout-before" in struck:
                return Unknown("the provider did not answer in time")
            before = db.execute("SELECT asked, outcome FROM calls WHERE key = ?", (key,)).fetchone()
            if before is None:
                code = next((o.partition(":")[2] for o in struck if o.startswith("decline:")), None)
                if code is not None:
                    outcome: Outcome = Declined(code, code.replace("_", " "), code in FINAL_CODES)
                else:
                    outcome = _DO[kind](db, key, money, payer, reference)
                self._remember(db, kind, key, asked, outcome, reference, struck)
            elif before[0] != asked:
                outcome = Declined("idempotency_mismatch", f"key {key} was used for something else", final=True)
            else:
                outcome = outcome_from_dict(json.loads(before[1]))
        return Unknown("the provider did not answer in time") if "timeout-after" in struck else outcome

    def _strike(self, db: sqlite3.Connection, kind: Kind, key: str, payer: str) -> set[str]:
        """What the rules want of this call, and note that they struck."""
        found: set[str] = set()
        for number, body, struck in db.execute("SELECT number, body, struck FROM rules ORDER BY number DESC"):
            rule = Rule.from_json(body)
            if not rule.is_about(kind, key, payer) or (rule.times is not None and struck >= rule.times):
                continue
            of_key = db.execute("SELECT count FROM strikes WHERE rule = ? AND key = ?", (number, key)).fetchone()
            if rule.per_key is not None and of_key is not None and of_key[0] >= rule.per_key:
                continue
            found.add(rule.outcome)
            db.execute("UPDATE rules SET struck = struck + 1 WHERE number = ?", (number,))
            db.execute(
                "INSERT INTO strikes VALUES (?, ?, 1) ON CONFLICT DO UPDATE SET count = count + 1", (number, key)
            )
        return found

    @staticmethod
    def _payer_of(db: sqlite3.Connection, reference: str | None) -> str:
        row = db.execute("SELECT payer FROM authorizations WHERE reference = ?", (reference,)).fetchone()
        return row[0] if row else ""

    @staticmethod
    def _remember(db, kind, key, asked, outcome, reference, struck) -> None:
        about = outcome.reference if kind == "authorize" and isinstance(outcome, Approved) else reference
        number = db.execute("SELECT count(*) FROM calls").fetchone()[0]
        answer = json.dumps(outcome_as_dict(outcome))
        db.execute("INSERT INTO calls VALUES (?, ?, ?, ?, ?)", (key, asked, answer, about, number))
        result = type(outcome).__name__.lower()
        body = json.dumps({"type": f"{kind}.{result}", "key": key, "reference": about})
        notice = (f"wh_{_digest(key, result)}", body)
        place = number + (1.5 if "webhook-late" in struck else 0)
        for _ in range(2 if "webhook-twice" in struck else 1):
            db.execute("INSERT INTO webhooks (place, notice_id, body) VALUES (?, ?, ?)", (place, *notice))

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            try:
                self._db.execute("BEGIN IMMEDIATE")
                try:
                    yield self._db
                    self._db.execute("COMMIT")
                except BaseException:
                    if self._db.in_transaction:
                        self._db.execute("ROLLBACK")
                    raise
            except sqlite3.Error as error:
                raise PaymentError(f"test payment provider {self.path}: {error}") from error


def _authorize(db, key: str, money: Money, payer: str, _reference) -> Outcome:
    if money.amount_minor == 0:
        return Declined("invalid_amount", "an authorisation must be of at least one minor unit", final=True)
    reference = f"auth_{_digest(key)}"
    db.execute(
        "INSERT INTO authorizations (reference, key, payer, currency, amount, state) VALUES (?, ?, ?, ?, ?, 'held')",
        (reference, key, payer, money.currency, money.amount_minor),
    )
    return Approved(reference)


def _capture(db, _key, money: Money, _payer, reference: str) -> Outcome:
    row = _found(db, reference)
    if row is None or row[0] != "held":
        return Declined("not_held", f"{reference} is {row[0] if row else 'unknown'}, expected a hold", final=True)
    _, currency, amount, _, _ = row
    if currency != money.currency or not 0 < money.amount_minor <= amount:
        text = f"{reference} holds {amount} {currency}, asked for {money.amount_minor} {money.currency}"
        return Declined("invalid_amount", text, final=True)
    db.execute(
        "UPDATE authorizations SET state = 'captured', captured = ? WHERE reference = ?",
        (money.amount_minor, reference),
    )
    return Approved(reference)


def _cancel(db, _key, _money, _payer, reference: str) -> Outcome:
    row = _found(db, reference)
    if row is None or row[0] == "captured":
        return Declined("not_held", f"{reference} is {row[0] if row else 'unknown'}, expected a hold", final=True)
    db.execute("UPDATE authorizations SET state = 'cancelled' WHERE reference = ?", (reference,))
    return Approved(reference)


def _refund(db, key: str, money: Money, _payer, reference: str) -> Outcome:
    row = _found(db, reference)
    left = row[3] - row[4] if row else 0
    if row is None or row[1] != money.currency or not 0 < money.amount_minor <= left:
        text = f"{left} of {reference} can be refunded, asked for {money.amount_minor} {money.currency}"
        return Declined("invalid_amount", text, final=True)
    db.execute("UPDATE authorizations SET refunded = refunded + ? WHERE reference = ?", (money.amount_minor, reference))
    return Approved(f"refund_{_digest(key)}")


_DO = {"authorize": _authorize, "capture": _capture, "cancel": _cancel, "refund": _refund}


def _found(db, reference: str):
    query = "SELECT state, currency, amount, captured, refunded FROM authorizations WHERE reference = ?"
    return db.execute(query, (reference,)).fetchone()


def _digest(*parts: str) -> str:
    return hashlib.sha256("\x1f".join(parts).encode()).hexdigest()[:24]
