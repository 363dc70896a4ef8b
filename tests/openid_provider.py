# SPDX-License-Identifier: AGPL-3.0-or-later
"""A small OpenID Connect provider on loopback: discovery, authorisation code flow with PKCE, keys, user info.

It signs in whoever `person` says, at once, without asking. PyJWT signs, so that nothing of it is what checks it.
"""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import time
from urllib.parse import urlencode

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa
from fastapi import FastAPI, Form, HTTPException, Request
from fastapi.responses import JSONResponse, RedirectResponse


class Provider:
    def __init__(self, issuer: str, client_id: str, client_secret: str | None = None) -> None:
        self.issuer, self.client_id, self.client_secret = issuer, client_id, client_secret
        self.person = {"sub": "42", "name": "Clara", "email": "clara@example.org", "email_verified": True}
        self.tampered: dict = {}
        """Goes over the ID token's claims, to see that what is wrong is refused."""
        self.forger = None
        """A key that is not published, to sign with."""
        self.codes: dict[str, dict] = {}
        self.new_key()

    def new_key(self) -> None:
        self.key, self.kid = rsa.generate_private_key(public_exponent=65537, key_size=2048), secrets.token_hex(4)

    def app(self) -> FastAPI:
        app = FastAPI()

        @app.get("/.well-known/openid-configuration")
        def discovery() -> dict:
            return {
                "issuer": self.issuer, "authorization_endpoint": f"{self.issuer}/authorize",
                "token_endpoint": f"{self.issuer}/token", "jwks_uri": f"{self.issuer}/keys",
                "userinfo_endpoint": f"{self.issuer}/me", "id_token_signing_alg_values_supported": ["RS256"],
                "response_types_supported": ["code"], "subject_types_supported": ["public"],
            }  # fmt: skip

        @app.get("/keys")
        def keys() -> dict:
            public = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(self.key.public_key()))
            return {"keys": [{**public, "kid": self.kid, "use": "sig", "alg": "RS256"}]}

        @app.get("/authorize")
        def authorize(request: Request) -> RedirectResponse:
            asked = dict(request.query_params)
            assert asked["client_id"] == self.client_id and asked["response_type"] == "code"
            assert asked["code_challenge_method"] == "S256" and "openid" in asked["scope"].split()
            code = secrets.token_urlsafe(16)
            self.codes[code] = asked
            query = urlencode({"code": code, "state": asked["state"]})
            return RedirectResponse(f"{asked['redirect_uri']}?{query}", 302)

        @app.post("/token")
        def token(
            request: Request, code: str = Form(), code_verifier: str = Form(), redirect_uri: str = Form()
        ) -> JSONResponse:
            self._check_client(request)
            asked = self.codes.pop(code, None)
            hashed = base64.urlsafe_b64encode(hashlib.sha256(code_verifier.encode()).digest()).rstrip(b"=").decode()
            if asked is None or asked["code_challenge"] != hashed or asked["redirect_uri"] != redirect_uri:
                return JSONResponse({"error": "invalid_grant"}, 400)
            access = secrets.token_urlsafe(16)
            half = hashlib.sha256(access.encode()).digest()[:16]
            claims = {
                "iss": self.issuer, "aud": self.client_id, "sub": self.person["sub"], "nonce": asked["nonce"],
                "iat": int(time.time()), "exp": int(time.time()) + 300,
                "at_hash": base64.urlsafe_b64encode(half).rstrip(b"=").decode(),
            }  # fmt: skip
            signed = jwt.encode(
                {**claims, **self.tampered}, self.forger or self.key, "RS256", headers={"kid": self.kid}
            )
            return JSONResponse({"access_token": access, "token_type": "Bearer", "id_token": signed})

        @app.get("/me")
        def me(request: Request) -> dict:
            assert request.headers["authorization"].startswith("Bearer ")
            return self.person

        return app

    def _check_client(self, request: Request) -> None:
        if self.client_secret is not None:
            expected = base64.b64encode(f"{self.client_id}:{self.client_secret}".encode()).decode()
            if request.headers.get("authorization") != f"Basic {expected}":
                raise HTTPException(401)
