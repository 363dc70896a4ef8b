# SPDX-License-Identifier: AGPL-3.0-or-later
"""The Stripe provider: requests against stripe-mock, answers as Stripe's library makes them of what Stripe sends."""

import json
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest

from pipeline.errors import SignatureError
from pipeline.payment.port import Approved, Call, Declined, Money, Payer, Unknown

stripe = pytest.importorskip("stripe", reason="needs Stripe's library: pip install 'walkout[stripe]'")
from pipeline.payment.stripe_provider import StripeProvider, captured, held, released, smallest_units  # noqa: E402

FIVE, ANNA = Money(500, "EUR"), Payer("anna", "cus_1", "pm_1")


@pytest.fixture
def provider(stripe_mock):
    made = StripeProvider("sk_test_123", "whsec_test", base=stripe_mock)
    yield made
    made.close()


# --- what we send: stripe-mock checks it against Stripe's API description ---


def test_every_call_is_one_that_stripe_knows(provider):
    """stripe-mock keeps no state: an intent is never in the state that the call before should have brought it to. So
    a declined answer that names the state says that the request was taken; a wrong one is `invalid_request`."""
    outcomes = [
        provider.authorize("k1", FIVE, ANNA),
        provider.authorize("k2", FIVE, Payer("ben", None, "pm_2")),
        provider.capture("k3", "pi_1", Money(300, "EUR")),
        provider.cancel("k4", "pi_1"),
    ]
    assert [type(o) for o in outcomes] == [Declined] * 4
    assert all("is requires_payment_method" in o.reason for o in outcomes), outcomes
    refunded = provider.refund("k5", "pi_1", Money(50, "EUR"))
    assert isinstance(refunded, Approved) and refunded.reference.startswith("re_")


@pytest.mark.parametrize("kind", ["authorize", "capture", "cancel", "refund"])
def test_every_look_up_is_one_that_stripe_knows(provider, kind):
    found = provider.look_up(Call(kind, "r-it's/v1/0", FIVE, ANNA, "pi_1"))
    assert found is None or "is requires_payment_method" in found.reason


def test_stripe_mock_refuses_what_stripe_does_not_know(stripe_mock):
    """That the test above can fail."""
    client = stripe.StripeClient("sk_test_123", base_addresses={"api": stripe_mock})
    with pytest.raises(stripe.InvalidRequestError):
        client.v1.payment_intents.create({"amount": 500, "currency": "eur", "capture_methods": "manual"})


def test_shopper_without_a_means_of_payment_costs_no_call():
    nowhere = StripeProvider("sk_test_123", base="http://127.0.0.1:1")
    assert nowhere.authorize("k", FIVE, Payer("anna")) == Declined(
        "no_payment_method", "shopper anna has no means of payment", final=True
    )
    nowhere.close()


# --- what we make of the answers ---


@pytest.fixture
def answering():
    """A server that answers every request as told (`found`: status and body for look-ups), and notes the idempotency
    keys."""
    told = {"status": 200, "body": {}, "wait_s": 0.0, "keys": [], "found": None}

    class Answer(BaseHTTPRequestHandler):
        def do_POST(self):
            self.rfile.read(int(self.headers.get("content-length", 0)))
            told["keys"].append(self.headers.get("idempotency-key"))
            time.sleep(told["wait_s"])
            self.answer(told["status"], told["body"])

        def do_GET(self):
            self.answer(*(told["found"] or (told["status"], told["body"])))

        def answer(self, status, body):
            body = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Answer) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        told["url"] = f"http://127.0.0.1:{server.server_port}"
        yield told
        server.shutdown()


def error(kind, code=None, decline_code=None, **rest):
    return {"error": {"type": kind, "code": code, "decline_code": decline_code, "message": "no", **rest}}


@pytest.mark.parametrize(
    "status, body, outcome",
    [
        (200, {"object": "payment_intent", "id": "pi_7", "status": "requires_capture"}, Approved("pi_7")),
        (402, error("card_error", "card_declined", "insufficient_funds"), Declined("insufficient_funds", "no")),
        (402, error("card_error", "card_declined", "stolen_card"), Declined("stolen_card", "no", True)),
        (
            402,
            error("card_error", "card_declined", "generic_decline", advice_code="do_not_try_again"),
            Declined("generic_decline", "no", True),
        ),
        (402, error("card_error", "authentication_required"), Declined("authentication_required", "no", True)),
        (400, error("invalid_request_error", "amount_too_small"), Declined("amount_too_small", "no", True)),
        (400, error("idempotency_error"), Unknown("asked before: no")),
        (409, error("idempotency_error"), Unknown("APIError: no")),
        (401, error("invalid_request_error"), Unknown("Stripe refuses the API key: no")),
        (429, error("invalid_request_error", "rate_limit"), Unknown("RateLimitError: no")),
        (500, error("api_error"), Unknown("APIError: no")),
    ],
)
def test_answers_become_outcomes(answering, status, body, outcome):
    answering.update(status=status, body=body)
    provider = StripeProvider("sk_test_123", base=answering["url"])
    assert provider.authorize("the-key", FIVE, ANNA) == outcome
    assert answering["keys"] == ["the-key"], "one request: repeating is the desk's business"
    provider.close()


@pytest.mark.parametrize("hits, outcome", [(["pi_7"], Approved("pi_7")), ([], Unknown("asked before: no"))])
def test_a_hold_whose_answer_was_lost_is_not_lost_with_the_shoppers_card(answering, hits, outcome):
    """The first try held the money and was never answered; since then the shopper pays with another card, so that
    Stripe takes the repeated key for a mistake."""
    intents = [{"object": "payment_intent", "id": i, "status": "requires_capture"} for i in hits]
    found = {"object": "search_result", "url": "/v1/payment_intents/search", "has_more": False, "data": intents}
    answering.update(status=400, body=error("idempotency_error"), found=(200, found))
    provider = StripeProvider("sk_test_123", base=answering["url"])
    assert provider.authorize("the-key", FIVE, Payer("anna", "cus_1", "pm_2")) == outcome
    provider.close()


def test_no_answer_in_time_and_no_connection_are_unknown(answering):
    answering["wait_s"] = 1.0
    slow = StripeProvider("sk_test_123", base=answering["url"], timeout_s=(1, 0.2))
    assert isinstance(slow.capture("k", "pi_1", FIVE), Unknown)
    nowhere = StripeProvider("sk_test_123", base="http://127.0.0.1:1")
    assert isinstance(nowhere.capture("k", "pi_1", FIVE), Unknown)
    slow.close(), nowhere.close()


def intent(status, **rest):
    values = {"object": "payment_intent", "id": "pi_1", "status": status, "amount_received": 0, **rest}
    return stripe.PaymentIntent.construct_from(values, "key")


def test_states_of_an_intent():
    assert held(intent("requires_capture")) == Approved("pi_1")
    assert isinstance(held(intent("processing")), Unknown)
    assert held(intent("requires_action")).final
    late = {"last_payment_error": {"code": "card_declined", "decline_code": "do_not_honor"}}
    assert held(intent("requires_payment_method", **late)).code == "do_not_honor"
    assert captured(intent("succeeded", amount_received=500), FIVE) == Approved("pi_1")
    assert isinstance(captured(intent("succeeded", amount_received=499), FIVE), Declined)
    assert released(intent("canceled")) == Approved("pi_1")
    assert isinstance(released(intent("succeeded")), Declined)


@pytest.mark.parametrize(
    "amount, currency, units",
    [(500, "EUR", 500), (500, "JPY", 500), (500, "ISK", 50_000), (500, "MGA", 5), (1_230, "KWD", 1_230)],
)
def test_smallest_units(amount, currency, units):
    assert smallest_units(Money(amount, currency)) == units


def test_amount_that_stripe_cannot_take_is_declined_for_good(provider):
    assert provider.authorize("k", Money(1_234, "KWD"), ANNA).code == "invalid_amount"


# --- webhooks: signed with the library's own routine ---

BODY = json.dumps(
    {
        "id": "evt_1", "object": "event", "type": "payment_intent.succeeded",
        "data": {"object": {"id": "pi_1", "object": "payment_intent", "metadata": {"walkout_key": "k1"}}},
    }
)  # fmt: skip


def signed(body, secret="whsec_test", at_s=None):
    return {"Stripe-Signature": stripe.WebhookSignature.generate_signature_header(body, secret, at_s)}


def test_webhooks(provider):
    notice = provider.notice(signed(BODY), BODY.encode())
    assert (notice.notice_id, notice.key, notice.reference) == ("evt_1", "k1", "pi_1")
    other = BODY.replace("payment_intent.succeeded", "customer.created")
    assert provider.notice(signed(other), other.encode()) is None


@pytest.mark.parametrize(
    "headers, body",
    [
        ({}, BODY),
        (signed(BODY, "whsec_other"), BODY),
        (signed(BODY), BODY + " "),
        (signed(BODY, at_s=int(time.time()) - 3600), BODY),
        ({"Stripe-Signature": "t=x,v1=y"}, BODY),
        (signed("[1"), "[1"),
    ],
    ids=["none", "other secret", "other body", "old", "garbage", "not JSON"],
)
def test_webhooks_that_stripe_did_not_sign(provider, headers, body):
    with pytest.raises(SignatureError, match="webhook"):
        provider.notice(headers, body.encode())
