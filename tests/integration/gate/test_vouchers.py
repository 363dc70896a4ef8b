# SPDX-License-Identifier: AGPL-3.0-or-later
"""Vouchers of an outside identity provider at the gates' desk; the provider's keys are fetched from a real address."""

import base64
import json
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from pipeline.passes.vouchers import Issuer


class Identity:
    """An identity provider with a key set at a real address."""

    def __init__(self) -> None:
        self.key = ec.generate_private_key(ec.SECP256R1())
        jwk = {**jwt.algorithms.ECAlgorithm.to_jwk(self.key.public_key(), as_dict=True), "kid": "k1", "use": "sig"}
        body = json.dumps({"keys": [jwk]}).encode()

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                self.send_response(200)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_port}/jwks.json"

    def voucher(self, now_s: float, key=None, alg="ES256", **change) -> str:
        claims = {
            "iss": "https://id.example", "aud": "walkout:shop", "sub": "4711", "iat": int(now_s),
            "exp": int(now_s) + 60, "jti": "n-1", **change,
        }  # fmt: skip
        return jwt.encode(claims, key or self.key, alg, headers={"kid": "k1"})


@pytest.fixture(scope="module")
def identity():
    identity = Identity()
    yield identity
    identity.server.shutdown()
    identity.server.server_close()


@pytest.fixture
def voucher_desk(make_desk, identity):
    issuer = Issuer(
        issuer="https://id.example", audience="walkout:{store}", algorithms=["ES256"], jwks_url=identity.url,
        prefix="bank-",
    )  # fmt: skip
    return make_desk(issuers=(issuer,))


def test_an_outside_provider_vouches_for_a_shopper(voucher_desk, identity, clock):
    voucher = identity.voucher(clock.s)
    assert voucher_desk.tap("gate", "voucher", voucher).open
    assert voucher_desk.tap("gate", "voucher", voucher).reason == "used"
    ((_, tap),) = voucher_desk.entries.waiting()
    assert tap.shopper_id == "bank-4711"


def test_customers_whose_names_begin_alike_are_not_one_shopper(voucher_desk, identity, clock):
    subjects = ["x" * 64, "x" * 64 + "1", "x" * 64 + "2", "a\0", "a"]
    for number, subject in enumerate(subjects):
        assert voucher_desk.tap("gate", "voucher", identity.voucher(clock.s, sub=subject, jti=f"n-{number}")).open
    shoppers = [tap.shopper_id for _, tap in voucher_desk.entries.waiting()]
    assert len(set(shoppers)) == len(subjects) and "bank-" + "x" * 64 in shoppers
    assert all(len(shopper) <= 80 and shopper.isprintable() for shopper in shoppers)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"iss": "https://else.example"}, "unknown-issuer"),
        ({"aud": "walkout:elsewhere"}, "other-store"),
        ({"iat": -400, "exp": -340}, "expired"),
        ({"iat": -400, "exp": 10_000}, "expired"),  # good for longer than we allow
        ({"iat": 100, "exp": 160}, "not-yet"),
        ({"sub": None}, "tampered"),
        ({"sub": 7}, "tampered"),
        ({"exp": None}, "tampered"),
        ({"key": ec.generate_private_key(ec.SECP256R1())}, "tampered"),
        ({"key": "a shared secret of thirty-two bytes", "alg": "HS256"}, "wrong-algorithm"),
        ({"key": None, "alg": "none"}, "wrong-algorithm"),
    ],
)
def test_a_voucher_that_is_not_right(voucher_desk, identity, clock, change, reason):
    for name in ("iat", "exp"):
        if isinstance(change.get(name), int):
            change = {**change, name: int(clock.s) + change[name]}
    if change.get("alg") == "none":
        claims = identity.voucher(clock.s).split(".")[1]
        header = base64.urlsafe_b64encode(b'{"alg":"none","kid":"k1"}').rstrip(b"=").decode()
        token = f"{header}.{claims}."
    else:
        change = {**change}
        token = identity.voucher(clock.s, change.pop("key", None), change.pop("alg", "ES256"), **change)
    assert voucher_desk.tap("gate", "voucher", token).reason == reason


def test_a_provider_that_cannot_be_asked_opens_nothing(make_desk, identity, clock):
    issuer = Issuer(
        issuer="https://id.example", audience="walkout:shop", algorithms=["ES256"], prefix="bank-",
        jwks_url="http://127.0.0.1:9/jwks.json",
    )  # fmt: skip
    answer = make_desk(issuers=(issuer,)).tap("gate", "voucher", identity.voucher(clock.s))
    assert (answer.open, answer.reason) == (False, "unavailable")
