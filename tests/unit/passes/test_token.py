# SPDX-License-Identifier: AGPL-3.0-or-later
"""What a gate believes: passes that are right, in their time and place, and nothing else, whatever is shown to it."""

import base64
import json

import jwt
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pipeline.passes import KeyRing, PassChecker, PassIssuer, PassRefused
from pipeline.passes.refused import DISPLAY
from tests.unit.passes.conftest import NOW_S


def refusal(checker, text, now_s=NOW_S) -> str:
    with pytest.raises(PassRefused) as caught:
        checker.check(text, now_s)
    assert caught.value.display == DISPLAY[caught.value.reason]
    return caught.value.reason


def test_a_pass_says_who_where_and_how_many(issuer, checker):
    believed = checker.check(issuer.issue("anna", "shop", NOW_S, admits=3), NOW_S + 1)
    assert (believed.shopper_id, believed.store_id, believed.admits, believed.brings) == ("anna", "shop", 3, False)
    assert checker.check(issuer.issue("anna", "shop", NOW_S, brings=True), NOW_S).brings


def test_every_pass_has_its_own_number(issuer, checker):
    numbers = {checker.check(issuer.issue("anna", "shop", NOW_S), NOW_S).number for _ in range(200)}
    assert len(numbers) == 200


@pytest.mark.parametrize(
    ("after_s", "reason"),
    [(-6, "not-yet"), (-5, None), (0, None), (25, None), (29.9, None), (30, "expired"), (3600, "expired")],
)
def test_its_time_with_five_seconds_for_the_clocks(issuer, checker, after_s, reason):
    token = issuer.issue("anna", "shop", NOW_S)
    if reason is None:
        assert checker.check(token, NOW_S + after_s).shopper_id == "anna"
    else:
        assert refusal(checker, token, NOW_S + after_s) == reason


def test_another_shops_pass(issuer, checker):
    assert refusal(checker, issuer.issue("anna", "elsewhere", NOW_S)) == "other-store"


def test_a_key_that_is_not_ours(checker):
    stranger = PassIssuer(KeyRing.new(NOW_S - 10))
    assert refusal(checker, stranger.issue("anna", "shop", NOW_S)) == "unknown-key"


def test_another_key_under_the_name_of_ours(ring, checker):
    stranger = KeyRing.new(NOW_S - 10).keys[0]
    claims = {"aud": "shop", "sub": "anna", "iat": NOW_S, "exp": NOW_S + 20, "jti": "0123456789"}
    header = {"kid": ring.keys[0].kid, "typ": "pass+jwt"}
    assert refusal(checker, jwt.encode(claims, stranger.private, "EdDSA", headers=header)) == "tampered"


def test_no_character_of_a_pass_can_be_changed(issuer, checker):
    token = issuer.issue("anna", "shop", NOW_S)
    signature_from = token.rindex(".") + 1
    for i, old in enumerate(token):
        if i == len(token) - 1:
            continue  # the last character of base64 carries bits that mean nothing
        new = "A" if old != "A" else "B"
        reason = refusal(checker, token[:i] + new + token[i + 1 :])
        if i >= signature_from:
            assert reason == "tampered"


def unsigned(header: dict, claims: dict, signature: str = "") -> str:
    def part(value) -> str:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()

    return f"{part(header)}.{part(claims)}.{signature}"


CLAIMS = {"aud": "shop", "sub": "anna", "iat": NOW_S, "exp": NOW_S + 20, "jti": "0123456789"}


@pytest.mark.parametrize("alg", ["none", "None", "NONE", "nOnE", "", None, 7, ["EdDSA"], {"a": 1}])
def test_no_algorithm_but_ours(ring, checker, alg):
    token = unsigned({"alg": alg, "kid": ring.keys[0].kid, "typ": "pass+jwt"}, CLAIMS)
    assert refusal(checker, token) in ("wrong-algorithm", "not-a-pass")


@pytest.mark.parametrize("encoding", ["raw", "pem", "jwk"])
def test_the_public_key_is_no_secret_to_sign_with(ring, checker, encoding):
    import hashlib
    import hmac

    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    key = ring.keys[0]
    secret = {
        "raw": key.public.public_bytes_raw(),
        "pem": key.public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
        "jwk": json.dumps(key.as_jwk(private=False)).encode(),
    }[encoding]
    body = unsigned({"alg": "HS256", "kid": key.kid, "typ": "pass+jwt"}, CLAIMS).rstrip(".")
    mac = base64.urlsafe_b64encode(hmac.digest(secret, body.encode(), hashlib.sha256)).rstrip(b"=").decode()
    assert refusal(checker, f"{body}.{mac}") == "wrong-algorithm"


@pytest.mark.parametrize(
    "change",
    [
        {"exp": NOW_S + 10_000},
        {"exp": None},
        {"exp": "soon"},
        {"exp": 1e300},
        {"iat": True},
        {"sub": ""},
        {"sub": 7},
        {"jti": "x"},
        {"n": 0},
        {"n": 1000},
        {"n": 1.5},
        {"admin": True},
        {"aud": ["shop", "elsewhere"]},
    ],
)
def test_a_signed_token_with_wrong_claims_is_no_pass(ring, checker, change):
    claims = {**CLAIMS, **change}
    token = jwt.api_jws.encode(
        json.dumps(claims).encode(),
        ring.keys[0].private,
        "EdDSA",
        headers={"kid": ring.keys[0].kid, "typ": "pass+jwt"},
    )
    assert refusal(checker, token) == "not-a-pass"


def test_a_token_of_ours_for_another_purpose_is_no_pass(ring, checker):
    token = jwt.encode(CLAIMS, ring.keys[0].private, "EdDSA", headers={"kid": ring.keys[0].kid})
    assert refusal(checker, token) == "not-a-pass"


@settings(deadline=None)
@given(st.text(max_size=1500) | st.binary(max_size=400).map(lambda b: b.decode("latin-1")))
@example("")
@example("..")
@example("a.b.c")
@example("\x00" * 10)
@example("e30.e30.")
@example("W10.e30.AA")
@example("bnVsbA.e30.AA")
def test_any_text_is_refused_with_a_reason(checker, text):
    assert refusal(checker, text) in DISPLAY


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
HEADERS = st.fixed_dictionaries({}, optional={"alg": JSON, "kid": JSON, "typ": JSON, "crit": JSON, "b64": JSON})


@settings(deadline=None)
@given(JSON | HEADERS, JSON, st.text(alphabet="AQgw-_=.", max_size=90))
def test_any_json_in_a_tokens_clothes_is_refused_with_a_reason(checker, header, claims, signature):
    assert refusal(checker, unsigned(header, claims, signature)) in DISPLAY


@settings(deadline=None)
@given(st.dictionaries(st.sampled_from(["alg", "kid", "typ", "crit", "b64", "jku", "jwk", "x5u"]), JSON))
def test_a_header_that_names_our_key_and_algorithm_helps_nobody(ring, checker, more):
    header = {**more, "alg": "EdDSA", "kid": ring.keys[0].kid, "typ": "pass+jwt"}
    assert refusal(checker, unsigned(header, CLAIMS, "A" * 86)) in ("tampered", "not-a-pass")


def test_deep_json_is_refused(checker):
    deep = base64.urlsafe_b64encode(("[" * 700).encode()).rstrip(b"=").decode()
    assert refusal(checker, f"{deep}.e30.AA") == "not-a-pass"


def test_what_is_not_even_text_is_refused(checker):
    for thing in (None, 7, b"a.b.c", ["a"], {}):
        assert refusal(checker, thing) == "not-a-pass"


def test_rotation_is_seen_without_a_restart(ring):
    rings = [ring]
    checker = PassChecker(lambda: rings[-1], "shop")
    new = ring.rotated(NOW_S, ahead_s=0, overlap_s=60)
    token = PassIssuer(new).issue("anna", "shop", NOW_S)
    assert refusal(checker, token) == "unknown-key"
    rings.append(new)
    assert checker.check(token, NOW_S).shopper_id == "anna"
