# SPDX-License-Identifier: AGPL-3.0-or-later
"""Running the pages of a run or a store."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any

from rich.console import Console

from pipeline.accounts import AccountSettings, load_account_settings
from pipeline.accounts.demo import DemoSignIn, demo_accounts
from pipeline.errors import AccountError, WalkoutError
from pipeline.site import Site, open_site, shop_folder
from pipeline.web.people import shoppers_of
from pipeline.web.site_app import site_app

_LOOPBACK = ("127.0.0.1", "::1", "localhost")


def serve_site(
    folder: Path, host: str = "127.0.0.1", port: int = 8000, *, log_url: str | None = None,
    state_url: str | None = None, recording: Path | None = None, public_url: str | None = None, demo: bool = False,
    proxies: str = "127.0.0.1",
) -> None:  # fmt: skip
    """Until SIGTERM or SIGINT. TLS stands in front of it (docs/screens.md); `proxies`: whose X-Forwarded-For is
    believed. `WalkoutError`: the folder is unusable, the address is taken, or codes would be shown to a network."""
    import uvicorn

    settings = _settings(folder, recording, public_url, f"http://{_named(host)}:{port}", demo)
    if settings.sender == "development" and not demo and host not in _LOOPBACK:
        raise AccountError(
            f"accounts.yaml: sender is development, which shows everybody's codes, and --host is {host}: expected "
            "127.0.0.1, or sender: smtp"
        )
    if not _is_free(host, port):
        raise WalkoutError(f"{host}:{port} is taken: choose another --port, or end what listens there")
    with open_site(folder, log_url, state_url, recording=recording, accounts=settings) as site:
        _say(site, demo_accounts(site.accounts, shoppers_of(site)) if demo else [])
        uvicorn.run(
            site_app(site), host=host, port=port, log_level="warning", server_header=False, forwarded_allow_ips=proxies,
            timeout_graceful_shutdown=3,
        )  # fmt: skip


def free_port(host: str, port: int) -> int:
    """`port`, or the next one that nobody listens on."""
    return next((p for p in range(port, port + 50) if _is_free(host, p)), port)


def _is_free(host: str, port: int) -> bool:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as trial:
        trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            trial.bind((host, port))
        except OSError:
            return False
    return True


def _named(host: str) -> str:
    """As in an address that a browser on this machine can open."""
    here = "127.0.0.1" if host in ("0.0.0.0", "::") else host
    return f"[{here}]" if ":" in here else here


def _say(site: Site, sign_ins: list[DemoSignIn]) -> None:
    console = Console(highlight=False)
    address = site.accounts.public_url
    console.print(f"The pages of [bold]{site.store_name}[/bold]: [bold]{address}[/bold]", soft_wrap=True)
    if not sign_ins:
        return
    widest = max(len(one.name) for one in sign_ins)
    for one in sign_ins:
        staff = one.password is not None
        where = f"{address}/sign-in{'?staff=1' if staff else ''}"
        how = f"password {one.password}" if staff else "the code that the page shows"
        line = f"  {one.role:9} {one.name:{widest}}  {how:29} {where}"
        console.print(line, soft_wrap=True, markup=False)
    if site.review is not None and (waiting := site.review.waiting(site.store_id)):
        console.print(f"  cases that wait for the reviewer: {waiting}  {address}/review", soft_wrap=True)
    console.print("Demonstration: staff get new passwords each time, and codes are shown to whoever asks.", style="dim")


def _settings(folder: Path, recording: Path | None, public_url: str | None, here: str, demo: bool) -> AccountSettings:
    settings = load_account_settings(shop_folder(folder, recording))
    changes: dict[str, Any] = {"public_url": public_url or settings.public_url or here}
    if demo:
        changes["sender"] = "development"
    return settings.model_copy(update=changes)
