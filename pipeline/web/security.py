# SPDX-License-Identifier: AGPL-3.0-or-later
"""Who is looking, what they may, and what keeps other sites and scripts out of it.

Sessions: an HttpOnly cookie, or for programs `Authorization: Bearer TOKEN`. Cross-site requests: the cookie is
SameSite=Lax, and every unsafe request that comes with a cookie of ours needs a token that is derived from that cookie
(field `csrf_token`, or header `X-CSRF-Token`); a page of another site can neither read nor guess it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from fastapi import HTTPException, Request
from fastapi.concurrency import run_in_threadpool

from pipeline.accounts.secrets import derived, new_token, same
from pipeline.accounts.users import User
from pipeline.texts import N_

STRANGE_FORM = N_("This form is too old, or it came from another site. Go back, load the page again and repeat it.")
SESSION = "walkout-session"
"""The session's cookie without https."""
_SAFE = {"GET", "HEAD", "OPTIONS", "TRACE"}
_FORMS = ("application/x-www-form-urlencoded", "multipart/form-data")


@dataclass(frozen=True)
class Viewer:
    """`shopper_id`: as on passes and receipts; `staff_id`: what decisions are signed with."""

    user_id: str
    name: str
    roles: frozenset[str]
    shopper_id: str | None
    staff_id: str | None
    locale: str | None

    @classmethod
    def of(cls, user: User) -> Viewer:
        return cls(user.user_id, user.name, user.roles, user.shopper_id, user.staff_name, user.locale)

    def may(self, *roles: str) -> bool:
        """Whether they have one of these roles; an admin has all but the shopper's, who needs a shopper id."""
        return bool(self.roles & set(roles)) or ("admin" in self.roles and set(roles) != {"shopper"})


class SignInNeeded(Exception):
    """Nobody is signed in."""


class NotAllowed(Exception):
    """Somebody is, without the role."""


def viewer(*roles: str) -> Callable[[Request], Any]:
    """A dependency: who looks, with one of these roles (any role, when none is named).

    Pages of others lead to `/sign-in?next=`; `/api/v1/...` answers 401 or 403 in JSON.
    """

    async def find(request: Request) -> Viewer:
        who = await current(request)
        if who is None:
            raise SignInNeeded
        if roles and not who.may(*roles):
            raise NotAllowed
        return who

    return find


async def current(request: Request) -> Viewer | None:
    """Who is signed in, if anybody."""
    if not hasattr(request.state, "viewer"):
        token = session_token(request)
        user = await run_in_threadpool(request.app.state.site.accounts.sessions.find, token) if token else None
        request.state.viewer = None if user is None else Viewer.of(user)
    return request.state.viewer


# --- cookies ----------------------------------------------------------------------------------------------------------


def is_secure(request: Request) -> bool:
    return request.app.state.site.accounts.public_url.startswith("https://")


def cookie_name(request: Request, name: str) -> str:
    """With https, no other host and no plain page can have set it (the prefix __Host-)."""
    return f"__Host-walkout-{name}" if is_secure(request) else f"walkout-{name}"


def session_token(request: Request) -> str | None:
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer" and token:
        return token[:200]
    return request.cookies.get(cookie_name(request, "session"), "")[:200] or None


def set_cookie(request: Request, response: Any, name: str, value: str, max_age_s: int | None = None) -> None:
    response.set_cookie(
        cookie_name(request, name), value, max_age=max_age_s, path="/", secure=is_secure(request), httponly=True,
        samesite="lax",
    )  # fmt: skip


def drop_cookie(request: Request, response: Any, name: str) -> None:
    response.delete_cookie(cookie_name(request, name), path="/", secure=is_secure(request), httponly=True)


# --- cross-site requests ----------------------------------------------------------------------------------------------


def csrf_token(request: Request) -> str:
    """For this browser's forms. Without a session it hangs on a cookie that `csrf_cookie` sets."""
    if not hasattr(request.state, "csrf_seed"):
        seed = _seed(request)
        request.state.csrf_new = seed is None
        request.state.csrf_seed = seed or new_token()
    return derived(request.state.csrf_seed, "csrf")


def csrf_cookie(request: Request, response: Any) -> None:
    """Give the browser what `csrf_token` was made of, where it had nothing."""
    if getattr(request.state, "csrf_new", False):
        set_cookie(request, response, "form", request.state.csrf_seed)


async def require_csrf(request: Request) -> None:
    """Dependency of every route. Programs that come without a cookie are not concerned."""
    if request.method in _SAFE or request.headers.get("authorization"):
        return
    seed = _seed(request)
    if seed is None and not request.url.path.startswith("/sign-in"):
        return
    given = request.headers.get("x-csrf-token", "")
    if not given and request.headers.get("content-type", "").startswith(_FORMS):
        field = (await request.form()).get("csrf_token")
        given = field if isinstance(field, str) else ""
    if seed is None or not same(given, derived(seed, "csrf")):
        raise HTTPException(403, STRANGE_FORM)


def _seed(request: Request) -> str | None:
    return request.cookies.get(cookie_name(request, "session")) or request.cookies.get(cookie_name(request, "form"))
