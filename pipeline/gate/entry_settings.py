# SPDX-License-Identifier: AGPL-3.0-or-later
"""How a store lets people in: `entry.yaml` beside its layout."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from calibration.layout import parse_model
from pipeline.errors import LayoutError
from pipeline.passes.vouchers import Issuer

FILE = "entry.yaml"
STATE_URL = "WALKOUT_STATE_URL"
"""Environment variable that goes before `state_url`, which may hold a password."""


class EntrySettings(BaseModel):
    """All of it may be left out.

    `key_ring`: the file with the keys that passes are checked with, beside this one unless it is absolute; none: no
    passes here. `pass_ring`: the file with private keys that shoppers' pages make passes with (by default
    `key_ring`, which gates need only the public half of). `state_url`: the database that remembers who was let in;
    by default `entry.sqlite` beside this file. `skew_s`: how far clocks may be apart. `authorise_minor`: payment
    held before the gate opens; 0: none. It needs a `state_url`, the payment desk's: a hold in a database of the
    gate's own is neither captured nor given back. `unanswered_payment`: what a gate does when the payment provider
    is silent. `unknown_cards`: whether a payment card that nobody has registered makes a shopper by itself.
    `issuers`: outside identity providers. `language`: of the gates' displays.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    schema_version: int = 1
    key_ring: Path | None = None
    pass_ring: Path | None = None
    state_url: str | None = None
    skew_s: float = Field(default=5.0, ge=0, le=60)
    authorise_minor: int = Field(default=0, ge=0)
    unanswered_payment: Literal["refuse", "open"] = "refuse"
    unknown_cards: Literal["refuse", "accept"] = "refuse"
    issuers: tuple[Issuer, ...] = ()
    language: Literal["en", "fr"] = "en"


def load_entry_settings(folder: Path) -> EntrySettings:
    """The settings in `folder`, or the defaults, with paths made absolute; `LayoutError` names file and field."""
    path = folder / FILE
    settings = parse_model(EntrySettings, path) if path.exists() else EntrySettings()
    if found := os.environ.get(STATE_URL):
        settings = settings.model_copy(update={"state_url": found})
    if settings.authorise_minor and settings.state_url is None:
        raise LayoutError(
            f"{path}: authorise_minor is {settings.authorise_minor}, but there is no state_url: name the database of "
            "the payment desk (its --state), which captures the hold or gives it back"
        )
    url = settings.state_url or f"sqlite:///{folder.resolve() / 'entry.sqlite'}"
    rings = {
        name: None if (path := getattr(settings, name)) is None else folder.resolve() / path
        for name in ("key_ring", "pass_ring")
    }
    return settings.model_copy(update={"state_url": url, **rings})
