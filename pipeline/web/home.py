# SPDX-License-Identifier: AGPL-3.0-or-later
"""`/`, and what everybody may change: language, and their own sessions."""

# No `from __future__ import annotations`: FastAPI looks annotations up among the module's names.

from typing import Annotated

from fastapi import APIRouter, Depends, Form, Request
from fastapi.responses import RedirectResponse, Response

from pipeline.errors import AccountError
from pipeline.site import Site
from pipeline.texts import LANGUAGES
from pipeline.web.render import N_, page, text
from pipeline.web.security import Viewer, current, drop_cookie, session_token, set_cookie, viewer

_YEAR_S = 365 * 86_400
_NOT_CHANGED = N_("The old password is wrong, or the new one has less than 10 characters.")
HOMES = {"shopper": "/shop", "reviewer": "/review", "operator": "/floor"}


def home_of(who: Viewer) -> str:
    """Where somebody with one role belongs; `/home` lets the others choose."""
    mine = [HOMES[role] for role in HOMES if who.may(role)]
    return mine[0] if len(mine) == 1 else "/home"


def local_path(path: str) -> str:
    """Where to go next: a path of ours, never another site's."""
    return path if path.startswith("/") and not path.startswith(("//", "/\\")) and "\n" not in path else "/"


def home_router(site: Site) -> APIRouter:
    router = APIRouter(include_in_schema=False)
    anybody = viewer()

    @router.get("/")
    async def index(request: Request) -> Response:
        who = await current(request)
        return RedirectResponse("/sign-in" if who is None else home_of(who), 303)

    @router.get("/home")
    def home(request: Request, who: Annotated[Viewer, Depends(anybody)]) -> Response:
        return page(request, "home.html")

    def account_page(request: Request, who: Viewer, status: int = 200, problem: str = "") -> Response:
        user = site.accounts.users.by_id(who.user_id)
        return page(
            request, "accounts/account.html", status, sessions=site.accounts.sessions.of(who.user_id), problem=problem,
            address=user and user.address, has_password=bool(user and user.has_password),
        )  # fmt: skip

    @router.get("/account")
    def account(request: Request, who: Annotated[Viewer, Depends(anybody)]) -> Response:
        return account_page(request, who)

    @router.post("/account/password")
    def password(
        request: Request, who: Annotated[Viewer, Depends(anybody)], old: Annotated[str, Form(max_length=200)],
        new: Annotated[str, Form(max_length=200)],
    ) -> Response:  # fmt: skip
        request.app.state.limiter.hit(site.accounts.settings.sign_in_per_account, "password", who.user_id)
        try:
            site.accounts.staff.change_password(who.user_id, old, new)
        except AccountError:
            return account_page(request, who, 400, text(request, _NOT_CHANGED))
        return _signed_out(request)

    @router.post("/language")
    async def language(
        request: Request, to: Annotated[str, Form(max_length=8)], next: Annotated[str, Form(max_length=2000)] = "/"
    ) -> Response:
        who = await current(request)
        response = RedirectResponse(local_path(next), 303)
        if to in LANGUAGES:
            set_cookie(request, response, "language", to, _YEAR_S)
            if who is not None:
                site.accounts.users.set_locale(who.user_id, to)
        return response

    @router.post("/sign-out")
    def sign_out(request: Request) -> Response:
        if token := session_token(request):
            site.accounts.sessions.end(token)
        return _signed_out(request)

    @router.post("/sign-out/everywhere")
    def everywhere(request: Request, who: Annotated[Viewer, Depends(anybody)]) -> Response:
        site.accounts.sessions.end_all(who.user_id)
        return _signed_out(request)

    return router


def _signed_out(request: Request) -> Response:
    response = RedirectResponse("/sign-in", 303)
    for name in ("session", "form"):
        drop_cookie(request, response, name)
    response.headers["Clear-Site-Data"] = '"cache"'
    return response
