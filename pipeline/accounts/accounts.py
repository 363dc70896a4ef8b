# SPDX-License-Identifier: AGPL-3.0-or-later
"""Signing in: each way of it ends with a user who may have a session."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

from pipeline.accounts.codes import SignInCodes
from pipeline.accounts.identities import user_of_claims
from pipeline.accounts.openid import OpenId
from pipeline.accounts.passwords import is_old, is_right
from pipeline.accounts.senders import DevelopmentSender, open_sender
from pipeline.accounts.sessions import Sessions
from pipeline.accounts.settings import AccountSettings
from pipeline.accounts.staff import Staff
from pipeline.accounts.users import User, Users
from pipeline.errors import SignInRefused
from pipeline.state import Database

CALLED_HERE = "http://127.0.0.1:8000"


class Accounts:
    """`clock`: ns since the Unix epoch."""

    def __init__(
        self, database: Database, settings: AccountSettings | None = None, clock: Callable[[], int] = time.time_ns
    ) -> None:
        self.settings = settings or AccountSettings()
        self.public_url = (self.settings.public_url or CALLED_HERE).rstrip("/")
        self.sender = open_sender(self.settings)
        self._database, self._clock = database, clock
        self._openid = {provider.name: OpenId(provider) for provider in self.settings.openid}
        self.users = Users(database, clock)
        self.staff = Staff(database, clock)
        self.sessions = Sessions(database, clock, self.settings.session_hours, self.settings.session_days)
        self.codes = SignInCodes(
            database, clock, self.sender, lambda token: f"{self.public_url}/sign-in/link/{token}",
            self.settings.code_minutes, self.settings.code_tries,
        )  # fmt: skip

    def openid(self, name: str) -> OpenId | None:
        """The provider of that name, if the settings have it."""
        return self._openid.get(name)

    def with_openid(self, provider: OpenId, token: str, query: Mapping[str, str]) -> User:
        """Who came back from a provider, see `OpenId.back`."""
        claims = provider.back(token, self.back_url(provider), query)
        return self._open(user_of_claims(self._database, provider.settings, claims, self.settings.sign_up, self._clock))

    def back_url(self, provider: OpenId) -> str:
        return f"{self.public_url}/sign-in/openid/{provider.settings.name}/back"

    @property
    def shows_codes(self) -> bool:
        return isinstance(self.sender, DevelopmentSender)

    def with_code(self, request: str, code: str) -> User:
        return self._with_address(self.codes.take(request, code))

    def with_link(self, token: str) -> User:
        return self._with_address(self.codes.take_link(token))

    def with_password(self, staff_name: str, password: str) -> User:
        """`SignInRefused` says the same for a wrong name as for a wrong password, and after the same time."""
        found = self.users.password_hash(staff_name)
        if not is_right(found and found[1], password) or found is None:
            raise SignInRefused("wrong name or password")
        if is_old(found[1]):
            self.users.rehash(found[0], password)
        return self.users.by_id(found[0])

    def _with_address(self, address: str) -> User:
        user = self.users.by_address(address)
        if user is None:
            if not self.settings.sign_up:
                raise SignInRefused("nobody with this address may sign in here")
            user = self.users.shopper(address)
        return self._open(user)

    def _open(self, user: User) -> User:
        if user.disabled:
            raise SignInRefused("this account is closed")
        return user
