# SPDX-License-Identifier: AGPL-3.0-or-later
"""Passes for phones: a ring of keys in a file, read again when it has changed, and what a page needs to show one."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from pipeline.errors import PassKeyError
from pipeline.passes.keys import KeyRing
from pipeline.passes.token import PassIssuer

logger = logging.getLogger(__name__)

MOST_PEOPLE = 8
"""What a page offers; the format allows 20."""


@dataclass(frozen=True)
class ShownPass:
    """`renew_s`: show another one after so long; `lifetime_s`: then no gate believes it any more."""

    token: str
    admits: int
    brings: bool
    issued_s: int
    renew_s: int
    lifetime_s: int


class PassDesk:
    """Makes passes of one store. `ring`: gives the ring as it is now."""

    def __init__(self, ring: Callable[[], KeyRing], store_id: str) -> None:
        self._ring, self._store_id = ring, store_id

    def issue(self, shopper_id: str, now_s: float, *, admits: int = 1, brings: bool = False) -> ShownPass:
        """`PassKeyError` where no key may sign; `ValueError` for absurd arguments."""
        issuer = PassIssuer(self._ring())
        token = issuer.issue(shopper_id, self._store_id, now_s, admits=admits, brings=brings)
        return ShownPass(token, admits, brings, int(now_s), issuer.rotate_s, issuer.lifetime_s)


def following(path: Path) -> Callable[[], KeyRing]:
    """The ring in a file as it is now: read again when the file has changed. One that cannot be read is logged once,
    and the ring that is known goes on. Raises `PassKeyError` when there is none at the start."""
    known: dict[str, object] = {"ring": KeyRing.load(path), "stamp": _stamp(path)}

    def ring() -> KeyRing:
        stamp = _stamp(path)
        if stamp is not None and stamp != known["stamp"]:
            known["stamp"] = stamp
            try:
                known["ring"] = KeyRing.load(path)
            except PassKeyError as error:
                logger.error("the key ring known before goes on: %s", error)
        return known["ring"]

    return ring


def _stamp(path: Path) -> tuple[int, int] | None:
    try:
        status = os.stat(path)
    except OSError:
        return None  # being replaced; the ring that is known goes on
    return status.st_mtime_ns, status.st_ino
