# SPDX-License-Identifier: AGPL-3.0-or-later
"""The keys that sign passes: a ring in one file, a JSON Web Key Set (RFC 7517) of Ed25519 keys (RFC 8037).

A key is published before it signs and is still believed for a while after it has stopped, so that gates and issuers
need not change over in the same second. Gates get the public half (`walkout pass keys public`) and cannot make passes.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from jwt.algorithms import OKPAlgorithm
from jwt.exceptions import InvalidKeyError

from pipeline.errors import PassKeyError


@dataclass(frozen=True)
class PassKey:
    """One key. It signs from `signs_from_s` on, until a newer one does, and is believed before `believed_until_s`
    (seconds since the Unix epoch; None: as long as it is on the ring). `private` is None on a gate's ring."""

    kid: str
    public: Ed25519PublicKey
    private: Ed25519PrivateKey | None
    signs_from_s: int
    believed_until_s: int | None = None

    @classmethod
    def new(cls, signs_from_s: int) -> PassKey:
        private = Ed25519PrivateKey.generate()
        public = private.public_key()
        # A name made of the key cannot be given twice, and is short: it travels in every QR code.
        return cls(sha256(public.public_bytes_raw()).hexdigest()[:6], public, private, signs_from_s)

    def as_jwk(self, private: bool) -> dict[str, Any]:
        key = self.private if private and self.private is not None else self.public
        times = {"nbf": self.signs_from_s, "exp": self.believed_until_s}
        return {
            **OKPAlgorithm.to_jwk(key, as_dict=True), "kid": self.kid, "use": "sig", "alg": "EdDSA",
            **{name: value for name, value in times.items() if value is not None},
        }  # fmt: skip

    @classmethod
    def of_jwk(cls, jwk: dict[str, Any]) -> PassKey:
        """Raises `ValueError`, `KeyError` or `TypeError` when it is no Ed25519 key of ours."""
        try:
            key = OKPAlgorithm.from_jwk(jwk)
        except InvalidKeyError as error:
            raise ValueError(str(error)) from None
        private = key if isinstance(key, Ed25519PrivateKey) else None
        public = key.public_key() if private else key
        if not isinstance(public, Ed25519PublicKey):
            raise ValueError("expected an Ed25519 key")
        until = jwk.get("exp")
        return cls(str(jwk["kid"]), public, private, int(jwk["nbf"]), None if until is None else int(until))


@dataclass(frozen=True)
class KeyRing:
    """All keys of a chain, oldest first."""

    keys: tuple[PassKey, ...]

    @classmethod
    def new(cls, now_s: float) -> KeyRing:
        return cls((PassKey.new(int(now_s)),))

    @classmethod
    def load(cls, path: Path | str) -> KeyRing:
        """Read a ring; `PassKeyError` names the file and what is wrong with it."""
        path = Path(path)
        try:
            entries = json.loads(path.read_text(encoding="utf-8"))["keys"]
            keys = tuple(PassKey.of_jwk(entry) for entry in entries)
        except FileNotFoundError:
            raise PassKeyError(f"{path}: no such key ring; make one with `walkout pass keys new {path}`") from None
        except OSError as error:
            raise PassKeyError(f"{path}: not readable: {error.strerror}") from None
        except (ValueError, KeyError, TypeError) as error:
            raise PassKeyError(f"{path}: expected a JSON Web Key Set of Ed25519 keys: {error!r}") from None
        if not keys or len({key.kid for key in keys}) < len(keys):
            raise PassKeyError(f"{path}: expected at least one key, each with a kid of its own, got {len(keys)} keys")
        return cls(tuple(sorted(keys, key=lambda k: k.signs_from_s)))

    def save(self, path: Path | str, *, private: bool = True) -> None:
        """Write the ring beside its place and move it there; private keys are readable by their owner alone."""
        path = Path(path)
        text = json.dumps({"keys": [key.as_jwk(private) for key in self.keys]}, indent=1) + "\n"
        half = path.with_name(f".{path.name}.{os.getpid()}")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            half.unlink(missing_ok=True)
            file = os.open(half, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600 if private else 0o644)
            with os.fdopen(file, "w", encoding="utf-8") as out:
                out.write(text)
                out.flush()
                os.fsync(out.fileno())
            os.replace(half, path)
        except OSError as error:
            half.unlink(missing_ok=True)
            raise PassKeyError(f"{path}: cannot be written: {error.strerror}") from None

    def rotated(self, now_s: float, ahead_s: float = 3600.0, overlap_s: float = 3600.0) -> KeyRing:
        """The ring with a new key that signs from `now_s + ahead_s` on; those before it are believed for `overlap_s`
        longer, and what nobody believes any more is dropped."""
        from_s = int(now_s + ahead_s)
        until_s = int(from_s + overlap_s)
        kept = []
        for key in self.keys:
            until = until_s if key.believed_until_s is None else min(key.believed_until_s, until_s)
            if until > now_s:
                kept.append(PassKey(key.kid, key.public, key.private, key.signs_from_s, until))
        return KeyRing((*kept, PassKey.new(from_s)))

    def without(self, kids: Iterable[str]) -> KeyRing:
        """The ring after a key was stolen: its passes are refused from now on."""
        gone = set(kids)
        if unknown := gone - {key.kid for key in self.keys}:
            raise PassKeyError(f"no key {min(unknown)!r} on the ring, which has {', '.join(k.kid for k in self.keys)}")
        return KeyRing(tuple(key for key in self.keys if key.kid not in gone))

    def signing(self, now_s: float) -> PassKey:
        """The newest key that may sign now; `PassKeyError` when there is none."""
        able = [
            k
            for k in self.keys
            if k.private is not None
            and k.signs_from_s <= now_s
            and (k.believed_until_s is None or now_s < k.believed_until_s)
        ]
        if not able:
            raise PassKeyError(
                "no private key on the ring signs at this time; rotate it with `walkout pass keys rotate`"
            )
        return able[-1]

    def find(self, kid: str) -> PassKey | None:
        return next((key for key in self.keys if key.kid == kid), None)
