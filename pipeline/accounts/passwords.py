# SPDX-License-Identifier: AGPL-3.0-or-later
"""Passwords of staff: argon2id with the library's parameters (RFC 9106, the low-memory set)."""

from __future__ import annotations

from functools import cache

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from pipeline.errors import AccountError

SHORTEST, LONGEST = 10, 200
_hasher = PasswordHasher()


def hash_password(password: str) -> str:
    """`AccountError` for one that is too short or too long."""
    if not SHORTEST <= len(password) <= LONGEST:
        raise AccountError(f"a password has {SHORTEST} to {LONGEST} characters, this one has {len(password)}")
    return _hasher.hash(password)


def is_right(hashed: str | None, password: str) -> bool:
    """Takes as long for somebody who does not exist (None) as for somebody who does."""
    try:
        return _hasher.verify(hashed or _nobodys(), password[:LONGEST]) and hashed is not None
    except (VerificationError, InvalidHashError):
        return False


def is_old(hashed: str) -> bool:
    """Made with weaker parameters than today's."""
    return _hasher.check_needs_rehash(hashed)


@cache
def _nobodys() -> str:
    return _hasher.hash("nobody has this password")
