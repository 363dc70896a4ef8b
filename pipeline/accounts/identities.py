# SPDX-License-Identifier: AGPL-3.0-or-later
"""Whom an identity at an OpenID provider belongs to here.

The pair of issuer and subject is what counts. A shopper who is known by a verified address is recognised by it the
first time; staff never are: an address at an outside provider must not open an account with more rights.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable

from sqlalchemy import Connection, delete, insert, select

from pipeline.accounts.openid import Claims
from pipeline.accounts.settings import OpenIdProvider
from pipeline.accounts.tables import identities, roles, users
from pipeline.accounts.users import User, clean_address, insert_user, user_of, user_where
from pipeline.errors import AccountError, SignInRefused
from pipeline.state import Database


def user_of_claims(
    database: Database, provider: OpenIdProvider, claims: Claims, sign_up: bool, clock: Callable[[], int]
) -> User:
    """The user, made when there is none; roles that come from the provider's groups are those of now.

    `SignInRefused`: nobody may come from there without a role, or nobody new may come.
    """
    granted = {provider.roles[group] for group in claims.groups if group in provider.roles}
    mine = (identities.c.issuer == claims.issuer) & (identities.c.subject == claims.subject)

    def work(db: Connection) -> User | None:
        user_id = db.execute(select(identities.c.user_id).where(mine)).scalar_one_or_none()
        if user_id is None:
            user = _by_address(db, claims) if not granted else None
            if user is None:
                user = _new(db, provider, claims, granted, clock()) if sign_up or granted else None
            if user is None:
                return None
            user_id = user.user_id
            db.execute(insert(identities).values(issuer=claims.issuer, subject=claims.subject, user_id=user_id))
        elif provider.roles:
            _set_roles(db, user_id, granted or ({provider.role} if provider.role else set()))
        return user_of(db, user_id)

    user = database.run(work)
    if user is None or not user.roles:
        raise SignInRefused(f"{provider.title}: nobody without one of its groups may sign in here")
    return user


def _by_address(db: Connection, claims: Claims) -> User | None:
    if claims.address is None:
        return None
    user = user_where(db, users.c.address == claims.address.strip().lower())
    return user if user is not None and user.roles == {"shopper"} else None


def _new(db: Connection, provider: OpenIdProvider, claims: Claims, granted: set[str], at_ns: int) -> User | None:
    wanted = granted or ({provider.role} if provider.role else set())
    if not wanted:
        return None
    row: dict[str, str | None] = {"name": claims.name or claims.address or provider.title}
    if "shopper" in wanted:
        row |= {"shopper_id": f"shopper-{secrets.token_hex(8)}", "address": _free_address(db, claims)}
    if wanted - {"shopper"}:  # what decisions are signed with; has no password
        row["staff_name"] = f"{provider.name}.{claims.subject}"[:200].lower()
    return insert_user(db, row, wanted, at_ns)


def _free_address(db: Connection, claims: Claims) -> str | None:
    if claims.address is None:
        return None
    try:
        address = clean_address(claims.address)
    except AccountError:
        return None
    return None if user_where(db, users.c.address == address) else address


def _set_roles(db: Connection, user_id: str, wanted: set[str]) -> None:
    db.execute(delete(roles).where(roles.c.user_id == user_id))
    if wanted:
        db.execute(insert(roles), [{"user_id": user_id, "role": role} for role in sorted(wanted)])
