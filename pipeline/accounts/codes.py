# SPDX-License-Identifier: AGPL-3.0-or-later
"""One-time codes and links that sign in whoever reads the mail of an address.

The code is six digits, which could be tried out on a copy of the database: its digest is salted with a request token
that only the browser which asked holds, so that the code works there alone, too. The link is random enough by itself
and works in any browser. Both are good once, for some minutes; wrong codes are counted, also over several requests.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable

from sqlalchemy import Connection, delete, insert, select, update

from pipeline.accounts.secrets import digest, new_token, same
from pipeline.accounts.senders import Sender
from pipeline.accounts.tables import codes
from pipeline.accounts.users import clean_address
from pipeline.errors import SignInRefused
from pipeline.state import Database

_MINUTE_NS = 60_000_000_000
_OPEN_AT_ONCE = 3
"""Requests of one address that may be open: an older one ends when another is made."""


class SignInCodes:
    """`link`: makes an address of a link's token."""

    def __init__(
        self, database: Database, clock: Callable[[], int], sender: Sender, link: Callable[[str], str],
        minutes: int = 10, tries: int = 5,
    ) -> None:  # fmt: skip
        self._database, self._clock, self._sender, self._link = database, clock, sender, link
        self._minutes, self._tries = minutes, tries

    def ask(self, address: str, locale: str = "en") -> str:
        """Send a code and a link to `address`; the request token for the browser that asked. `AccountError`: not an
        address, or nothing can be sent."""
        address = clean_address(address)
        request, link_token = new_token(), new_token()
        code = f"{secrets.randbelow(1_000_000):06d}"
        now = self._clock()
        row = {
            "request_digest": digest(request), "address": address, "code_digest": digest(request, code),
            "link_digest": digest(link_token), "tries_left": self._tries,
            "expires_ns": now + self._minutes * _MINUTE_NS,
        }  # fmt: skip

        def work(db: Connection) -> None:
            db.execute(delete(codes).where(codes.c.expires_ns <= now))
            mine = select(codes.c.request_digest).where(codes.c.address == address).order_by(codes.c.expires_ns.desc())
            for old in db.execute(mine).scalars().all()[_OPEN_AT_ONCE - 1 :]:
                db.execute(delete(codes).where(codes.c.request_digest == old))
            db.execute(insert(codes).values(**row))

        self._database.run(work)
        self._sender.send(address, code, self._link(link_token), self._minutes, locale)
        return request

    def take(self, request: str, code: str) -> str:
        """The address that a code was sent to. `SignInRefused`: wrong, used, too old or tried too often."""
        mine = codes.c.request_digest == digest(request)
        typed = "".join(code.split())

        def work(db: Connection) -> str | None:
            row = db.execute(select(codes).where(mine).with_for_update()).one_or_none()
            if row is None or row.expires_ns <= self._clock() or row.tries_left <= 0:
                return None
            if same(row.code_digest, digest(request, typed)):
                db.execute(delete(codes).where(mine))
                return row.address
            db.execute(update(codes).where(mine).values(tries_left=codes.c.tries_left - 1))
            return ""

        address = self._database.run(work)
        if address:
            return address
        raise SignInRefused("wrong code" if address == "" else "code used, too old, or tried too often")

    def take_link(self, token: str) -> str:
        """The address that a link was sent to; `SignInRefused` when it is used or too old."""
        mine = codes.c.link_digest == digest(token)

        def work(db: Connection) -> str | None:
            row = db.execute(select(codes).where(mine).with_for_update()).one_or_none()
            db.execute(delete(codes).where(mine))
            return None if row is None or row.expires_ns <= self._clock() else row.address

        if (address := self._database.run(work)) is None:
            raise SignInRefused("link used or too old")
        return address
