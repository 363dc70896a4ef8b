# SPDX-License-Identifier: AGPL-3.0-or-later
"""The admin's page: who works here and may sign in."""

# No `from __future__ import annotations`: FastAPI looks annotations up among the module's names.

import secrets
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Form, HTTPException, Request
from fastapi.responses import RedirectResponse, Response

from pipeline.accounts import User
from pipeline.errors import AccountError
from pipeline.site import Site
from pipeline.web.render import N_, NavItem, page, text
from pipeline.web.security import Viewer, viewer

NAV = (NavItem("/staff", N_("Staff"), "admin"),)
UPLOADS: dict[str, int] = {}
ROLE_NAMES = {"reviewer": N_("Reviewer"), "operator": N_("Operator"), "admin": N_("Admin")}
_NOT_ADDED = N_("A name has 2 to 60 letters or digits, nobody else has it, and somebody has one role at least.")
_LAST_ADMIN = N_("Somebody has to have a role, and one of them has to be admin: make somebody else one first.")

Admin = Annotated[Viewer, Depends(viewer("admin"))]
Role = Literal["reviewer", "operator", "admin"]


def router(site: Site) -> APIRouter:
    router = APIRouter(include_in_schema=False)
    staff = site.accounts.staff

    def listed(
        request: Request, status: int = 200, problem: str = "", told: User | None = None, password: str = ""
    ) -> Response:
        said = text(request, problem) if problem else ""
        return page(
            request, "accounts/staff.html", status, staff=staff.all(), roles=ROLE_NAMES, problem=said, told=told,
            password=password,
        )  # fmt: skip

    def named(user_id: str) -> User:
        user = site.accounts.users.by_id(user_id)
        if user is None or user.staff_name is None:
            raise HTTPException(404, N_("There is nobody of that name."))
        return user

    @router.get("/staff")
    def show(request: Request, who: Admin) -> Response:
        return listed(request)

    @router.post("/staff")
    def add(
        request: Request, who: Admin, name: Annotated[str, Form(max_length=60)],
        role: Annotated[list[Role], Form()] = [],  # noqa: B006 (FastAPI copies it)
    ) -> Response:  # fmt: skip
        password = secrets.token_urlsafe(12)
        try:
            user = staff.add(name, role, password, by=who.staff_id or who.user_id)
        except AccountError:
            return listed(request, 400, _NOT_ADDED)
        return listed(request, told=user, password=password)

    @router.post("/staff/{user_id}/password")
    def new_password(request: Request, user_id: str, who: Admin) -> Response:
        user, password = named(user_id), secrets.token_urlsafe(12)
        staff.set_password(user.user_id, password, by=who.staff_id or who.user_id)
        return listed(request, told=user, password=password)

    @router.post("/staff/{user_id}/roles")
    def set_roles(
        request: Request, user_id: str, who: Admin,
        role: Annotated[list[Role], Form()] = [],  # noqa: B006
    ) -> Response:  # fmt: skip
        try:
            staff.set_roles(named(user_id).user_id, role, by=who.staff_id or who.user_id)
        except AccountError:
            return listed(request, 400, _LAST_ADMIN)
        return RedirectResponse("/staff", 303)

    @router.post("/staff/{user_id}/close")
    def close(request: Request, user_id: str, who: Admin) -> Response:
        try:
            staff.close(named(user_id).user_id, by=who.staff_id or who.user_id)
        except AccountError:
            return listed(request, 400, _LAST_ADMIN)
        return RedirectResponse("/staff", 303)

    @router.post("/staff/{user_id}/reopen")
    def reopen(user_id: str, who: Admin) -> Response:
        staff.reopen(named(user_id).user_id, by=who.staff_id or who.user_id)
        return RedirectResponse("/staff", 303)

    return router
