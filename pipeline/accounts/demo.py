# SPDX-License-Identifier: AGPL-3.0-or-later
"""Accounts to look around with: a shopper for each one of a run, and one member of staff a role."""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from dataclasses import dataclass

from pipeline.accounts.accounts import Accounts

STAFF = ("reviewer", "operator", "admin")


@dataclass(frozen=True)
class DemoSignIn:
    """`name`: an address for shoppers, who get a code; a staff name with `password` for the others."""

    role: str
    name: str
    password: str | None


def demo_accounts(accounts: Accounts, shopper_ids: Iterable[str]) -> list[DemoSignIn]:
    """Made where they are missing; each time the staff get new passwords, and nobody stays signed in with old ones."""
    made = []
    for shopper_id in sorted(set(shopper_ids)):
        user = accounts.users.by_shopper(shopper_id)
        if user is None:
            short = shopper_id.removeprefix("shopper-")
            user = accounts.users.shopper(f"{short}@example.org", shopper_id, short.replace("-", " ").capitalize())
        made.append(DemoSignIn("shopper", user.address or "", None))
    for role in STAFF:
        password = secrets.token_urlsafe(9)
        user = accounts.users.by_staff_name(role)
        if user is None:
            accounts.staff.add(role, [role], password, role.capitalize(), by="command")
        else:
            accounts.staff.set_password(user.user_id, password, by="command")
        made.append(DemoSignIn(role, role, password))
    return made
