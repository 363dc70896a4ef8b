# SPDX-License-Identifier: AGPL-3.0-or-later
"""The test provider as a process of its own: a server round a `Bank`, and the provider that talks to it.

A crash of our process does not touch it, as it would not touch a real processor. The server also delivers the bank's
webhooks to an address of ours, signed, again until they are taken.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from typing import Any

import httpx
from fastapi import APIRouter, FastAPI
from pydantic import BaseModel, ConfigDict, Field

from pipeline.payment.bank import Bank
from pipeline.payment.bank_rules import Rule
from pipeline.payment.port import (
    Call,
    Kind,
    Money,
    Notice,
    Outcome,
    Payer,
    Unknown,
    outcome_as_dict,
    outcome_from_dict,
)
from pipeline.payment.port import make as make_call
from pipeline.payment.webhooks import sign, verify


class Asked(BaseModel):
    """The body of a call."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    key: str = Field(min_length=1, max_length=255)
    amount_minor: int = Field(ge=0)
    currency: str = Field(pattern=r"^[A-Z]{3}$")
    shopper_id: str
    reference: str | None = None


def bank_app(bank: Bank, hang_s: float = 30.0) -> FastAPI:
    """The bank's API. `hang_s`: how long a time-out that a rule wants lasts before the server gives up itself."""
    router = APIRouter(prefix="/v1")

    @router.post("/calls/{kind}")
    def call(kind: Kind, asked: Asked) -> dict[str, Any]:
        money = Money(asked.amount_minor, asked.currency)
        outcome = make_call(bank, Call(kind, asked.key, money, Payer(asked.shopper_id), asked.reference))
        if isinstance(outcome, Unknown):
            time.sleep(hang_s)
        return outcome_as_dict(outcome)

    @router.get("/calls")
    def look_up(key: str) -> dict[str, Any] | None:
        outcome = bank.answer_to(key)
        return None if outcome is None else outcome_as_dict(outcome)

    @router.get("/authorizations")
    def authorizations() -> list[dict[str, Any]]:
        return bank.authorizations()

    @router.post("/rules")
    def add_rule(rule: Rule) -> None:
        bank.add_rule(rule)

    app = FastAPI(title="walkout test payment provider")
    app.include_router(router)
    return app


class Deliverer:
    """Sends a bank's webhooks to `url` from a thread of its own, one after the other, again until answered 2xx."""

    def __init__(self, bank: Bank, url: str, pause_s: float = 0.2) -> None:
        self._bank, self._url, self._pause_s = bank, url, pause_s
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="webhooks", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        with httpx.Client(timeout=5) as client:
            while not self._stop.wait(self._pause_s):
                for number, notice_id, body in self._bank.webhooks():
                    headers = sign(self._bank.secret, notice_id, int(time.time()), body)
                    try:
                        taken = client.post(self._url, content=body, headers=headers).is_success
                    except httpx.HTTPError:
                        taken = False
                    if not taken:
                        break
                    self._bank.delivered(number)

    def close(self) -> None:
        self._stop.set()
        self._thread.join()


class BankOverHttp:
    """The provider `test+http://HOST:PORT`."""

    name = "test"
    parallel = 8
    remembers_keys_s = float("inf")

    def __init__(self, url: str, secret: str = "test-webhook-secret", timeout_s: float = 5.0) -> None:
        self._url, self._secret = url, secret
        self._client = httpx.Client(base_url=url, timeout=timeout_s)

    def authorize(self, key: str, money: Money, payer: Payer) -> Outcome:
        return self._call("authorize", key, money, payer.shopper_id, None)

    def capture(self, key: str, reference: str, money: Money) -> Outcome:
        return self._call("capture", key, money, "", reference)

    def cancel(self, key: str, reference: str) -> Outcome:
        return self._call("cancel", key, Money(0, "XXX"), "", reference)

    def refund(self, key: str, reference: str, money: Money) -> Outcome:
        return self._call("refund", key, money, "", reference)

    def look_up(self, call: Call) -> Outcome | None:
        return self._answer(lambda: self._client.get("/v1/calls", params={"key": call.key}))

    def notice(self, headers: Mapping[str, str], body: bytes) -> Notice | None:
        notice_id = verify(self._secret, headers, body, time.time())
        return Bank.read_notice(notice_id, body)

    def close(self) -> None:
        self._client.close()

    def _call(self, kind: Kind, key: str, money: Money, shopper_id: str, reference: str | None) -> Outcome:
        asked = Asked(
            key=key, amount_minor=money.amount_minor, currency=money.currency, shopper_id=shopper_id,
            reference=reference,
        )  # fmt: skip
        answer = self._answer(lambda: self._client.post(f"/v1/calls/{kind}", json=asked.model_dump()))
        return answer or Unknown(f"{self._url} gave an empty answer")

    def _answer(self, ask) -> Outcome | None:
        try:
            response = ask()
            response.raise_for_status()
            body = response.json()
            return None if body is None else outcome_from_dict(body)
        except (httpx.HTTPError, ValueError) as error:
            return Unknown(f"{self._url}: {type(error).__name__}: {error}")
