# SPDX-License-Identifier: AGPL-3.0-or-later
"""Everything that we know of to get past a gate without a pass, tried on a desk with a real database."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import random
import string
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import jwt
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from calibration.layout import StoreLayout
from pipeline.passes.keys import KeyRing
from pipeline.passes.token import TYPE, PassIssuer

START_S = 1_767_603_600


@dataclass
class Result:
    """One kind of attack. `failed`: the gate could not answer, which it must always."""

    name: str
    tries: int = 0
    opened: int = 0
    failed: int = 0
    slowest_ms: float = 0.0
    reasons: Counter = field(default_factory=Counter)


def attack(layout: StoreLayout, random_strings: int = 10_000, seed: int = 0) -> tuple[list[Result], bool]:
    """The results, and whether a good pass still opened the gate between all of them."""
    from pipeline.gate.desk import GateDesk
    from pipeline.gate.entry_settings import EntrySettings
    from pipeline.state import Database

    now = {"s": float(START_S)}
    ring = KeyRing.new(START_S - 10_000)
    issuer = PassIssuer(ring)
    gate_id = layout.gates[0].id
    with tempfile.TemporaryDirectory(prefix="walkout-attack-") as folder:
        database = Database(f"sqlite:///{folder}/entry.sqlite")
        desk = GateDesk(
            layout, database, EntrySettings(), ring=lambda: ring, clock=lambda: round(now["s"] * 1_000_000_000)
        )
        results, good = [], []
        try:
            for name, tokens in _attacks(
                layout.store_id, ring, issuer, random.Random(seed), random_strings, now, desk.tap
            ):
                result = Result(name)
                for token in tokens:
                    start = time.perf_counter()
                    answer = desk.tap(gate_id, "pass", token)
                    result.slowest_ms = max(result.slowest_ms, 1000 * (time.perf_counter() - start))
                    result.tries += 1
                    result.opened += answer.open
                    result.failed += answer.reason == "unavailable"
                    result.reasons[answer.reason] += 1
                results.append(result)
                shopper = f"good-{len(results)}"
                good.append(desk.tap(gate_id, "pass", issuer.issue(shopper, layout.store_id, now["s"])).open)
        finally:
            database.close()
    return results, all(good)


def _attacks(
    store_id: str, ring: KeyRing, issuer: PassIssuer, rng: random.Random, random_strings: int, now: dict, tap: Callable
) -> Iterator[tuple[str, list[str]]]:
    key = ring.keys[0]
    claims = {"aud": store_id, "sub": "mallory", "iat": START_S, "exp": START_S + 25, "jti": "0123456789ab"}
    header = {"alg": "EdDSA", "kid": key.kid, "typ": TYPE}

    used = [issuer.issue(f"used-{k}", store_id, now["s"]) for k in range(50)]
    for token in used:
        tap("gate", "pass", token)
    yield "replayed", used
    yield "expired", [issuer.issue("anna", store_id, START_S - 31 - 17 * k) for k in range(200)]
    yield "from the future", [issuer.issue("anna", store_id, START_S + 7 + 17 * k) for k in range(50)]
    token = issuer.issue("anna", store_id, now["s"])
    letters = string.ascii_letters + string.digits + "-_."
    yield (
        "tampered, each character in turn",
        [token[:i] + rng.choice(letters.replace(token[i], "")) + token[i + 1 :] for i in range(len(token) - 1)],
    )
    other = issuer.issue("ben", store_id, now["s"], admits=9)
    (h1, c1, s1), (h2, c2, s2) = token.split("."), other.split(".")
    yield "spliced from two good ones", [f"{h1}.{c2}.{s1}", f"{h1}.{c1}.{s2}", f"{h2}.{c2}.{s1}", f"{h1}.{c1}."]
    stranger = KeyRing.new(START_S - 10_000)
    yield "another key", [PassIssuer(stranger).issue("anna", store_id, now["s"]) for _ in range(50)]
    named = {"kid": key.kid, "typ": TYPE}
    yield "another key under our key's name", [jwt.encode(claims, stranger.keys[0].private, "EdDSA", headers=named)]
    yield "another store", [issuer.issue("anna", f"{store_id}-{k}", now["s"]) for k in range(50)]
    nones = [_unsigned({**header, "alg": alg}, claims) for alg in ("none", "None", "NONE", "nOnE", "", None, 0, [])]
    yield "algorithm none", nones + [n + s1 for n in nones]
    secrets = [
        key.public.public_bytes_raw(),
        key.public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
        key.public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo),
        json.dumps(key.as_jwk(private=False)).encode(),
        b"",
    ]
    yield (
        "HS256 with the public key",
        [
            _hmac({**header, "alg": alg}, claims, secret, digest)
            for alg, digest in (("HS256", "sha256"), ("HS384", "sha384"), ("HS512", "sha512"))
            for secret in secrets
        ],
    )
    yield (
        "the attacker's key in the header",
        [
            _unsigned({**header, **extra}, claims, s1)
            for extra in (
                {"jwk": stranger.keys[0].as_jwk(private=False)},
                {"jku": "https://attacker.example/jwks.json"},
                {"x5u": "file:///etc/passwd"},
                {"kid": "../../../dev/null"},
                {"kid": "' OR 1=1 --"},
                {"crit": ["exp"]},
                {"b64": False},
            )
        ],
    )
    changes = ({"exp": START_S + 10_000}, {"exp": 1e308}, {"sub": ""}, {"n": 10**6}, {"aud": [store_id]}, {"iat": True})
    signed_wrong = [{**claims, **change} for change in changes]
    signed_wrong.append({k: v for k, v in claims.items() if k != "jti"})
    yield (
        "signed by us, claims that we do not issue",
        [jwt.api_jws.encode(json.dumps(c).encode(), key.private, "EdDSA", headers=named) for c in signed_wrong],
    )
    yield f"{random_strings:,} random strings", [_random_text(rng, k) for k in range(random_strings)]


def _random_text(rng: random.Random, k: int) -> str:
    """Bytes, text of any script, and things in a token's clothes, in turn."""
    size = int(10 ** rng.uniform(0, 3.3))
    if k % 4 == 0:
        return rng.randbytes(size).decode("latin-1")
    if k % 4 == 1:
        return "".join(chr(rng.choice((rng.randrange(32, 127), rng.randrange(0xA0, 0xD7FF)))) for _ in range(size))
    if k % 4 == 2:
        return ".".join(base64.urlsafe_b64encode(rng.randbytes(size // 4)).decode().rstrip("=") for _ in range(3))
    junk = rng.choice(({"alg": rng.random()}, ["EdDSA"], 7, None, "x" * (size % 300), {"alg": "EdDSA", "kid": None}))
    return _unsigned(junk, junk, base64.urlsafe_b64encode(rng.randbytes(64)).decode().rstrip("="))


def _part(value) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


def _unsigned(header, claims, signature: str = "") -> str:
    return f"{_part(header)}.{_part(claims)}.{signature}"


def _hmac(header, claims, secret: bytes, digest: str) -> str:
    body = f"{_part(header)}.{_part(claims)}"
    mac = hmac.digest(secret, body.encode(), getattr(hashlib, digest))
    return f"{body}.{base64.urlsafe_b64encode(mac).rstrip(b'=').decode()}"
