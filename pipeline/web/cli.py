# SPDX-License-Identifier: AGPL-3.0-or-later
"""`walkout web ...`: the pages for shoppers, reviewers and operators."""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(help="The pages for shoppers, reviewers and operators.", no_args_is_help=True)
staff_app = typer.Typer(help="Staff who sign in with a password.", no_args_is_help=True)
app.add_typer(staff_app, name="staff")

Folder = Annotated[Path, typer.Argument(metavar="RUN_OR_STORE", help="A run's folder, or a store's.")]
Log = Annotated[str | None, typer.Option("--log", help="Event log; by default the run's, or the store's settings'.")]
State = Annotated[str | None, typer.Option("--state", help="State database; by default the run's, or the store's.")]
Recording = Annotated[Path | None, typer.Option("--recording", help="Where a run's recording is now.")]
Roles = Annotated[list[str], typer.Option("--role", help="reviewer, operator or admin; more than once for more.")]


@app.command()
def serve(
    folder: Folder,
    port: Annotated[int, typer.Option("--port")] = 8000,
    host: Annotated[str, typer.Option("--host", help="Address to listen on.")] = "127.0.0.1",
    log: Log = None,
    state: State = None,
    recording: Recording = None,
    public_url: Annotated[
        str | None, typer.Option("--public-url", help="The address that people use, e.g. https://shop.example.")
    ] = None,
    proxies: Annotated[
        str, typer.Option("--proxies", help="Addresses of reverse proxies whose X-Forwarded-For is believed.")
    ] = "127.0.0.1",
    demo: Annotated[bool, typer.Option("--demo", help="Show codes in the page, and print demo sign-ins.")] = False,
) -> None:
    """Serve the pages and the API until interrupted."""
    from pipeline.web.serving import serve_site

    serve_site(
        folder, host, port, log_url=log, state_url=state, recording=recording, public_url=public_url, demo=demo,
        proxies=proxies,
    )  # fmt: skip


@app.command()
def screenshots(
    folder: Folder,
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for the pictures.")],
    recording: Recording = None,
    locale: Annotated[str, typer.Option("--locale", help="Language of the browser, e.g. fr-FR.")] = "en-GB",
) -> None:
    """Pictures of every page, for each role, on phone and desktop, light and dark (needs Chromium)."""
    from pipeline.web.screenshots import take_screenshots

    take_screenshots(folder, out, recording, locale)


@staff_app.command("add")
def staff_add(
    folder: Folder,
    name: Annotated[str, typer.Argument(help="What they sign in with.")],
    role: Roles,
    state: State = None,
    password: Annotated[str | None, typer.Option(envvar="WALKOUT_PASSWORD", help="By default a random one.")] = None,
) -> None:
    """Add a member of staff; a random password is printed this once."""
    from pipeline.web.site import open_site

    with open_site(folder, state_url=state) as site:
        given = password or secrets.token_urlsafe(12)
        site.accounts.users.add_staff(name, role, given)
    print(f"{name}: {', '.join(role)}" + ("" if password else f"; password {given}"))
