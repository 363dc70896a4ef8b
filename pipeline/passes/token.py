# SPDX-License-Identifier: AGPL-3.0-or-later
"""Passes: JSON Web Tokens (RFC 7519) signed with Ed25519, made small because they are shown as QR codes.

The gate's side follows RFC 8725 (JWT best practices): the algorithm is the gate's choice and never the token's, the
type is explicit, the audience is the store, and every claim is checked after the signature and never before. That a
pass is used once is the desk's business (`pipeline.gate.desk`): it needs a database.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated

import jwt
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from pipeline.passes.keys import KeyRing
from pipeline.passes.refused import PassRefused

ALGORITHM = "EdDSA"
TYPE = "pass+jwt"
LONGEST_TOKEN = 1024
"""Characters; a pass has some 300. What is longer is refused before anything parses it."""


@dataclass(frozen=True)
class Pass:
    """A pass that was believed. `number` is unique: it may be used once. `admits`: how many people it lets in.
    `brings`: it lets somebody else in, onto the visit of a shopper who is inside already."""

    number: str
    shopper_id: str
    store_id: str
    issued_s: int
    expires_s: int
    admits: int = 1
    brings: bool = False


class _Claims(BaseModel):
    """RFC 7519's registered claims, and ours of one letter: `n` for `admits`, `b` for `brings`."""

    model_config = ConfigDict(extra="forbid", strict=True)

    aud: Annotated[str, Field(min_length=1, max_length=80)]
    sub: Annotated[str, Field(min_length=1, max_length=80)]
    iat: Annotated[int, Field(gt=0, lt=1 << 40)]
    exp: Annotated[int, Field(gt=0, lt=1 << 40)]
    jti: Annotated[str, Field(min_length=8, max_length=64)]
    n: Annotated[int, Field(ge=1, le=20)] = 1
    b: bool = False


class PassIssuer:
    """Makes passes. A phone asks for a new one every `rotate_s`; each is good for `lifetime_s`, a little longer."""

    def __init__(self, ring: KeyRing, *, rotate_s: int = 20, lifetime_s: int = 25) -> None:
        self._ring, self.rotate_s, self.lifetime_s = ring, rotate_s, lifetime_s

    def issue(self, shopper_id: str, store_id: str, now_s: float, *, admits: int = 1, brings: bool = False) -> str:
        """A new pass as text. Raises `PassKeyError` without a key that signs now, `ValueError` for absurd arguments."""
        extra = ({"n": admits} if admits != 1 else {}) | ({"b": True} if brings else {})
        claims = {
            "aud": store_id, "sub": shopper_id, "iat": int(now_s), "exp": int(now_s) + self.lifetime_s,
            "jti": secrets.token_urlsafe(9), **extra,
        }  # fmt: skip
        _Claims.model_validate(claims)
        key = self._ring.signing(now_s)
        return jwt.encode(claims, key.private, algorithm=ALGORITHM, headers={"kid": key.kid, "typ": TYPE})


class PassChecker:
    """Believes passes of one store.

    Args:
        ring: gives the ring as it is now; asked at every check, so that a rotation needs no restart.
        skew_s: how far the issuer's clock and the gate's may be apart.
        longest_s: a pass that claims to be good for longer than this was not made by an issuer of ours.
    """

    def __init__(
        self, ring: Callable[[], KeyRing], store_id: str, *, skew_s: float = 5.0, longest_s: int = 120
    ) -> None:
        self._ring, self._store_id, self._skew_s, self._longest_s = ring, store_id, skew_s, longest_s

    def check(self, text: str, now_s: float) -> Pass:
        """The pass that `text` is, at `now_s`. Raises `PassRefused` and nothing else, whatever the text."""
        kid = self._kid(text)
        key = self._ring().find(kid)
        if key is None:
            raise PassRefused("unknown-key", f"kid {kid!r}")
        try:
            # Times and audience are ours to check: the clock is an argument here, and the order of reasons matters.
            claims = jwt.decode(text, key.public, algorithms=[ALGORITHM], options=_SIGNATURE_ALONE)
        except jwt.InvalidTokenError as error:
            raise PassRefused("tampered", str(error)[:120]) from None
        try:
            said = _Claims.model_validate(claims)
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            raise PassRefused("not-a-pass", f"{'.'.join(map(str, first['loc']))}: {first['msg']}") from None
        if said.aud != self._store_id:
            raise PassRefused("other-store", f"for {said.aud!r}, this is {self._store_id!r}")
        if key.believed_until_s is not None and now_s >= key.believed_until_s + self._skew_s:
            raise PassRefused("key-retired", f"kid {kid!r}")
        if now_s >= said.exp + self._skew_s:
            raise PassRefused("expired", f"{now_s - said.exp:.0f} s ago")
        if now_s < said.iat - self._skew_s:
            raise PassRefused("not-yet", f"issued {said.iat - now_s:.0f} s ahead")
        if said.exp - said.iat > self._longest_s:
            raise PassRefused("not-a-pass", f"good for {said.exp - said.iat} s; {self._longest_s} at most")
        return Pass(said.jti, said.sub, said.aud, said.iat, said.exp, said.n, said.b)

    @staticmethod
    def _kid(text: str) -> str:
        """The key that the token names; its algorithm is compared and never used."""
        if not isinstance(text, str) or not 0 < len(text) <= LONGEST_TOKEN or not text.isascii():
            raise PassRefused("not-a-pass", "not a token")
        try:
            header = jwt.get_unverified_header(text)
        except (jwt.InvalidTokenError, ValueError, RecursionError) as error:
            raise PassRefused("not-a-pass", str(error)[:120]) from None
        if header.get("alg") != ALGORITHM:
            raise PassRefused("wrong-algorithm", f"alg {str(header.get('alg'))[:20]!r}")
        if header.get("typ") != TYPE or not isinstance(header.get("kid"), str):
            raise PassRefused("not-a-pass", f"typ {str(header.get('typ'))[:20]!r}")
        return header["kid"][:20]


_SIGNATURE_ALONE = {f"verify_{claim}": False for claim in ("exp", "nbf", "iat", "aud", "iss", "sub", "jti")}
