# SPDX-License-Identifier: AGPL-3.0-or-later
"""Webhooks over HTTP: an unanswered call is asked about as soon as its webhook comes."""

import pytest

pytest.importorskip("fastapi", reason="needs FastAPI: pip install 'walkout[web]'")
from fastapi.testclient import TestClient

from pipeline.payment.webhooks import sign
from pipeline.web import create_app
from pipeline.web.payments import payment_router
from tests.unit.payment.shop import T0, S, Shop, receipt


@pytest.fixture
def post(shop: Shop):
    client = TestClient(create_app(payment_router({"test": shop.bank}, shop.database)))

    def post(body, headers=None, provider="test"):
        signed = sign(shop.bank.secret, "w1", T0 // S, body) if headers is None else headers
        return client.post(f"/payments/webhooks/{provider}", content=body, headers=signed)

    return post


def test_a_webhook_is_taken_once_and_brings_the_next_call_forward(shop, post):
    shop.rule("timeout-after", kind="capture")
    shop.tell(receipt(200))
    assert shop.told() == []
    body = next(body for _, _, body in shop.bank.webhooks() if b"capture" in body)
    assert post(body).json() == {"taken": True}
    assert post(body).json() == {"taken": False}
    shop.settle()  # no time has passed
    assert [t.status for t in shop.told()] == ["paid"]


def test_what_the_provider_did_not_sign_is_refused(shop, post):
    assert post(b"{}", headers={}).status_code == 400
    assert "signature" in post(b"{}", headers=sign("guess", "w", T0 // S, b"{}")).json()["error"]
    assert post(b"{}", provider="cash").status_code == 404
