# SPDX-License-Identifier: AGPL-3.0-or-later
"""The test provider: what every other test of payments stands on."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from pipeline.errors import PaymentError, SignatureError
from pipeline.payment.bank import Bank
from pipeline.payment.bank_rules import Rule
from pipeline.payment.port import Approved, Declined, Money, Payer, Unknown
from pipeline.payment.providers import file_beside, open_provider
from pipeline.payment.webhooks import TOLERANCE_S, sign

ANNA, FIVE = Payer("anna"), Money(500, "EUR")


@pytest.fixture
def bank(tmp_path):
    bank = Bank(tmp_path / "bank.sqlite", clock=lambda: 1_700_000_000)
    yield bank
    bank.close()


def test_remembers_keys_over_a_restart(bank, tmp_path):
    first = bank.authorize("k", FIVE, ANNA)
    again = Bank(tmp_path / "bank.sqlite")
    assert again.authorize("k", FIVE, ANNA) == first
    assert again.authorize("k", Money(501, "EUR"), ANNA).code == "idempotency_mismatch"
    assert len(again.authorizations()) == 1
    again.close()


def test_takes_no_more_than_is_held_and_gives_no_more_than_was_taken(bank):
    held = bank.authorize("a", FIVE, ANNA).reference
    assert bank.capture("c1", held, Money(501, "EUR")).code == "invalid_amount"
    assert bank.capture("c2", held, Money(300, "USD")).code == "invalid_amount"
    assert bank.capture("c3", held, Money(300, "EUR")) == Approved(held)
    assert bank.capture("c4", held, Money(100, "EUR")).code == "not_held"
    assert isinstance(bank.refund("r1", held, Money(200, "EUR")), Approved)
    assert bank.refund("r2", held, Money(101, "EUR")).code == "invalid_amount"
    assert bank.cancel("x", held).code == "not_held"
    (row,) = bank.authorizations()
    assert (row["captured"], row["refunded"], row["state"]) == (300, 200, "captured")


@pytest.mark.parametrize("outcome, done", [("timeout-before", 0), ("timeout-after", 1)])
def test_time_outs_before_and_after_the_deed(bank, outcome, done):
    bank.add_rule(Rule(outcome=outcome))
    assert isinstance(bank.authorize("k", FIVE, ANNA), Unknown)
    assert len(bank.authorizations()) == done
    assert isinstance(bank.authorize("k", FIVE, ANNA), Approved)
    assert len(bank.authorizations()) == 1


def test_declines_are_remembered_by_their_key(bank):
    bank.add_rule(Rule(outcome="decline:insufficient_funds", times=1))
    declined = Declined("insufficient_funds", "insufficient funds")
    assert [bank.authorize("k", FIVE, ANNA), bank.authorize("k", FIVE, ANNA)] == [declined, declined]
    assert isinstance(bank.authorize("k2", FIVE, ANNA), Approved)


def test_a_share_strikes_the_same_keys_whenever_they_come():
    rule = Rule(outcome="decline:do_not_honor", share=0.3)
    struck = {k for k in range(1000) if rule.is_about("authorize", f"key-{k}", "anna")}
    assert 250 < len(struck) < 350
    assert struck == {k for k in reversed(range(1000)) if rule.is_about("capture", f"key-{k}", "anna")}


def test_webhooks_come_twice_and_out_of_order_on_demand(bank):
    bank.add_rule(Rule(outcome="webhook-late", kind="authorize"))
    bank.add_rule(Rule(outcome="webhook-twice", kind="capture"))
    held = bank.authorize("a", FIVE, ANNA).reference
    bank.capture("c", held, FIVE)
    notices = []
    for number, notice_id, body in bank.webhooks():
        notices.append(bank.notice(sign(bank.secret, notice_id, 1_700_000_000, body), body))
        bank.delivered(number)
    assert [n.kind for n in notices] == ["capture.approved", "capture.approved", "authorize.approved"]
    assert notices[0] == notices[1] and bank.webhooks() == []


@pytest.mark.parametrize(
    "change, text",
    [
        (lambda h, b: ({}, b), "is missing"),
        (lambda h, b: (h, b + b" "), "not of this body"),
        (lambda h, b: ({**h, "webhook-id": "other"}, b), "not of this body"),
        (lambda h, b: ({**h, "webhook-signature": "v1,"}, b), "not of this body"),
        (lambda h, b: ({**h, "webhook-signature": "v1,\u00e9"}, b), "not of this body"),
        (lambda h, b: ({**h, "webhook-timestamp": "soon"}, b), "whole seconds"),
        (lambda h, b: (sign("test-webhook-secret", "w", 1_700_000_000 - TOLERANCE_S - 1, b), b), "301 s ago"),
        (lambda h, b: (sign("another secret", "w", 1_700_000_000, b), b), "not of this body"),
    ],
)
def test_webhooks_that_nobody_signed(bank, change, text):
    body = b'{"type": "capture.approved", "key": "c", "reference": "a"}'
    headers, body = change(sign(bank.secret, "w", 1_700_000_000, body), body)
    with pytest.raises(SignatureError, match=text):
        bank.notice(headers, body)


@pytest.mark.parametrize("amount, currency", [(-1, "EUR"), (1.5, "EUR"), (1, "eur"), (1, "EURO"), (True, "EUR")])
def test_money_is_whole_minor_units_of_a_currency(amount, currency):
    with pytest.raises(ValueError, match="must be"):
        Money(amount, currency)


def test_a_rule_that_means_nothing_is_refused():
    with pytest.raises(ValidationError):
        Rule(outcome="explode")


@pytest.mark.parametrize("name", ["", "cash", "test:", "test+http:", "test+http://", "stripe+http:"])
def test_a_provider_that_there_is_not(name, tmp_path):
    with pytest.raises(PaymentError, match="expected test"):
        open_provider(name, tmp_path / "bank.sqlite")


def test_the_test_provider_needs_a_file_and_has_one_beside_a_state_in_a_file(tmp_path):
    assert file_beside(f"sqlite:///{tmp_path}/state.sqlite") == tmp_path / "bank.sqlite"
    assert file_beside("sqlite:///state.sqlite") == Path("bank.sqlite")
    assert file_beside("postgresql://walkout@db/walkout") is None
    with pytest.raises(PaymentError, match="test:FILE"):
        open_provider("test", file_beside("postgresql://walkout@db/walkout"))


def test_stripe_without_a_key(monkeypatch):
    monkeypatch.delenv("STRIPE_API_KEY", raising=False)
    with pytest.raises(PaymentError, match="STRIPE_API_KEY"):
        open_provider("stripe")
