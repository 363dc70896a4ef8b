# SPDX-License-Identifier: AGPL-3.0-or-later
"""The people who may sign in: shoppers by their address, staff by a name and a password."""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy import Connection, insert, select, update
from sqlalchemy.exc import IntegrityError

from pipeline.accounts.passwords import hash_password
from pipeline.accounts.tables import roles, users
from pipeline.errors import AccountError, StateError
from pipeline.state import Database

ROLES = ("shopper", "reviewer", "operator", "admin")
_ADDRESS = re.compile(r"[^@\s<>\"']{1,64}@[^@\s<>\"']{1,190}")


@dataclass(frozen=True)
class User:
    user_id: str
    name: str
    roles: frozenset[str]
    address: str | None
    staff_name: str | None
    shopper_id: str | None
    locale: str | None
    disabled: bool
    has_password: bool = False


class Users:
    """`clock`: ns since the Unix epoch."""

    def __init__(self, database: Database, clock: Callable[[], int]) -> None:
        self._database, self._clock = database, clock

    def by_id(self, user_id: str) -> User | None:
        return self._database.run(lambda db: user_where(db, users.c.user_id == user_id))

    def by_address(self, address: str) -> User | None:
        return self._database.run(lambda db: user_where(db, users.c.address == clean_address(address)))

    def by_shopper(self, shopper_id: str) -> User | None:
        return self._database.run(lambda db: user_where(db, users.c.shopper_id == shopper_id))

    def by_staff_name(self, staff_name: str) -> User | None:
        return self._database.run(lambda db: user_where(db, users.c.staff_name == staff_name.strip().lower()))

    def shopper(self, address: str, shopper_id: str | None = None, name: str | None = None) -> User:
        """The shopper with this address, made when there is none. `AccountError`: it is not an address, or somebody
        else has the shopper id."""
        address = clean_address(address)

        def work(db: Connection) -> User:
            found = user_where(db, users.c.address == address)
            if found is None:
                row = {"address": address, "shopper_id": shopper_id or f"shopper-{secrets.token_hex(8)}"}
                found = insert_user(db, {"name": name or address.partition("@")[0], **row}, {"shopper"}, self._clock())
            return found

        return run_unique(self._database, work, f"address {address} or shopper {shopper_id} belongs to somebody else")

    def rehash(self, user_id: str, password: str) -> None:
        """The same password with today's parameters; sessions go on."""
        hashed = hash_password(password)
        mine = users.c.user_id == user_id
        self._database.run(lambda db: db.execute(update(users).where(mine).values(password=hashed)))

    def set_locale(self, user_id: str, locale: str) -> None:
        self._database.run(lambda db: db.execute(update(users).where(users.c.user_id == user_id).values(locale=locale)))

    def password_hash(self, staff_name: str) -> tuple[str, str] | None:
        """(user id, hash) of somebody who may sign in with a password."""
        mine = (users.c.staff_name == staff_name.strip().lower()) & users.c.disabled_ns.is_(None)
        query = select(users.c.user_id, users.c.password).where(mine & users.c.password.is_not(None))
        row = self._database.run(lambda db: db.execute(query).one_or_none())
        return None if row is None else (row.user_id, row.password)


def run_unique(database: Database, work: Callable[[Connection], User], taken: str) -> User:
    """`work` in a transaction; `AccountError` with `taken` where a name is somebody else's already."""
    try:
        return database.run(work)
    except StateError as error:
        if isinstance(error.__cause__, IntegrityError):
            raise AccountError(taken) from None
        raise


def clean_address(address: str) -> str:
    """In small letters, without spaces around; `AccountError` when mail cannot go there."""
    clean = address.strip().lower()
    if not _ADDRESS.fullmatch(clean):
        raise AccountError(f"expected a mail address such as anna@example.org, got {address[:80]!r}")
    return clean


def user_of(db: Connection, user_id: str) -> User | None:
    return user_where(db, users.c.user_id == user_id)


def insert_user(db: Connection, row: dict, wanted: set[str], at_ns: int) -> User:
    user_id = f"u-{secrets.token_hex(8)}"
    db.execute(insert(users).values(user_id=user_id, made_ns=at_ns, **row))
    db.execute(insert(roles), [{"user_id": user_id, "role": role} for role in sorted(wanted)])
    return user_of(db, user_id)


def user_where(db: Connection, which) -> User | None:
    row = db.execute(select(users).where(which)).one_or_none()
    return None if row is None else user_of_row(db, row)


def user_of_row(db: Connection, row) -> User:
    mine = db.execute(select(roles.c.role).where(roles.c.user_id == row.user_id)).scalars()
    return User(
        row.user_id, row.name, frozenset(mine), row.address, row.staff_name, row.shopper_id, row.locale,
        row.disabled_ns is not None, row.password is not None,
    )  # fmt: skip
