# SPDX-License-Identifier: AGPL-3.0-or-later
"""Signing in: by a code or a link that is sent, by a staff password; for programs at `/api/v1/session`."""

# No `from __future__ import annotations`: FastAPI looks annotations up among the module's names.

import logging
from typing import Annotated

from fastapi import APIRouter, Depends, Form, HTTPException, Query, Request
from fastapi.responses import RedirectResponse, Response
from pydantic import BaseModel, ConfigDict, Field

from pipeline.accounts import User
from pipeline.accounts.openid import OpenId
from pipeline.accounts.secrets import new_token
from pipeline.errors import AccountError, SignInRefused
from pipeline.site import Site
from pipeline.web.home import local_path
from pipeline.web.render import N_, locale, page, text
from pipeline.web.security import Viewer, cookie_name, drop_cookie, session_token, set_cookie, viewer

_WRONG_CODE = N_("This code is wrong or too old. Type the newest one, or ask for another.")
_WRONG_LINK = N_("This link was used already or is too old. Ask for another code.")
_WRONG_PASSWORD = N_("Name and password do not fit together.")
_NOT_AN_ADDRESS = N_("This is not a mail address, or no mail can be sent to it now.")

_NO_PROVIDER = N_("The other service does not answer. Try again, or sign in with a code.")
_NOT_BELIEVED = N_("The other service did not confirm who you are. Try again.")

Next = Annotated[str, Form(max_length=2000)]


logger = logging.getLogger(__name__)


class CodeWanted(BaseModel):
    model_config = ConfigDict(extra="forbid")

    address: str = Field(max_length=254, examples=["anna@example.org"])


class CodeRequest(BaseModel):
    request: str = Field(description="give it back together with the code")


class SignIn(BaseModel):
    """Either `request` and `code`, or `staff_name` and `password`."""

    model_config = ConfigDict(extra="forbid")

    request: str = Field(default="", max_length=100)
    code: str = Field(default="", max_length=20)
    staff_name: str = Field(default="", max_length=60)
    password: str = Field(default="", max_length=200)


class SignedIn(BaseModel):
    token: str = Field(description="for the header `Authorization: Bearer TOKEN`")
    name: str
    roles: list[str]


def sign_in_router(site: Site) -> APIRouter:
    router = APIRouter()
    accounts = site.accounts

    def limit(request: Request, who: str = "") -> None:
        client = request.client.host if request.client else "?"
        request.app.state.limiter.hit(accounts.settings.sign_in_per_client, "sign-in client", client)
        if who:
            request.app.state.limiter.hit(accounts.settings.sign_in_per_account, "sign-in account", who.strip().lower())

    def let_in(request: Request, user: User, way: str, next: str) -> Response:
        agent = request.headers.get("user-agent", "")
        token = accounts.sessions.start(user.user_id, way, agent, instead_of=session_token(request))
        response = RedirectResponse(local_path(next), 303)
        set_cookie(request, response, "session", token, accounts.settings.session_days * 86_400)
        for name in ("form", "request"):
            drop_cookie(request, response, name)
        return response

    def form(request: Request, next: str, status: int = 200, problem: str = "", staff: bool = False) -> Response:
        told = text(request, problem) if problem else ""
        return page(
            request, "accounts/sign_in.html", status, next=local_path(next), problem=told, staff=staff,
            openid=accounts.settings.openid,
        )  # fmt: skip

    def code_form(request: Request, token: str, address: str, next: str, problem: str = "") -> Response:
        told = text(request, problem) if problem else ""
        shown = accounts.sender.last(address.strip().lower()) if accounts.shows_codes else None
        response = page(
            request, "accounts/code.html", 400 if problem else 200, address=address, next=local_path(next),
            problem=told, shown=shown,
        )  # fmt: skip
        set_cookie(request, response, "request", token, accounts.settings.code_minutes * 60)
        return response

    @router.get("/sign-in", include_in_schema=False)
    def show(request: Request, next: str = "/", staff: bool = False) -> Response:
        return form(request, next, staff=staff)

    @router.post("/sign-in", include_in_schema=False)
    def ask(request: Request, address: Annotated[str, Form(max_length=254)], next: Next = "/") -> Response:
        limit(request, address)
        try:
            token = accounts.codes.ask(address, locale(request))
        except AccountError:
            return form(request, next, 400, _NOT_AN_ADDRESS)
        return code_form(request, token, address, next)

    @router.post("/sign-in/code", include_in_schema=False)
    def code(
        request: Request, code: Annotated[str, Form(max_length=20)], address: Annotated[str, Form(max_length=254)],
        next: Next = "/",
    ) -> Response:  # fmt: skip
        limit(request)
        token = request.cookies.get(cookie_name(request, "request"), "")
        try:
            user = accounts.with_code(token, code)
        except SignInRefused:
            return code_form(request, token, address, next, _WRONG_CODE)
        return let_in(request, user, "code", next)

    @router.get("/sign-in/link/{token}", include_in_schema=False)
    def link(request: Request, token: str) -> Response:
        """Only a press of the button uses the link: programs that look into mail open what they find there."""
        return page(request, "accounts/link.html", token=token[:100])

    @router.post("/sign-in/link/{token}", include_in_schema=False)
    def use_link(request: Request, token: str) -> Response:
        limit(request)
        try:
            user = accounts.with_link(token)
        except SignInRefused:
            return form(request, "/", 400, _WRONG_LINK)
        return let_in(request, user, "link", "/")

    @router.post("/sign-in/staff", include_in_schema=False)
    def staff(
        request: Request, name: Annotated[str, Form(max_length=60)],
        password: Annotated[str, Form(max_length=200)], next: Next = "/",
    ) -> Response:  # fmt: skip
        limit(request, name)
        try:
            user = accounts.with_password(name, password)
        except SignInRefused:
            return form(request, next, 400, _WRONG_PASSWORD, staff=True)
        return let_in(request, user, "password", next)

    @router.get("/sign-in/openid/{name}", include_in_schema=False)
    def leave(request: Request, name: str, next: Annotated[str, Query(max_length=2000)] = "/") -> Response:
        limit(request)
        provider, token = found(name), new_token()
        try:
            response = RedirectResponse(provider.leave(token, accounts.back_url(provider)), 303)
        except AccountError as error:
            logger.error("%s", error)
            return form(request, next, 503, _NO_PROVIDER)
        set_cookie(request, response, "openid", f"{token}{local_path(next)}", 600)
        return response

    @router.get("/sign-in/openid/{name}/back", include_in_schema=False)
    def back(request: Request, name: str) -> Response:
        limit(request)
        provider, kept = found(name), request.cookies.get(cookie_name(request, "openid"), "")
        token, slash, next = kept.partition("/")
        try:
            if not token:
                raise SignInRefused("no sign-in was begun in this browser")
            user = accounts.with_openid(provider, token, dict(request.query_params))
        except SignInRefused as error:
            logger.warning("openid %s: %s", name, error)
            return form(request, "/", 400, _NOT_BELIEVED)
        except AccountError as error:
            logger.error("%s", error)
            return form(request, "/", 503, _NO_PROVIDER)
        response = let_in(request, user, "openid", slash + next)
        drop_cookie(request, response, "openid")
        return response

    def found(name: str) -> OpenId:
        provider = accounts.openid(name)
        if provider is None:
            raise HTTPException(404, "there is no such way to sign in")
        return provider

    # --- for programs ---

    @router.post("/api/v1/session/code", tags=["session"])
    def api_ask(request: Request, wanted: CodeWanted) -> CodeRequest:
        """Send a code to an address."""
        limit(request, wanted.address)
        try:
            return CodeRequest(request=accounts.codes.ask(wanted.address, locale(request)))
        except AccountError as error:
            raise HTTPException(400, str(error)) from None

    @router.post("/api/v1/session", tags=["session"])
    def api_sign_in(request: Request, given: SignIn) -> SignedIn:
        limit(request, given.staff_name)
        try:
            if given.staff_name:
                user, way = accounts.with_password(given.staff_name, given.password), "password"
            else:
                user, way = accounts.with_code(given.request, given.code), "code"
        except SignInRefused as error:
            raise HTTPException(401, str(error)) from None
        token = accounts.sessions.start(user.user_id, way, request.headers.get("user-agent", ""))
        return SignedIn(token=token, name=user.name, roles=sorted(user.roles))

    @router.get("/api/v1/session", tags=["session"])
    def api_who(who: Annotated[Viewer, Depends(viewer())]) -> dict:
        """Who is signed in."""
        return {"name": who.name, "roles": sorted(who.roles), "shopper_id": who.shopper_id, "staff_id": who.staff_id}

    @router.delete("/api/v1/session", tags=["session"], status_code=204)
    def api_sign_out(request: Request, who: Annotated[Viewer, Depends(viewer())]) -> None:
        accounts.sessions.end(session_token(request) or "")

    return router
