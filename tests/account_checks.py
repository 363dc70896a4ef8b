# SPDX-License-Identifier: AGPL-3.0-or-later
"""What has to hold of accounts in any database; run on SQLite and on PostgreSQL."""

from __future__ import annotations

import pytest

from pipeline.accounts import Accounts
from pipeline.errors import AccountError, SignInRefused

MINUTE = 60 * 10**9
HOUR = 60 * MINUTE


class Clock:
    def __init__(self) -> None:
        self.now_ns = 1_700_000_000 * 10**9

    def __call__(self) -> int:
        return self.now_ns

    def wait(self, ns: int) -> None:
        self.now_ns += ns


def a_whole_life(accounts: Accounts, clock: Clock) -> None:
    """A shopper signs in twice, a member of staff is added, changed and closed."""
    request = accounts.codes.ask(" Anna@Example.org ")
    user = accounts.with_code(request, accounts.sender.last("anna@example.org").code)
    assert user.address == "anna@example.org" and user.roles == {"shopper"}
    accounts.codes.ask("anna@example.org")
    link = accounts.sender.last("anna@example.org").link
    assert accounts.with_link(link.rpartition("/")[2]).user_id == user.user_id

    staff = accounts.staff.add("Rita", ["reviewer"], "a long password", by="test")
    assert accounts.with_password("rita", "a long password").user_id == staff.user_id
    with pytest.raises(AccountError, match="'rita' is taken"):
        accounts.staff.add("rita", ["operator"], "another password", by="test")
    accounts.staff.set_roles(staff.user_id, ["operator", "reviewer"], by="test")
    assert accounts.users.by_staff_name("rita").roles == {"operator", "reviewer"}

    token = accounts.sessions.start(staff.user_id, "password", "A browser")
    assert accounts.sessions.find(token).staff_name == "rita"
    clock.wait(MINUTE)
    assert accounts.sessions.find(token) is not None
    assert accounts.sessions.of(staff.user_id)[0].seen_ns == clock.now_ns
    accounts.staff.close(staff.user_id, by="test")
    assert accounts.sessions.find(token) is None
    with pytest.raises(SignInRefused):
        accounts.with_password("rita", "a long password")
