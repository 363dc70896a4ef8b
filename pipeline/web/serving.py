# SPDX-License-Identifier: AGPL-3.0-or-later
"""Running the pages of a run or a store."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

from rich.console import Console
from sqlalchemy import select

from pipeline.accounts import AccountSettings, load_account_settings
from pipeline.accounts.demo import DemoSignIn, demo_accounts
from pipeline.cart.tables import receipts
from pipeline.web.site import Site, open_site, shop_folder
from pipeline.web.site_app import site_app

logger = logging.getLogger(__name__)


def serve_site(
    folder: Path, host: str = "127.0.0.1", port: int = 8000, *, log_url: str | None = None,
    state_url: str | None = None, recording: Path | None = None, public_url: str | None = None, demo: bool = False,
) -> None:  # fmt: skip
    """Until SIGTERM or SIGINT. TLS stands in front of it (docs/screens.md)."""
    import uvicorn

    here = f"http://{'127.0.0.1' if host in ('0.0.0.0', '::') else host}:{port}"
    settings = _settings(folder, recording, public_url or None, here, demo)
    with open_site(folder, log_url, state_url, recording=recording, accounts=settings) as site:
        if demo:
            print_sign_ins(site, demo_accounts(site.accounts, shoppers_of(site)))
        uvicorn.run(site_app(site), host=host, port=port, log_level="warning", proxy_headers=True)


def shoppers_of(site: Site) -> list[str]:
    """Everybody who has a receipt."""
    query = select(receipts.c.shopper_id).where(receipts.c.shopper_id.is_not(None)).distinct()
    return sorted(site.database.run(lambda db: db.execute(query).scalars().all()))


def print_sign_ins(site: Site, sign_ins: list[DemoSignIn]) -> None:
    console = Console(highlight=False)
    console.print(f"[bold]{site.store_name}[/bold] is at [bold]{site.accounts.public_url}[/bold]", soft_wrap=True)
    for one in sign_ins:
        how = "a code, which the page shows" if one.password is None else f"password {one.password}"
        console.print(f"  {one.role:9} {one.name}  {how}", soft_wrap=True, markup=False)


def _settings(folder: Path, recording: Path | None, public_url: str | None, here: str, demo: bool) -> AccountSettings:
    settings = load_account_settings(shop_folder(folder, recording))
    changes: dict[str, Any] = {"public_url": public_url or settings.public_url or here}
    if demo:
        changes["sender"] = "development"
    return settings.model_copy(update=changes)
