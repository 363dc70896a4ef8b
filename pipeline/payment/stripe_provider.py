# SPDX-License-Identifier: AGPL-3.0-or-later
"""Stripe, through Stripe's own library: PaymentIntents with manual capture, Refunds, signed webhooks.

Idempotency keys go as Stripe's own (kept for at least 24 hours, with the answer, be it an error) and into the metadata,
so that an older call can still be looked up. Amounts are ISO 4217 minor units outside and what Stripe calls the
smallest unit inside; the two differ for a few currencies (https://docs.stripe.com/currencies, "special cases").
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import stripe

from pipeline.errors import PaymentError, SignatureError
from pipeline.payment.port import Approved, Call, Declined, Money, Notice, Outcome, Payer, Unknown

TIMEOUT_S = (5.0, 30.0)
"""For the connection and for the answer; Stripe itself may take this long to hear from a bank."""

_FINAL = frozenset({
    "amount_too_small", "authentication_required", "card_not_supported", "currency_not_supported", "expired_card",
    "fraudulent", "incorrect_number", "invalid_account", "lost_card", "new_account_information_available",
    "pickup_card", "requires_action", "restricted_card", "revocation_of_all_authorizations",
    "revocation_of_authorization", "security_violation", "stolen_card", "stop_payment_order",
})  # fmt: skip
"""Declines that do not pass by themselves (https://docs.stripe.com/declines/codes)."""

_HUNDREDFOLD = frozenset({"ISK", "UGX"})  # without decimals in ISO 4217, with two at Stripe
_NOTICES = frozenset({
    "payment_intent.amount_capturable_updated", "payment_intent.canceled", "payment_intent.payment_failed",
    "payment_intent.succeeded", "refund.created", "refund.failed", "refund.updated",
})  # fmt: skip


class StripeProvider:
    """Stripe.

    Args:
        api_key: secret key, `sk_…`.
        webhook_secret: `whsec_…` of the endpoint; None: webhooks are refused.
        base: another address than Stripe's, such as stripe-mock's.
    """

    name = "stripe"
    parallel = 16
    remembers_keys_s = 20 * 3600.0

    def __init__(
        self, api_key: str, webhook_secret: str | None = None, base: str | None = None,
        timeout_s: tuple[float, float] = TIMEOUT_S,
    ) -> None:  # fmt: skip
        self._secret = webhook_secret
        self._stripe = stripe.StripeClient(
            api_key,
            base_addresses={"api": base} if base else None,
            max_network_retries=0,  # the desk repeats, and writes it down
            http_client=stripe.RequestsClient(timeout=timeout_s),
        )

    def authorize(self, key: str, money: Money, payer: Payer) -> Outcome:
        if payer.method is None:
            return Declined("no_payment_method", f"shopper {payer.shopper_id} has no means of payment", final=True)

        def ask() -> Outcome:
            params["amount"] = smallest_units(money)
            try:
                return held(self._stripe.v1.payment_intents.create(params, _once(key)))
            except stripe.IdempotencyError as error:
                # The first try, with the means of payment that the shopper had then, was never answered and may hold
                # money. Stripe's search may be a minute late, so that not finding it settles nothing.
                before = self.look_up(Call("authorize", key, money, payer))
                return before if isinstance(before, Approved) else Unknown(f"asked before: {error.user_message}")

        params = {
            "currency": money.currency.lower(), "payment_method": payer.method,
            "capture_method": "manual", "confirm": True, "off_session": True, "error_on_requires_action": True,
            "metadata": {"walkout_key": key},
        }  # fmt: skip
        if payer.customer:
            params["customer"] = payer.customer
        return self._ask(ask)

    def capture(self, key: str, reference: str, money: Money) -> Outcome:
        def ask() -> Outcome:
            params = {"amount_to_capture": smallest_units(money)}
            return captured(self._stripe.v1.payment_intents.capture(reference, params, _once(key)), money)

        return self._ask(ask, Call("capture", key, money, Payer(""), reference))

    def cancel(self, key: str, reference: str) -> Outcome:
        call = Call("cancel", key, Money(0, "XXX"), Payer(""), reference)
        return self._ask(lambda: released(self._stripe.v1.payment_intents.cancel(reference, {}, _once(key))), call)

    def refund(self, key: str, reference: str, money: Money) -> Outcome:
        def ask() -> Outcome:
            about = {"payment_intent": reference, "metadata": {"walkout_key": key}}
            return given_back(self._stripe.v1.refunds.create({**about, "amount": smallest_units(money)}, _once(key)))

        return self._ask(ask)

    def look_up(self, call: Call) -> Outcome | None:
        intents, refunds = self._stripe.v1.payment_intents, self._stripe.v1.refunds

        def found() -> Outcome | None:
            if call.kind == "authorize":
                key = call.key.replace("\\", "\\\\").replace("'", "\\'")
                hits = intents.search({"query": f"metadata['walkout_key']:'{key}'"}).data
                return held(hits[0]) if hits else None
            if call.kind == "refund":
                made = refunds.list({"payment_intent": call.reference, "limit": 100}).data
                mine = [r for r in made if _key_of(r) == call.key]
                return given_back(mine[0]) if mine else None
            intent = intents.retrieve(call.reference)
            if intent.status == "requires_capture":
                return None
            return released(intent) if call.kind == "cancel" else captured(intent, call.money)

        return self._ask(found)

    def notice(self, headers: Mapping[str, str], body: bytes) -> Notice | None:
        if self._secret is None:
            raise SignatureError("webhook: no secret to check it with; set STRIPE_WEBHOOK_SECRET")
        signature = next((v for k, v in headers.items() if k.lower() == "stripe-signature"), None)
        try:
            event = stripe.Webhook.construct_event(body, signature, self._secret)
        except stripe.SignatureVerificationError as error:
            raise SignatureError(f"webhook: {error.user_message}") from None
        except ValueError as error:
            raise SignatureError(f"webhook: not JSON: {error}") from None
        if event.type not in _NOTICES:
            return None
        about = event.data.object
        refund = about.object == "refund"
        return Notice(event.id, event.type, _key_of(about), about.payment_intent if refund else about.id)

    def close(self) -> None:
        self._stripe._requestor._client.close()

    def _ask(self, ask: Callable[[], Outcome | None], call: Call | None = None):
        """What Stripe's library raises, as an outcome. `call`: ask what became of it when Stripe calls it out of place,
        as it does for a capture that was made and whose key has been forgotten."""
        try:
            return ask()
        except PaymentError as error:
            return Declined("invalid_amount", str(error), final=True)
        except stripe.CardError as error:
            return _declined(error)
        except stripe.IdempotencyError as error:
            return Declined("idempotency_mismatch", str(error), final=True)
        except stripe.InvalidRequestError as error:
            before = self.look_up(call) if call is not None else None
            return before if isinstance(before, Approved | Unknown) else _declined(error)
        except (stripe.AuthenticationError, stripe.PermissionError) as error:
            return Unknown(f"Stripe refuses the API key: {error.user_message}")
        except stripe.StripeError as error:  # not reached, too many requests, key in use just now, an error of theirs
            return Unknown(f"{type(error).__name__}: {error.user_message}")


def held(intent: stripe.PaymentIntent) -> Outcome:
    """What a PaymentIntent that was to be authorised says."""
    if intent.status in ("requires_capture", "succeeded"):
        return Approved(intent.id)
    if intent.status == "processing":
        return Unknown(f"{intent.id} is being processed")
    error = getattr(intent, "last_payment_error", None)
    code = (error and (getattr(error, "decline_code", None) or getattr(error, "code", None))) or intent.status
    return Declined(code, f"{intent.id} is {intent.status}", code in _FINAL)


def captured(intent: stripe.PaymentIntent, money: Money) -> Outcome:
    """What a PaymentIntent that was to be captured says."""
    if intent.status == "succeeded" and intent.amount_received == smallest_units(money):
        return Approved(intent.id)
    if intent.status == "processing":
        return Unknown(f"{intent.id} is being processed")
    text = f"{intent.id} is {intent.status} with {intent.amount_received} captured, asked for {smallest_units(money)}"
    return Declined("not_captured", text, final=True)


def released(intent: stripe.PaymentIntent) -> Outcome:
    """What a PaymentIntent that was to be cancelled says."""
    if intent.status == "canceled":
        return Approved(intent.id)
    return Declined("not_cancelled", f"{intent.id} is {intent.status}", final=True)


def given_back(refund: stripe.Refund) -> Outcome:
    """What a Refund says. A pending one is on its way and no longer ours."""
    if refund.status in ("succeeded", "pending"):
        return Approved(refund.id)
    code = getattr(refund, "failure_reason", None) or refund.status
    return Declined(code, f"{refund.id} is {refund.status}", refund.status == "failed")


def smallest_units(money: Money) -> int:
    """ISO 4217 minor units as Stripe counts them.

    Raises `PaymentError` for an amount that Stripe cannot take (three decimals must end in 0; MGA has none there).
    """
    if money.currency in _HUNDREDFOLD:
        return money.amount_minor * 100
    if money.currency == "MGA":
        if money.amount_minor % 100:
            raise PaymentError(f"Stripe takes whole {money.currency} only, got {money.amount_minor} minor units")
        return money.amount_minor // 100
    if money.currency in ("BHD", "JOD", "KWD", "OMR", "TND") and money.amount_minor % 10:
        raise PaymentError(
            f"Stripe takes {money.currency} with two decimals only, got {money.amount_minor} minor units"
        )
    return money.amount_minor


def _declined(error: stripe.StripeError) -> Declined:
    detail = error.error
    code = getattr(detail, "decline_code", None) or error.code or "invalid_request"
    hopeless = getattr(detail, "advice_code", None) == "do_not_try_again"
    invalid = isinstance(error, stripe.InvalidRequestError)
    return Declined(code, error.user_message or code, hopeless or invalid or code in _FINAL)


def _key_of(made: stripe.StripeObject) -> str | None:
    return getattr(getattr(made, "metadata", None), "walkout_key", None)


def _once(key: str):
    return {"idempotency_key": key}
