# SPDX-License-Identifier: AGPL-3.0-or-later
"""The people who work here: adding them, what they may do, new passwords, closing accounts.

`by` is who does it; each change leaves an entry in the audit trail. An account is closed and not deleted: decisions are
signed with its name.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection

from sqlalchemy import Connection, delete, insert, select, update

from pipeline.accounts.passwords import hash_password, is_right
from pipeline.accounts.tables import roles, sessions, users
from pipeline.accounts.users import ROLES, User, insert_user, run_unique, user_of, user_of_row
from pipeline.errors import AccountError
from pipeline.review import audit
from pipeline.state import Database

_NAME = re.compile(r"[\w.@+-]{2,60}")


class Staff:
    """`clock`: ns since the Unix epoch."""

    def __init__(self, database: Database, clock: Callable[[], int]) -> None:
        self._database, self._clock = database, clock

    def all(self) -> list[User]:
        """By name, closed ones too."""

        def work(db: Connection) -> list[User]:
            found = db.execute(select(users).where(users.c.staff_name.is_not(None)).order_by(users.c.staff_name)).all()
            return [user_of_row(db, row) for row in found]

        return self._database.run(work)

    def add(
        self, staff_name: str, role_names: Collection[str], password: str, name: str | None = None, *, by: str
    ) -> User:
        """`AccountError`: the name is taken or unusable, a role is unknown, the password is too weak."""
        staff_name = staff_name.strip().lower()
        if not _NAME.fullmatch(staff_name):
            raise AccountError(f"staff name {staff_name[:60]!r}: expected 2 to 60 letters, digits or any of . _ @ + -")
        wanted = _check(role_names)
        row = {"staff_name": staff_name, "password": hash_password(password), "name": (name or staff_name)[:80]}

        def work(db: Connection) -> User:
            user = insert_user(db, row, wanted, self._clock())
            self._note(db, "staff-added", by, user)
            return user

        return run_unique(self._database, work, f"staff name {staff_name!r} is taken")

    def set_roles(self, user_id: str, role_names: Collection[str], *, by: str) -> None:
        """`AccountError`: a role is unknown, or nobody would be admin any more."""
        wanted = _check(role_names)

        def work(db: Connection) -> None:
            if "admin" not in wanted:
                _require_other_admin(db, user_id)
            kept = roles.c.role == "shopper"  # somebody who also shops here
            db.execute(delete(roles).where((roles.c.user_id == user_id) & ~kept))
            db.execute(insert(roles), [{"user_id": user_id, "role": role} for role in sorted(wanted)])
            self._note(db, "staff-roles", by, user_of(db, user_id))

        self._database.run(work)

    def set_password(self, user_id: str, password: str, *, by: str) -> None:
        """Everybody who is signed in with the old one is signed out."""
        hashed = hash_password(password)

        def work(db: Connection) -> None:
            db.execute(update(users).where(users.c.user_id == user_id).values(password=hashed))
            db.execute(delete(sessions).where(sessions.c.user_id == user_id))
            self._note(db, "staff-password", by, user_of(db, user_id))

        self._database.run(work)

    def change_password(self, user_id: str, old: str, new: str) -> None:
        """By themselves. `AccountError`: the old one is wrong, or the new one too weak."""
        query = select(users.c.password, users.c.staff_name).where(users.c.user_id == user_id)
        row = self._database.run(lambda db: db.execute(query).one())
        if not is_right(row.password, old):
            raise AccountError("the old password is wrong")
        self.set_password(user_id, new, by=row.staff_name)

    def close(self, user_id: str, *, by: str) -> None:
        """Signed out, and not let in again. `AccountError`: nobody would be admin any more."""

        def work(db: Connection) -> None:
            _require_other_admin(db, user_id)
            db.execute(update(users).where(users.c.user_id == user_id).values(disabled_ns=self._clock()))
            db.execute(delete(sessions).where(sessions.c.user_id == user_id))
            self._note(db, "staff-closed", by, user_of(db, user_id))

        self._database.run(work)

    def reopen(self, user_id: str, *, by: str) -> None:
        def work(db: Connection) -> None:
            db.execute(update(users).where(users.c.user_id == user_id).values(disabled_ns=None))
            self._note(db, "staff-reopened", by, user_of(db, user_id))

        self._database.run(work)

    def _note(self, db: Connection, kind: str, by: str, user: User) -> None:
        about = {"staff": user.staff_name, "roles": sorted(user.roles)}
        audit.append(db, kind, by, about, at_ns=self._clock())


def _require_other_admin(db: Connection, user_id: str) -> None:
    """Where `user_id` is an admin, they are not the only one who can sign in."""
    open_admins = select(roles.c.user_id).join(users, users.c.user_id == roles.c.user_id)
    query = open_admins.where((roles.c.role == "admin") & users.c.disabled_ns.is_(None)).with_for_update()
    if set(db.execute(query).scalars()) == {user_id}:
        raise AccountError("this is the only admin: make somebody else one first")


def _check(names: Collection[str]) -> set[str]:
    if not names or (unknown := sorted(set(names) - set(ROLES[1:]))):
        raise AccountError(f"role {unknown[0] if names else ''!r}: expected one of {', '.join(ROLES[1:])}")
    return set(names)
