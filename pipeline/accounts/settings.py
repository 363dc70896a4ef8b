# SPDX-License-Identifier: AGPL-3.0-or-later
"""How people sign in at a store: `accounts.yaml` beside its layout."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from calibration.layout import parse_model

FILE = "accounts.yaml"

Rate = Annotated[str, StringConstraints(pattern=r"^[1-9][0-9]*/([1-9][0-9]* )?(second|minute|hour|day)s?$")]
"""As `limits` writes rates, e.g. `5/minute` or `20/10 minutes`."""


class OpenIdProvider(BaseModel):
    """An OpenID Connect provider. `name` is part of the address that it must send people back to,
    `PUBLIC_URL/sign-in/openid/NAME/back`. `client_secret_env`: the environment variable that holds the secret.
    `role`: what somebody who comes from there for the first time may do; staff roles only for a provider of the store's
    own. `groups_claim` and `roles`: which of its groups give which role."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(pattern=r"^[a-z0-9-]{1,40}$")
    title: str = Field(max_length=60)
    issuer: str
    client_id: str
    client_secret_env: str | None = None
    scopes: str = "openid email profile"
    role: Literal["shopper", "reviewer", "operator"] | None = "shopper"
    groups_claim: str = "groups"
    roles: dict[str, Literal["shopper", "reviewer", "operator", "admin"]] = Field(default_factory=dict)


class Smtp(BaseModel):
    """Where codes leave by mail. `password_env`: the environment variable that holds the password."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    host: str
    port: int = 587
    starttls: bool = True
    user: str | None = None
    password_env: str | None = None
    from_address: str


class AccountSettings(BaseModel):
    """All of it may be left out.

    `public_url`: the address at which people reach the pages, as in links that are sent; with https, cookies are
    secure. `sender`: how codes reach people: `development` shows them in the page and in the log, for demonstrations on
    one machine; `none`: no codes. `sign_up`: whether an address that is not known makes a new shopper. `code_minutes`,
    `code_tries`: how long a code is good for, and how many wrong ones may be typed. `session_hours`: without use;
    `session_days`: at most. Rates by what is limited: a client's address, an account, a pass.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    schema_version: int = 1
    public_url: str | None = None
    sender: Literal["none", "development", "smtp"] = "none"
    smtp: Smtp | None = None
    openid: tuple[OpenIdProvider, ...] = ()
    sign_up: bool = True
    code_minutes: int = Field(default=10, ge=1, le=60)
    code_tries: int = Field(default=5, ge=1, le=10)
    session_hours: int = Field(default=12, ge=1, le=24 * 30)
    session_days: int = Field(default=30, ge=1, le=365)
    sign_in_per_client: Rate = "30/minute"
    sign_in_per_account: Rate = "10/10 minutes"
    passes_per_shopper: Rate = "30/minute"


def load_account_settings(folder: Path) -> AccountSettings:
    """The settings in `folder`, or the defaults; `LayoutError` names the file and the field."""
    path = folder / FILE
    return parse_model(AccountSettings, path) if path.exists() else AccountSettings()
