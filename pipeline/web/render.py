# SPDX-License-Identifier: AGPL-3.0-or-later
"""Templates to pages. What a page is about comes as values; who looks, in which language, is found here."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from babel.dates import format_date, format_datetime, format_time
from fastapi import Request
from fastapi.responses import HTMLResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from pipeline import texts
from pipeline.cart.money import money_text
from pipeline.reasons import read
from pipeline.texts import N_ as N_
from pipeline.web.security import cookie_name, csrf_cookie, csrf_token

HERE = Path(__file__).parent
STATIC = HERE / "static"


@dataclass(frozen=True)
class NavItem:
    """A link in the head of every page of those who have `role`. `label`: marked with `N_`."""

    href: str
    label: str
    role: str


def page(request: Request, template: str, status_code: int = 200, **values: Any) -> HTMLResponse:
    """The page that a template makes of `values`. In it: `viewer` (or None), `site`, `locale`, `csrf_field()`,
    `csrf`, `nav`, `static(NAME)`; filters `money(currency)` of minor units, `moment`, `day` and `clock` of ns,
    `told` of what a receipt says of itself."""
    site = request.app.state.site
    who = getattr(request.state, "viewer", None)
    language = locale(request)
    token = csrf_token(request)
    environment = _environment(language, site.shop.settings.paper.timezone)
    html = environment.get_template(template).render(
        request=request, site=site, viewer=who, locale=language, languages=texts.LANGUAGES, csrf=token,
        csrf_field=lambda: Markup('<input type="hidden" name="csrf_token" value="{}">').format(token),
        nav=_nav(request.app.state.nav, who), path=request.url.path, **values,
    )  # fmt: skip
    response = HTMLResponse(html, status_code)
    csrf_cookie(request, response)
    return response


def locale(request: Request) -> str:
    """What was chosen here, else what the account says, else what the browser likes."""
    who = getattr(request.state, "viewer", None)
    chosen = request.cookies.get(cookie_name(request, "language")) or (who and who.locale)
    return chosen if chosen in texts.LANGUAGES else texts.wanted(request.headers.get("accept-language"))


def text(request: Request, message: str) -> str:
    """A text in the reader's language, for what is not said in a template."""
    return texts.translations(locale(request)).gettext(message)


def _nav(items: Sequence[NavItem], who: Any) -> list[NavItem]:
    return [item for item in items if who is not None and who.may(item.role)]


@cache
def _environment(language: str, timezone: str) -> Environment:
    environment = Environment(
        loader=FileSystemLoader(HERE / "templates"), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
        lstrip_blocks=True, extensions=["jinja2.ext.i18n"],
    )  # fmt: skip
    environment.install_gettext_translations(texts.translations(language), newstyle=True)
    zone = ZoneInfo(timezone)

    def at(ns: int) -> datetime:
        return datetime.fromtimestamp(ns // 1_000_000_000, zone)

    environment.filters |= {
        "money": lambda minor, currency: money_text(minor, currency, language),
        "moment": lambda ns: format_datetime(at(ns), "medium", tzinfo=zone, locale=language),
        "day": lambda ns: format_date(at(ns), "long", locale=language),
        "clock": lambda ns: format_time(at(ns), "short", tzinfo=zone, locale=language),
        "browser": browser_name,
        "iso": lambda ns: at(ns).isoformat(),
        "told": lambda written: read(written).said(texts.translations(language).gettext),
    }
    environment.globals["static"] = static_url
    return environment


def browser_name(agent: str) -> str:
    """What people call their browser, of what it calls itself, e.g. "Firefox, Android"."""
    kinds = {"Edg": "Edge", "Firefox": "Firefox", "Chrome": "Chrome", "Safari": "Safari"}
    systems = ("iPhone", "iPad", "Android", "Windows", "Macintosh", "Linux")
    kind = next((name for mark, name in kinds.items() if mark in agent), "")
    system = next((name for name in systems if name in agent), "")
    return ", ".join(part for part in (kind, system.replace("Macintosh", "Mac")) if part)


def static_url(name: str) -> str:
    """The address of a static file, which changes when the file does, so that browsers may keep it for ever."""
    return f"/static/{name}?v={_version(name, _stamp(name))}"


def _stamp(name: str) -> int:
    try:
        return (STATIC / name).stat().st_mtime_ns
    except OSError:
        return 0


@cache
def _version(name: str, _stamp_ns: int) -> str:
    path = STATIC / name
    content = path.read_bytes() if path.exists() else b""
    return hashlib.sha256(content).hexdigest()[:10]
