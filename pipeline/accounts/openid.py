# SPDX-License-Identifier: AGPL-3.0-or-later
"""Signing in through an OpenID Connect provider (authorization code flow with PKCE, OpenID Connect Core 1.0, 3.1).

Authlib speaks the protocol and checks the ID token's claims. What must be remembered between leaving and coming back
(state, nonce, code verifier) is derived from one random token that the browser keeps in a cookie: nothing is stored
here, and a way back that was begun in another browser fits nothing.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import requests
from authlib.common.errors import AuthlibBaseError
from authlib.integrations.requests_client import OAuth2Session
from authlib.oidc.core import CodeIDToken
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet
from joserfc.jws import JWSRegistry

from pipeline.accounts.secrets import derived, same
from pipeline.accounts.settings import OpenIdProvider
from pipeline.errors import AccountError, SignInRefused

_ALGORITHMS = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA", "Ed25519"]
"""Signatures alone: a shared secret does not tell who signed."""
_TIMEOUT_S = 5
_LEEWAY_S = 60
_KNOWN_FOR_S = 3600


@dataclass(frozen=True)
class Claims:
    """Who somebody is at the provider. `address`: only one that the provider has verified."""

    issuer: str
    subject: str
    name: str | None
    address: str | None
    groups: tuple[str, ...]


class OpenId:
    """One provider. Discovery and keys are fetched when they are first needed and kept for an hour."""

    def __init__(self, settings: OpenIdProvider) -> None:
        self.settings = settings
        self._metadata: dict[str, Any] = {}
        self._keys: KeySet | None = None
        self._fetched_s = float("-inf")
        if not settings.issuer.startswith("https://") and urlsplit(settings.issuer).hostname not in (
            "127.0.0.1", "::1", "localhost",
        ):  # fmt: skip
            raise AccountError(f"accounts.yaml: openid {settings.name}: issuer must be https, got {settings.issuer}")

    def leave(self, token: str, back_url: str) -> str:
        """Where to send the browser that keeps `token`. `AccountError`: the provider does not answer."""
        with self._session(back_url) as session:
            url, _ = session.create_authorization_url(
                self._discovered()["authorization_endpoint"],
                state=derived(token, "state"), nonce=derived(token, "nonce"), code_verifier=derived(token, "verifier"),
            )  # fmt: skip
        return url

    def back(self, token: str, back_url: str, query: Mapping[str, str]) -> Claims:
        """Who came back with `query`. `SignInRefused`: declined, forged or out of date; `AccountError`: no answer."""
        if not same(query.get("state", ""), derived(token, "state")):
            raise SignInRefused("this way back was not begun in this browser")
        if "code" not in query:
            raise SignInRefused(f"{self.settings.title}: {query.get('error', 'no code')[:80]}")
        metadata = self._discovered()
        try:
            with self._session(back_url) as session:
                given = session.fetch_token(
                    metadata["token_endpoint"], code=query["code"], code_verifier=derived(token, "verifier"),
                    grant_type="authorization_code", timeout=_TIMEOUT_S,
                )  # fmt: skip
                claims = self._checked(given, derived(token, "nonce"))
                more = self._more(session, claims)
        except requests.RequestException as error:
            raise AccountError(f"openid {self.settings.name}: {error}") from error
        except (AuthlibBaseError, JoseError, ValueError, KeyError) as error:
            raise SignInRefused(f"{self.settings.title}: {error}") from error
        return self._claims({**more, **claims})

    def _session(self, back_url: str) -> OAuth2Session:
        secret = os.environ.get(self.settings.client_secret_env or "")
        return OAuth2Session(
            self.settings.client_id, secret, scope=self.settings.scopes, redirect_uri=back_url,
            code_challenge_method="S256", token_endpoint_auth_method="client_secret_basic" if secret else "none",
        )  # fmt: skip

    def _discovered(self) -> dict[str, Any]:
        if time.monotonic() - self._fetched_s > _KNOWN_FOR_S:
            found = _get(f"{self.settings.issuer.rstrip('/')}/.well-known/openid-configuration", self.settings.name)
            if found.get("issuer") != self.settings.issuer:
                raise AccountError(
                    f"openid {self.settings.name}: expected issuer {self.settings.issuer}, its discovery says "
                    f"{found.get('issuer')}"
                )
            self._metadata, self._keys, self._fetched_s = found, None, time.monotonic()
        return self._metadata

    def _checked(self, given: Mapping[str, Any], nonce: str) -> dict[str, Any]:
        registry = JWSRegistry(algorithms=_ALGORITHMS, strict_check_header=False)
        try:
            token = jwt.decode(given["id_token"], key=self._key_set(), registry=registry)
        except (JoseError, ValueError):  # the provider may have new keys
            token = jwt.decode(given["id_token"], key=self._key_set(anew=True), registry=registry)
        wanted = {"iss": {"values": [self.settings.issuer]}, "aud": {"values": [self.settings.client_id]}}
        about = {"nonce": nonce, "client_id": self.settings.client_id, "access_token": given.get("access_token")}
        claims = CodeIDToken(token.claims, token.header, wanted, about)
        claims.validate(leeway=_LEEWAY_S)
        return dict(claims)

    def _key_set(self, anew: bool = False) -> KeySet:
        if self._keys is None or anew:
            self._keys = KeySet.import_key_set(_get(self._discovered()["jwks_uri"], self.settings.name))
        return self._keys

    def _more(self, session: OAuth2Session, claims: Mapping[str, Any]) -> dict[str, Any]:
        """What the provider tells only when asked for; it must be about the same person."""
        url = self._discovered().get("userinfo_endpoint")
        if not url or ("email" in claims and not self.settings.roles):
            return {}
        found = session.get(url, timeout=_TIMEOUT_S)
        found.raise_for_status()
        more = found.json()
        return more if more.get("sub") == claims["sub"] else {}

    def _claims(self, claims: Mapping[str, Any]) -> Claims:
        verified = claims.get("email") if claims.get("email_verified") is True else None
        groups = claims.get(self.settings.groups_claim) or ()
        name = claims.get("name") or claims.get("preferred_username")
        return Claims(
            self.settings.issuer, str(claims["sub"])[:255], name and str(name)[:80], verified and str(verified),
            tuple(map(str, groups)) if isinstance(groups, list | tuple) else (str(groups),),
        )  # fmt: skip


def _get(url: str, name: str) -> dict[str, Any]:
    try:
        answer = requests.get(url, timeout=_TIMEOUT_S)
        answer.raise_for_status()
        return answer.json()
    except (requests.RequestException, ValueError) as error:
        raise AccountError(f"openid {name}: {url} cannot be read: {error}") from error
