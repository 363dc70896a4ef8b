# SPDX-License-Identifier: AGPL-3.0-or-later
"""Random tokens, and the digests by which they are kept.

A token has 256 random bits, so its plain SHA-256 cannot be turned back; passwords, which people choose, go through
argon2 instead (`passwords.py`).
"""

from __future__ import annotations

import hashlib
import hmac
import secrets


def new_token() -> str:
    """43 letters, digits, - and _."""
    return secrets.token_urlsafe(32)


def digest(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def derived(token: str, purpose: str) -> str:
    """Another secret that only who holds `token` can know, and from which `token` cannot be found."""
    return hmac.new(token.encode(), purpose.encode(), hashlib.sha256).hexdigest()


def same(a: str, b: str) -> bool:
    return hmac.compare_digest(a.encode(), b.encode())
