# SPDX-License-Identifier: AGPL-3.0-or-later
"""An outside identity provider vouches for a shopper with a signed message: a JSON Web Token of a known issuer.

The provider has done what it does to know its customer; we learn an identifier and nothing else.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import Any, Literal

import jwt
from pydantic import BaseModel, ConfigDict, Field, model_validator

from pipeline.passes.refused import PassRefused
from pipeline.passes.token import Pass

Algorithm = Literal["EdDSA", "ES256", "ES384", "ES512", "RS256", "RS384", "RS512", "PS256", "PS384", "PS512"]
"""Signatures alone: a shared secret cannot vouch for who wrote a message."""

LONGEST_VOUCHER = 8192
_FETCH_TIMEOUT_S = 3
_LONGEST_SUBJECT = 64


class Issuer(BaseModel):
    """Who is believed. Keys come from a JSON Web Key Set: `jwks_url` (fetched, kept for five minutes) or `jwks_file`.

    `audience`: what the provider was told to issue for this chain; `{store}` in it stands for the store's id.
    `prefix`: put before the provider's subject, so that two providers' subjects cannot be mistaken for each other.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", ignored_types=(cached_property,))

    issuer: str = Field(min_length=1)
    audience: str = Field(min_length=1)
    algorithms: tuple[Algorithm, ...] = Field(min_length=1)
    jwks_url: str | None = Field(default=None, pattern=r"^https?://")
    jwks_file: Path | None = None
    subject_claim: str = "sub"
    prefix: str
    longest_s: int = Field(default=300, gt=0, le=3600)

    @model_validator(mode="after")
    def _one_key_source(self) -> Issuer:
        if (self.jwks_url is None) == (self.jwks_file is None):
            raise ValueError("give exactly one of jwks_url and jwks_file")
        return self

    @cached_property
    def _client(self) -> jwt.PyJWKClient:
        return jwt.PyJWKClient(self.jwks_url, cache_keys=True, lifespan=300, timeout=_FETCH_TIMEOUT_S)

    def key(self, text: str) -> Any:
        """The public key that the token's header names. Raises `PassRefused` or PyJWT's errors."""
        if self.jwks_url is not None:
            return self._client.get_signing_key_from_jwt(text).key
        kid = jwt.get_unverified_header(text).get("kid")
        try:
            keys = jwt.PyJWKSet.from_json(self.jwks_file.read_text(encoding="utf-8")).keys
        except OSError as error:
            raise PassRefused("unavailable", f"{self.jwks_file}: {error.strerror}") from None
        for key in keys:
            if key.key_id == kid or (kid is None and len(keys) == 1):
                return key.key
        raise PassRefused("unknown-key", f"kid {str(kid)[:40]!r} of {self.issuer}")


@dataclass(frozen=True)
class VoucherChecker:
    """Believes the vouchers of these issuers for one store."""

    issuers: tuple[Issuer, ...]
    store_id: str
    skew_s: float = 5.0

    def check(self, text: str, now_s: float) -> Pass:
        """The voucher as a pass; without a number of its own its digest is one, so that it opens one gate once.

        Raises `PassRefused` and nothing else. The clock of PyJWT is not used: `now_s` is.
        """
        if not isinstance(text, str) or not 0 < len(text) <= LONGEST_VOUCHER or not text.isascii():
            raise PassRefused("not-a-pass", "not a token")
        try:
            claimed = jwt.decode(text, options={"verify_signature": False}).get("iss")
        except (jwt.InvalidTokenError, ValueError, RecursionError, TypeError) as error:
            raise PassRefused("not-a-pass", str(error)[:120]) from None
        issuer = next((i for i in self.issuers if i.issuer == claimed), None)
        if issuer is None:
            raise PassRefused("unknown-issuer", str(claimed)[:80])
        try:
            claims = jwt.decode(
                text,
                issuer.key(text),
                algorithms=list(issuer.algorithms),
                issuer=issuer.issuer,
                audience=issuer.audience.replace("{store}", self.store_id),
                options={"require": ["exp", "iat"], "verify_exp": False, "verify_iat": False, "verify_nbf": False},
            )
        except jwt.InvalidAudienceError as error:
            raise PassRefused("other-store", str(error)[:120]) from None
        except jwt.InvalidAlgorithmError as error:
            raise PassRefused("wrong-algorithm", str(error)[:120]) from None
        except jwt.PyJWKClientConnectionError as error:
            raise PassRefused("unavailable", str(error)[:120]) from None
        except jwt.PyJWKClientError as error:
            raise PassRefused("unknown-key", str(error)[:120]) from None
        except (jwt.PyJWTError, ValueError, TypeError) as error:
            raise PassRefused("tampered", str(error)[:120]) from None
        return self._believed(issuer, claims, text, now_s)

    def _believed(self, issuer: Issuer, claims: dict[str, Any], text: str, now_s: float) -> Pass:
        issued_s, expires_s, subject = claims["iat"], claims["exp"], claims.get(issuer.subject_claim)
        if type(issued_s) is not int or type(expires_s) is not int or not isinstance(subject, str) or not subject:
            raise PassRefused("not-a-pass", f"iat, exp or {issuer.subject_claim} is not what it should be")
        if now_s >= expires_s + self.skew_s or now_s >= issued_s + issuer.longest_s + self.skew_s:
            raise PassRefused("expired", f"issued {now_s - issued_s:.0f} s ago")
        if now_s < issued_s - self.skew_s:
            raise PassRefused("not-yet", f"issued {issued_s - now_s:.0f} s ahead")
        number = claims.get("jti")
        number = number if isinstance(number, str) and number else text.rpartition(".")[0]
        number = sha256(f"{issuer.issuer}\n{number}".encode()).hexdigest()[:32]
        until_s = min(expires_s, issued_s + issuer.longest_s)
        return Pass(number, issuer.prefix + _short(subject), self.store_id, issued_s, until_s)


def _short(subject: str) -> str:
    """The subject as it is, or a digest of one that is long or unprintable: no two subjects become one shopper, since
    what a digest makes is longer than any subject that is kept."""
    if len(subject) <= _LONGEST_SUBJECT and subject.isprintable():
        return subject
    return f"sha256-{sha256(subject.encode(errors='surrogatepass')).hexdigest()}"
