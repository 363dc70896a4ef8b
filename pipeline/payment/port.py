# SPDX-License-Identifier: AGPL-3.0-or-later
"""What walkout asks of a card processor, and what it gets back.

Every call carries an idempotency key: asked again with the same key, a provider gives the same answer and does
nothing twice. Answers are values, not exceptions: `Approved`, `Declined`, or `Unknown` when nobody answered in time, in
which case it may or may not have happened, and the same call with the same key finds out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal, Protocol

Kind = Literal["authorize", "capture", "cancel", "refund"]
KINDS: tuple[Kind, ...] = ("authorize", "capture", "cancel", "refund")


@dataclass(frozen=True)
class Money:
    """`amount_minor`: whole minor units, not negative. `currency`: ISO 4217 letters."""

    amount_minor: int
    currency: str

    def __post_init__(self) -> None:
        if type(self.amount_minor) is not int or self.amount_minor < 0:
            raise ValueError(f"an amount must be a whole number of minor units, 0 or more, got {self.amount_minor!r}")
        if not (len(self.currency) == 3 and self.currency.isascii() and self.currency.isupper()):
            raise ValueError(f"a currency must be three capital letters (ISO 4217), got {self.currency!r}")


@dataclass(frozen=True)
class Payer:
    """Who pays, in the provider's own terms. `method`, `customer`: its references, never card numbers."""

    shopper_id: str
    customer: str | None = None
    method: str | None = None


@dataclass(frozen=True)
class Call:
    """One call, as it is written down before it is made.

    `payer`: for `authorize`. `reference`: the authorisation that `capture`, `cancel` and `refund` are about.
    """

    kind: Kind
    key: str
    money: Money
    payer: Payer
    reference: str | None = None


@dataclass(frozen=True)
class Approved:
    """Done. `reference`: the provider's name of the authorisation or refund."""

    reference: str


@dataclass(frozen=True)
class Declined:
    """Refused and nothing done. `final`: asking again with the same means of payment cannot help."""

    code: str
    reason: str
    final: bool = False


@dataclass(frozen=True)
class Unknown:
    """No answer: it may have happened or not."""

    reason: str


Outcome = Approved | Declined | Unknown


@dataclass(frozen=True)
class Notice:
    """What a webhook says, once its signature is right.

    Webhooks come twice, late and in any order, so a notice decides nothing: it is a reason to ask the provider about
    the call that `key` names (or about the authorisation `reference`) now rather than later.
    """

    notice_id: str
    kind: str
    key: str | None
    reference: str | None


class PaymentProvider(Protocol):
    """A card processor. Calls may come from several threads at once, up to `parallel`."""

    name: str
    parallel: int
    remembers_keys_s: float
    """For how long a key is remembered; a call older than that is looked up before it is made again."""

    def authorize(self, key: str, money: Money, payer: Payer) -> Outcome:
        """Hold an amount on the payer's means of payment."""

    def capture(self, key: str, reference: str, money: Money) -> Outcome:
        """Take an amount up to the one held, once; what is left of the hold is released."""

    def cancel(self, key: str, reference: str) -> Outcome:
        """Release a hold of which nothing was captured."""

    def refund(self, key: str, reference: str, money: Money) -> Outcome:
        """Give back part or all of what was captured."""

    def look_up(self, call: Call) -> Outcome | None:
        """What became of a call; None: the provider never carried it out. `Unknown`: it cannot say now."""

    def notice(self, headers: Mapping[str, str], body: bytes) -> Notice | None:
        """A webhook's content; None for a kind that means nothing to us. Raises `SignatureError`."""

    def close(self) -> None: ...


def make(provider: PaymentProvider, call: Call) -> Outcome:
    """Carry out a call."""
    if call.kind == "authorize":
        return provider.authorize(call.key, call.money, call.payer)
    assert call.reference is not None, f"{call.kind} needs the authorisation it is about"
    if call.kind == "capture":
        return provider.capture(call.key, call.reference, call.money)
    if call.kind == "refund":
        return provider.refund(call.key, call.reference, call.money)
    return provider.cancel(call.key, call.reference)


_OUTCOMES = {"approved": Approved, "declined": Declined, "unknown": Unknown}


def outcome_as_dict(outcome: Outcome) -> dict[str, Any]:
    return {"outcome": type(outcome).__name__.lower(), **asdict(outcome)}


def outcome_from_dict(value: Mapping[str, Any]) -> Outcome:
    """The reverse of `outcome_as_dict`; `ValueError` for anything else."""
    rest = dict(value)
    kind = _OUTCOMES.get(rest.pop("outcome", None))
    try:
        if kind is None:
            raise TypeError("no outcome")
        return kind(**rest)
    except TypeError as error:
        raise ValueError(f"not the outcome of a payment call: {dict(value)!r} ({error})") from None
