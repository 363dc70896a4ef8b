# SPDX-License-Identifier: AGPL-3.0-or-later
"""`walkout web ...`: the pages for shoppers, reviewers and operators."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pipeline.errors import AccountError

if TYPE_CHECKING:
    from pipeline.accounts import Accounts

app = typer.Typer(help="The pages for shoppers, reviewers and operators.", no_args_is_help=True)
staff_app = typer.Typer(help="Staff who sign in with a password.", no_args_is_help=True)
app.add_typer(staff_app, name="staff")

_BY = "command"
"""Who the audit trail says it was."""

Folder = Annotated[Path, typer.Argument(metavar="RUN_OR_STORE", help="A run's folder, or a store's.")]
Log = Annotated[
    str | None,
    typer.Option("--log", envvar="WALKOUT_LOG_URL", help="Event log; by default the run's, or the store's settings'."),
]
State = Annotated[str | None, typer.Option("--state", help="State database; by default the run's, or the store's.")]
Recording = Annotated[Path | None, typer.Option("--recording", help="Where a run's recording is now.")]
StaffName = Annotated[str, typer.Argument(metavar="NAME", help="What they sign in with.")]
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


@app.command()
def forget(
    folder: Folder,
    who: Annotated[str, typer.Argument(metavar="SHOPPER", help="A shopper's id, or their mail address.")],
    by: Annotated[str, typer.Option("--by", help="Who wants it, for the audit trail.")],
    state: State = None,
    recording: Recording = None,
) -> None:
    """Delete what is known of a shopper; receipts keep their amounts and lose the person."""
    from pipeline.site import open_site

    with open_site(folder, state_url=state, recording=recording) as site:
        user = site.accounts.users.by_address(who) if "@" in who else None
        found = site.erase_shopper(user.shopper_id if user and user.shopper_id else who, by)
    account = "the account" if found.account else "no account"
    print(
        f"{account}, {found.visits} visits, {found.receipts} receipts, {found.cases} cases, {found.coupons} coupons, "
        f"{found.evidence} films and pictures"
    )


@staff_app.command("add")
def staff_add(
    folder: Folder, name: StaffName, role: Roles, state: State = None, recording: Recording = None,
    password: Annotated[str | None, typer.Option(envvar="WALKOUT_PASSWORD", help="By default a random one.")] = None,
) -> None:  # fmt: skip
    """Add a member of staff; a random password is printed this once."""
    given = password or secrets.token_urlsafe(12)
    with _accounts(folder, state, recording) as accounts:
        accounts.staff.add(name, role, given, by=_BY)
    print(f"{name}: {', '.join(role)}" + ("" if password else f"; password {given}"))


@staff_app.command("list")
def staff_list(folder: Folder, state: State = None, recording: Recording = None) -> None:
    """Who may sign in, and as what."""
    with _accounts(folder, state, recording) as accounts:
        for user in accounts.staff.all():
            closed = "  closed" if user.disabled else ""
            print(f"{user.staff_name}  {', '.join(sorted(user.roles))}{closed}")


@staff_app.command("password")
def staff_password(
    folder: Folder, name: StaffName, state: State = None, recording: Recording = None,
    password: Annotated[str | None, typer.Option(envvar="WALKOUT_PASSWORD", help="By default a random one.")] = None,
) -> None:  # fmt: skip
    """Give somebody a new password; where they are signed in, they are signed out."""
    given = password or secrets.token_urlsafe(12)
    with _accounts(folder, state, recording) as accounts:
        accounts.staff.set_password(_user_id(accounts, name), given, by=_BY)
    print(f"{name}: " + ("has the new password" if password else f"password {given}"))


@staff_app.command("roles")
def staff_roles(folder: Folder, name: StaffName, role: Roles, state: State = None, recording: Recording = None) -> None:
    """Give somebody these roles and no others."""
    with _accounts(folder, state, recording) as accounts:
        accounts.staff.set_roles(_user_id(accounts, name), role, by=_BY)
    print(f"{name}: {', '.join(role)}")


@staff_app.command("close")
def staff_close(
    folder: Folder, name: StaffName, state: State = None, recording: Recording = None,
    undo: Annotated[bool, typer.Option("--undo", help="Let them in again.")] = False,
) -> None:  # fmt: skip
    """Close an account: signed out, and not let in again. What they decided keeps their name."""
    with _accounts(folder, state, recording) as accounts:
        change = accounts.staff.reopen if undo else accounts.staff.close
        change(_user_id(accounts, name), by=_BY)
    print(f"{name}: {'open' if undo else 'closed'}")


@contextmanager
def _accounts(folder: Path, state: str | None, recording: Path | None) -> Iterator[Accounts]:
    from pipeline.site import open_site

    with open_site(folder, state_url=state, recording=recording) as site:
        yield site.accounts


def _user_id(accounts: Accounts, name: str) -> str:
    user = accounts.users.by_staff_name(name)
    if user is None:
        there = ", ".join(u.staff_name or "" for u in accounts.staff.all()) or "nobody yet"
        raise AccountError(f"no member of staff {name!r}; there is {there}")
    return user.user_id
